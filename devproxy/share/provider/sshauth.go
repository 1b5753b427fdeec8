package provider

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"
)

const (
	// maxKeys is how many keys a server is offered: sshd hangs up after six that
	// it does not know (sshd_config, MaxAuthTries).
	maxKeys = 6
	// keyAgentTimeout bounds everything that is asked of the user's ssh-agent for one
	// connection; the user may have to touch a key.
	keyAgentTimeout = 30 * time.Second
)

// keyFiles are the user's keys, in ~/.ssh.
var keyFiles = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

// keyRing is what a user can prove to a server without a question: keys in files
// without a passphrase, and those of ssh-agent.
type keyRing struct {
	signers []ssh.Signer
	locked  []string // files that have a passphrase, and are not in the agent
	agent   net.Conn // of the signers; nil for none
}

func (r *keyRing) close() {
	if r.agent != nil {
		r.agent.Close()
	}
}

// openKeyRing reads the keys. What cannot be read is left out: it is named when no
// other key does.
func openKeyRing(home, agentSocket string) *keyRing {
	r := new(keyRing)
	agents := r.openAgent(agentSocket)
	take := func(wanted []byte) bool {
		i := slices.IndexFunc(agents, func(s ssh.Signer) bool { return bytes.Equal(s.PublicKey().Marshal(), wanted) })
		if i >= 0 {
			r.signers = append(r.signers, agents[i])
			agents = slices.Delete(agents, i, i+1)
		}
		return i >= 0
	}
	for _, name := range keyFiles {
		if home == "" {
			break
		}
		path := filepath.Join(home, ".ssh", name)
		public := publicKey(path + ".pub")
		if public != nil && take(public.Marshal()) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		signer, err := ssh.ParsePrivateKey(text)
		var missing *ssh.PassphraseMissingError
		switch {
		case err == nil:
			take(signer.PublicKey().Marshal()) // one of the two
			if !r.has(signer.PublicKey()) {
				r.signers = append(r.signers, signer)
			}
		case errors.As(err, &missing):
			r.locked = append(r.locked, path)
		}
	}
	r.signers = append(r.signers, agents...)
	r.signers = r.signers[:min(len(r.signers), maxKeys)]
	return r
}

func (r *keyRing) has(key ssh.PublicKey) bool {
	return slices.ContainsFunc(r.signers, func(s ssh.Signer) bool { return bytes.Equal(s.PublicKey().Marshal(), key.Marshal()) })
}

// openAgent asks ssh-agent for its keys.
func (r *keyRing) openAgent(socket string) []ssh.Signer {
	if socket == "" {
		return nil
	}
	conn, err := net.DialTimeout("unix", socket, keyAgentTimeout)
	if err != nil {
		return nil
	}
	_ = conn.SetDeadline(time.Now().Add(keyAgentTimeout)) // a Unix socket has deadlines
	signers, err := sshagent.NewClient(conn).Signers()
	if err != nil {
		conn.Close()
		return nil
	}
	r.agent = conn
	return signers
}

// publicKey is the key in a .pub file; nil when there is none.
func publicKey(path string) ssh.PublicKey {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil
	}
	return key
}

// refused says why a server does not admit the user, and what would help.
func (r *keyRing) refused(server *sshServer) (reason, fix string) {
	target := server.login() + "@" + server.host
	if server.port != sshPort {
		target = fmt.Sprintf("-p %d %s", server.port, target)
	}
	switch {
	case len(r.locked) > 0:
		return fmt.Sprintf("it accepts none of the %d keys it was offered, and %s has a passphrase", len(r.signers), strings.Join(r.locked, ", ")),
			"give the key to ssh-agent: ssh-add '" + r.locked[0] + "'"
	case len(r.signers) == 0:
		return "it wants a key, and there is none in ~/.ssh or ssh-agent",
			"ssh-keygen -t ed25519 && ssh-copy-id " + target
	}
	return fmt.Sprintf("it accepts none of the %d keys it was offered", len(r.signers)),
		"add your key there: ssh-copy-id " + target
}

// errQuestion is a server that asks the user something.
var errQuestion = errors.New("it asks for a password")

// methods are the ways to authenticate, after "none", which is always tried first.
// Nobody is asked for anything. A server that admits everybody gets none of the
// user's keys, which would tell it who the user is.
func (r *keyRing) methods(everybody bool) []ssh.AuthMethod {
	unasked := ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		if len(questions) > 0 {
			return nil, errQuestion
		}
		return nil, nil
	})
	if everybody {
		return []ssh.AuthMethod{ssh.Password(""), unasked}
	}
	return []ssh.AuthMethod{ssh.PublicKeys(r.signers...), unasked}
}
