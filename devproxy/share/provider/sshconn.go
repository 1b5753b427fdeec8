package provider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// sshConn is an SSH connection, on which nothing has been asked for yet. Its two
// queues must be read.
type sshConn struct {
	ssh.Conn
	channels <-chan ssh.NewChannel
	requests <-chan *ssh.Request
	socket   *heardSocket
}

// heardSocket knows when something came through it last.
type heardSocket struct {
	net.Conn
	heard atomic.Pointer[time.Time]
}

func newHeardSocket(c net.Conn) *heardSocket {
	s := &heardSocket{Conn: c}
	s.hear()
	return s
}

func (s *heardSocket) hear() {
	now := time.Now()
	s.heard.Store(&now)
}

func (s *heardSocket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.hear()
	}
	return n, err
}

// silence is how long nothing has come.
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
	socket := newHeardSocket(tcp)
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
			return o.untrusted(err)
		},
	})
	if err != nil {
		return nil, o.unshaken(ctx, err, trusted, ring)
	}
	return &sshConn{Conn: conn, channels: channels, requests: requests, socket: socket}, nil
}

// untrusted tells a wrong key and keys that cannot be read apart.
func (o *sshOpener) untrusted(err error) error {
	var key *keyError
	if err == nil || errors.As(err, &key) {
		return err
	}
	return o.unreadable(err)
}

// unreadable is a file of known keys that cannot be used.
func (o *sshOpener) unreadable(err error) *agent.Error {
	return &agent.Error{
		Reason: agent.ReasonPin, Op: "check the key of", Addr: o.server.address(), Err: plainly(err),
		Fix: fmt.Sprintf("check the file %s and its folder", o.keys.own),
	}
}
