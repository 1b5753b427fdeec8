package provider

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// writeKey makes a key for a file, as ssh-keygen does.
func writeKey(t testing.TB, path string) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// rawKey is the private key in a file without a passphrase.
func rawKey(t *testing.T, path string) any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// serveAgent is an ssh-agent with ten keys that no one knows, and last a user's, whose
// file is told too.
func serveAgent(t *testing.T, socket, file string, private any) {
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

// homeWith is a home directory with keys.
func homeWith(t *testing.T, names ...string) (home string, keys map[string]ssh.Signer) {
	t.Helper()
	home, keys = t.TempDir(), make(map[string]ssh.Signer)
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		keys[name] = writeKey(t, filepath.Join(home, ".ssh", name))
	}
	return home, keys
}

// lockKey gives the key in a file a passphrase, and returns it.
func lockKey(t *testing.T, path string) any {
	t.Helper()
	private := rawKey(t, path)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return private
}

// fingerprintsOf are those of signers, in their order.
func fingerprintsOf(signers []ssh.Signer) (all []string) {
	for _, s := range signers {
		all = append(all, ssh.FingerprintSHA256(s.PublicKey()))
	}
	return all
}

func TestKeyRing(t *testing.T) {
	home, keys := homeWith(t, "id_rsa", "id_ed25519", "id_ecdsa", "id_other")
	locked := lockKey(t, filepath.Join(home, ".ssh", "id_ecdsa"))
	r := openKeyRing(home, "")
	want := fingerprintsOf([]ssh.Signer{keys["id_ed25519"], keys["id_rsa"]})
	if got := fingerprintsOf(r.signers); !slices.Equal(got, want) {
		t.Errorf("the keys are %v, want %v", got, want)
	}
	if want := []string{filepath.Join(home, ".ssh", "id_ecdsa")}; !slices.Equal(r.locked, want) {
		t.Errorf("with a passphrase are %v, want %v", r.locked, want)
	}
	r.close()

	// ssh-agent has the one with the passphrase, and ten that sshd would hang up
	// over.
	dir, err := os.MkdirTemp("", "agent-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "socket")
	serveAgent(t, socket, filepath.Join(home, ".ssh", "id_ecdsa"), locked)
	r = openKeyRing(home, socket)
	defer r.close()
	want = fingerprintsOf([]ssh.Signer{keys["id_ed25519"], keys["id_ecdsa"], keys["id_rsa"]})
	if got := fingerprintsOf(r.signers); len(got) != maxKeys || !slices.Equal(got[:3], want) {
		t.Errorf("the keys are %v, want %v first and %d in all", got, want, maxKeys)
	}
	if len(r.locked) > 0 {
		t.Errorf("with a passphrase are %v, and the agent has them", r.locked)
	}
}

func TestKeyRingEmpty(t *testing.T) {
	home, _ := homeWith(t)
	if err := os.WriteFile(filepath.Join(home, ".ssh", "id_rsa"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*keyRing{openKeyRing(home, filepath.Join(home, "no-agent")), openKeyRing("", "")} {
		if len(r.signers)+len(r.locked) > 0 || r.agent != nil {
			t.Errorf("there are %d keys and %v", len(r.signers), r.locked)
		}
		r.close()
	}
}

// TestAuthentication: the accepted users and keys, and the messages for the
// others.
func TestAuthentication(t *testing.T) {
	service := plainServer
	service.service = true
	refuse := errors.New("no")
	for name, test := range map[string]struct {
		server  sshServer
		keys    []string
		allow   func(*ssh.ServerConfig)
		reason  agent.Reason // empty: the share is up
		texts   []string
		offered bool // a key of the user's
	}{
		"everyone": {server: plainServer, keys: []string{"id_ed25519"}, allow: func(c *ssh.ServerConfig) { c.NoClientAuth = true }},
		"empty password": {server: service, keys: []string{"id_ed25519"}, allow: func(c *ssh.ServerConfig) {
			c.PasswordCallback = func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
				if len(password) > 0 {
					return nil, refuse
				}
				return nil, nil
			}
		}},
		"no questions": {server: service, keys: []string{"id_ed25519"}, allow: func(c *ssh.ServerConfig) {
			c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				_, err := ask("", "welcome", nil, nil)
				return nil, err
			}
		}},
		"no questions at one's own server": {server: plainServer, allow: func(c *ssh.ServerConfig) {
			c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				_, err := ask("", "welcome", nil, nil)
				return nil, err
			}
		}},
		"a question": {server: plainServer, allow: func(c *ssh.ServerConfig) {
			c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				answers, err := ask("", "", []string{"Password: "}, []bool{false})
				if err == nil {
					t.Errorf("the question was answered with %q", answers)
				}
				return nil, refuse
			}
		}, reason: agent.ReasonUnknownKey, texts: []string{"~/.ssh and ssh-agent have none", "ssh-keygen -t ed25519 && ssh-copy-id -p "}},
		"a key": {server: plainServer, keys: []string{"id_rsa", "id_ed25519"}, allow: func(c *ssh.ServerConfig) {
			c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }
		}, offered: true},
		"another key": {server: plainServer, keys: []string{"id_rsa", "id_ed25519"}, allow: func(c *ssh.ServerConfig) {
			c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, refuse }
		}, reason: agent.ReasonUnknownKey, texts: []string{"none of the 2 keys", "ssh-copy-id -p ", "me@127.0.0.1"}, offered: true},
		"a password": {server: plainServer, keys: []string{"id_ed25519"}, allow: func(c *ssh.ServerConfig) {
			c.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
				t.Error("a password was tried at one's own server")
				return nil, refuse
			}
		}, reason: agent.ReasonUnknownKey, texts: []string{"none of the 1 keys"}},
		"a service with keys": {server: service, keys: []string{"id_ed25519"}, allow: func(c *ssh.ServerConfig) {
			c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }
		}, reason: agent.ReasonUnknownKey, texts: []string{"no longer admits", "another provider"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := new(ssh.ServerConfig)
			test.allow(config)
			var offered atomic.Bool
			if check := config.PublicKeyCallback; check != nil {
				config.PublicKeyCallback = func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
					offered.Store(true)
					return check(c, key)
				}
			}
			f := startSSHWith(t, config, serveLike("", plainText))
			s := newShare(t)
			s.user, _ = homeWith(t, test.keys...)
			s.start(f.at(test.server), shareOptions{})
			if test.reason == "" {
				s.wait(isUp)
			} else {
				s.fails(test.reason, test.texts...)
			}
			if offered.Load() != test.offered {
				t.Errorf("a key of the user's was offered: %v, want %v", offered.Load(), test.offered)
			}
		})
	}
}
