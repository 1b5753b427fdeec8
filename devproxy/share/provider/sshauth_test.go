package provider

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"os"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"
)

// serveAgent is an ssh-agent with ten keys that nobody knows, and last that of a file.
func serveAgent(t *testing.T, socket, file, passphrase string) {
	t.Helper()
	ring := sshagent.NewKeyring()
	for range 10 {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Add(sshagent.AddedKey{PrivateKey: &private}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKeyWithPassphrase(text, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Add(sshagent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				_ = sshagent.ServeAgent(ring, c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		running.Wait()
	})
}
