package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// maxKeys is how many keys a server is offered: sshd disconnects after six that
	// it does not know (sshd_config, MaxAuthTries).
	maxKeys = 6
	// keyAgentTimeout bounds all requests to the user's ssh-agent for one
	// connection; the user may have to touch a key.
	keyAgentTimeout = 30 * time.Second
)

// sshConn is an SSH connection on which nothing was requested yet. It refuses the
// server's requests, and the channels that the server opens before their kind is handled.
type sshConn struct {
	*ssh.Client
	socket *heardSocket
}

// heardSocket notes when something came through it last.
type heardSocket struct {
	net.Conn
	heard atomic.Pointer[time.Time]
}

func (s *heardSocket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		now := time.Now()
		s.heard.Store(&now)
	}
	return n, err
}

// silence returns for how long nothing has come. The handshake has come before.
func (s *heardSocket) silence() time.Duration { return time.Since(*s.heard.Load()) }

// connect makes an SSH connection to the server.
func (o *sshOpener) connect(ctx context.Context) (*sshConn, error) {
	algorithms, err := o.keys.algorithms(o.server.address())
	if err != nil {
		return nil, o.unreadable(err)
	}
	tcp, err := agent.Dial(ctx, o.server.address(), o.getenv)
	if err != nil {
		return nil, o.server.unreached(err)
	}
	socket := &heardSocket{Conn: tcp}
	ctx, cancel := context.WithTimeout(ctx, o.times.handshake)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer stop()
	ring := new(keyRing)
	if !o.server.service {
		ring = openKeyRing(o.userHome(), o.getenv("SSH_AUTH_SOCK"))
	}
	defer ring.close()
	trusted := false
	conn, channels, requests, err := ssh.NewClientConn(socket, o.server.address(), &ssh.ClientConfig{
		User: o.server.login(), Auth: ring.methods(o.server.service), HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(address string, remote net.Addr, key ssh.PublicKey) error {
			err := o.keys.check(address, remote, key)
			trusted = err == nil
			if _, isOther := errors.AsType[*keyError](err); err != nil && !isOther {
				return o.unreadable(err)
			}
			return err
		},
	})
	if err != nil {
		return nil, o.notConnected(ctx, err, trusted, ring)
	}
	return &sshConn{ssh.NewClient(conn, channels, requests), socket}, nil
}

// notConnected explains a handshake that failed. trusted is set when the server's key
// was accepted, so that the rest is about the user's.
func (o *sshOpener) notConnected(ctx context.Context, err error, trusted bool, keys *keyRing) error {
	s := o.server
	key, isKeyError := errors.AsType[*keyError](err)
	known, isKnown := errors.AsType[*agent.Error](err)
	text := err.Error()
	switch {
	case isKeyError:
		return key.agentError()
	case isKnown:
		return known
	case ctx.Err() != nil:
		return broken(s.word, fmt.Errorf("no SSH server answered within %v", o.times.handshake))
	case errors.Is(err, errQuestion), trusted && (strings.Contains(text, "unable to authenticate") || strings.Contains(text, "authentication failures")):
		reason, fix := keys.refused(s)
		if s.service {
			reason, fix = "it no longer admits users without a key", "use another provider"
		}
		return &agent.Error{Reason: agent.ReasonUnknownKey, Op: "authenticate at", Addr: s.login() + "@" + s.address(), Err: errors.New(reason), Fix: fix}
	}
	return broken(s.word, plainly(err))
}

// unreadable returns the error of a file of known keys that cannot be used.
func (o *sshOpener) unreadable(err error) *agent.Error {
	return &agent.Error{
		Reason: agent.ReasonPin, Op: "check the key of", Addr: o.server.address(), Err: plainly(err),
		Fix: fmt.Sprintf("check the file %s and its folder", o.keys.own),
	}
}

// keyFiles are the user's keys, in ~/.ssh.
var keyFiles = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

// keyRing has the keys that a user can prove to a server without input: those in files
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

// openKeyRing reads the keys. Keys that cannot be read are left out; refused names
// them when the others do not suffice.
func openKeyRing(home, agentSocket string) *keyRing {
	r := new(keyRing)
	agents := r.openAgent(agentSocket)
	take := func(wanted ssh.PublicKey) bool {
		i := slices.IndexFunc(agents, isKey(wanted))
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
		if public != nil && take(public) {
			continue
		}
		text, _ := os.ReadFile(path) // a file that cannot be read has nothing to parse
		signer, err := ssh.ParsePrivateKey(text)
		if _, isLocked := errors.AsType[*ssh.PassphraseMissingError](err); isLocked {
			r.locked = append(r.locked, path)
		}
		if err != nil {
			continue
		}
		take(signer.PublicKey()) // one of the two
		if !slices.ContainsFunc(r.signers, isKey(signer.PublicKey())) {
			r.signers = append(r.signers, signer)
		}
	}
	r.signers = append(r.signers, agents...)
	r.signers = r.signers[:min(len(r.signers), maxKeys)]
	return r
}

// isKey returns a function that reports whether a signer has this key.
func isKey(key ssh.PublicKey) func(ssh.Signer) bool {
	wanted := key.Marshal()
	return func(s ssh.Signer) bool { return bytes.Equal(s.PublicKey().Marshal(), wanted) }
}

// openAgent reads the keys of ssh-agent.
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

// publicKey returns the key in a .pub file; nil for none.
func publicKey(path string) ssh.PublicKey {
	text, _ := os.ReadFile(path)
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil
	}
	return key
}

// refused returns why a server does not admit the user, and the fix.
func (r *keyRing) refused(server *sshServer) (reason, fix string) {
	target := server.login() + "@" + server.host
	if server.port != sshPort {
		target = fmt.Sprintf("-p %d %s", server.port, target)
	}
	switch {
	case len(r.locked) > 0:
		return fmt.Sprintf("it accepts none of the %d keys it was offered, and %s has a passphrase", len(r.signers), strings.Join(r.locked, ", ")),
			"add the key to ssh-agent: ssh-add '" + r.locked[0] + "'"
	case len(r.signers) == 0:
		return "it requires a key, and ~/.ssh and ssh-agent have none",
			"ssh-keygen -t ed25519 && ssh-copy-id " + target
	}
	return fmt.Sprintf("it accepts none of the %d keys it was offered", len(r.signers)),
		"add your key there: ssh-copy-id " + target
}

// errQuestion is the error of a server that requires an interactive answer.
var errQuestion = errors.New("it asks for a password")

// methods returns the ways to authenticate, after "none", which is always tried first.
// None of them needs input. A server that admits everyone gets none of the
// user's keys, which would identify the user.
func (r *keyRing) methods(everyone bool) []ssh.AuthMethod {
	noInput := ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		if len(questions) > 0 {
			return nil, errQuestion
		}
		return nil, nil
	})
	if everyone {
		return []ssh.AuthMethod{ssh.Password(""), noInput}
	}
	return []ssh.AuthMethod{ssh.PublicKeys(r.signers...), noInput}
}
