package provider

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// sendLinger is how long a closed connection may take to send the rest to the server:
// at most a window of the server's and the buffer of io.Copy. That has 32 KiB, as much as
// a packet of SSH may have (RFC 4253 section 6.1).
const sendLinger = 2 * time.Minute

// channelConn is an SSH channel as a net.Conn. A channel has no deadlines, which
// net/http needs, so each direction has a pipe in front of the channel, and carry
// copies between the far ends of the pipes and the channel.
type channelConn struct {
	net.Conn           // the near end from which the visitor's bytes are read
	out       net.Conn // the near end to which bytes for the visitor are written
	farIn     net.Conn // the visitor's bytes are written here
	farOut    net.Conn // bytes for the visitor are read here
	peer      net.Addr
	closed    chan struct{}
	closeOnce sync.Once
}

func newChannelConn(peer net.Addr) *channelConn {
	c := &channelConn{peer: peer, closed: make(chan struct{})}
	c.Conn, c.farIn = net.Pipe()
	c.farOut, c.out = net.Pipe()
	return c
}

// carry copies both directions until the connection is closed and the rest has been
// sent, or ctx has ended. Then it closes the channel. If the server does not answer to
// that, carry waits until the SSH connection ends.
func (c *channelConn) carry(ctx context.Context, channel ssh.Channel, linger time.Duration) {
	var pumps sync.WaitGroup
	defer pumps.Wait()
	defer channel.Close()
	defer c.Close()
	pumps.Go(func() {
		_, _ = io.Copy(c.farIn, channel)
		c.farIn.Close()
	})
	sent := make(chan struct{})
	pumps.Go(func() {
		defer close(sent)
		_, err := io.Copy(channel, c.farOut)
		c.farOut.Close() // so that Write fails
		if err == nil {
			_ = channel.CloseWrite()
		}
	})
	select {
	case <-c.closed:
	case <-ctx.Done():
		return
	}
	select {
	case <-sent:
	case <-time.After(linger):
	case <-ctx.Done():
	}
}

// Write returns when p has been handed to the channel.
func (c *channelConn) Write(p []byte) (int, error) { return c.out.Write(p) }

// CloseWrite closes the direction that is written and leaves the other open.
func (c *channelConn) CloseWrite() error { return c.out.Close() }

// Close does not wait: carry continues until all written bytes have been sent,
// for at most sendLinger.
func (c *channelConn) Close() error {
	c.closeOnce.Do(func() { close(c.closed) })
	c.Conn.Close()
	return c.out.Close()
}

// LocalAddr and RemoteAddr name the provider: an SSH server does not identify the
// visitor in a way that can be relied on.
func (c *channelConn) LocalAddr() net.Addr  { return c.peer }
func (c *channelConn) RemoteAddr() net.Addr { return c.peer }

// SetDeadline sets both deadlines.
func (c *channelConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.out.SetWriteDeadline(t)
}

// SetWriteDeadline makes Write fail with os.ErrDeadlineExceeded after t.
func (c *channelConn) SetWriteDeadline(t time.Time) error { return c.out.SetWriteDeadline(t) }
