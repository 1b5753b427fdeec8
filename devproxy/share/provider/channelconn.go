package provider

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// sendLinger is how long a closed connection may take to hand what was
	// written to the server: at most a window of the server's and a buffer.
	sendLinger = 2 * time.Minute
	// pumpBuffer is the buffer of each direction of a connection. A packet of SSH
	// has at most as much (RFC 4253 section 6.1).
	pumpBuffer = 32 << 10
)

// channelConn is an SSH channel as a net.Conn. A channel has no deadlines, which
// net/http lives by, so there is a pipe in front of it for each direction, whose
// far ends carry pumps from and to.
type channelConn struct {
	in, out   net.Conn // the near ends
	farIn     net.Conn // what the visitor sends is written here
	farOut    net.Conn // what goes to the visitor is read here
	peer      net.Addr
	closed    chan struct{}
	closeOnce sync.Once
}

func newChannelConn(peer net.Addr) *channelConn {
	c := &channelConn{peer: peer, closed: make(chan struct{})}
	c.in, c.farIn = net.Pipe()
	c.farOut, c.out = net.Pipe()
	return c
}

// carry pumps until the connection is closed and the rest has been sent, or ctx
// has ended. Then the channel is closed, and both pumps have ended. A server that
// does not answer to that keeps carry until the SSH connection ends.
func (c *channelConn) carry(ctx context.Context, channel ssh.Channel, linger time.Duration) {
	var pumps sync.WaitGroup
	defer pumps.Wait()
	defer channel.Close()
	defer c.Close()
	pumps.Go(func() {
		_, _ = io.CopyBuffer(justWriter{c.farIn}, channel, make([]byte, pumpBuffer))
		c.farIn.Close()
	})
	sent := make(chan struct{})
	pumps.Go(func() {
		defer close(sent)
		_, err := io.CopyBuffer(justWriter{channel}, c.farOut, make([]byte, pumpBuffer))
		c.farOut.Close() // so that nobody writes into nothing
		if err == nil {
			_ = channel.CloseWrite()
		}
	})
	select {
	case <-c.closed:
	case <-ctx.Done():
		return
	}
	limit := time.NewTimer(linger)
	defer limit.Stop()
	select {
	case <-sent:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// justWriter hides ReadFrom, which would not use the buffer.
type justWriter struct{ io.Writer }

// Read reads what the visitor sends; io.EOF when its direction has ended.
func (c *channelConn) Read(p []byte) (int, error) { return c.in.Read(p) }

// Write returns when p is on its way into the channel.
func (c *channelConn) Write(p []byte) (int, error) { return c.out.Write(p) }

// CloseWrite ends what is sent and leaves the other direction open.
func (c *channelConn) CloseWrite() error { return c.out.Close() }

// Close does not wait: carry goes on until what was written has left, for
// sendLinger at most.
func (c *channelConn) Close() error {
	c.closeOnce.Do(func() { close(c.closed) })
	c.in.Close()
	return c.out.Close()
}

// LocalAddr and RemoteAddr name the provider: who the visitor is, an SSH server
// does not tell in a way that can be relied on.
func (c *channelConn) LocalAddr() net.Addr  { return c.peer }
func (c *channelConn) RemoteAddr() net.Addr { return c.peer }

// SetDeadline sets both deadlines.
func (c *channelConn) SetDeadline(t time.Time) error {
	_ = c.in.SetReadDeadline(t)
	return c.out.SetWriteDeadline(t)
}

// SetReadDeadline makes Read fail with os.ErrDeadlineExceeded after t.
func (c *channelConn) SetReadDeadline(t time.Time) error { return c.in.SetReadDeadline(t) }

// SetWriteDeadline makes Write fail with os.ErrDeadlineExceeded after t.
func (c *channelConn) SetWriteDeadline(t time.Time) error { return c.out.SetWriteDeadline(t) }
