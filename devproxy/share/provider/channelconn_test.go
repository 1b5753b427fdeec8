package provider

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// fakeChannel is an ssh.Channel in memory: what is written goes to sent, what is
// read comes from a pipe, and Close is answered when the test wants it.
type fakeChannel struct {
	ssh.Channel // unused methods

	in     *io.PipeReader // from the visitor
	out    *io.PipeWriter // to the visitor
	answer bool           // Close is answered, as by an honest server

	mu          sync.Mutex
	closed      bool
	closedWrite bool
	over        chan struct{} // closed when the connection has ended
}

// newFakeChannel gives the visitor's ends too.
func newFakeChannel(answer bool) (channel *fakeChannel, send *io.PipeWriter, receive *io.PipeReader) {
	c := &fakeChannel{answer: answer, over: make(chan struct{})}
	c.in, send = io.Pipe()
	receive, c.out = io.Pipe()
	return c, send, receive
}

func (c *fakeChannel) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *fakeChannel) Write(p []byte) (int, error) { return c.out.Write(p) }

func (c *fakeChannel) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closedWrite = true
	return c.out.Close()
}

func (c *fakeChannel) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.answer {
		c.end()
	}
	return nil
}

// end is the end of the SSH connection, or the other end's closing.
func (c *fakeChannel) end() {
	c.in.CloseWithError(io.EOF)
	c.out.CloseWithError(io.EOF)
}

func (c *fakeChannel) state() (closed, closedWrite bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed, c.closedWrite
}

// pumpBuffer is the buffer of io.Copy.
const pumpBuffer = 32 << 10

// carried is a connection over a fakeChannel.
type carried struct {
	*channelConn
	channel *fakeChannel
	send    *io.PipeWriter
	receive *io.PipeReader
	cancel  context.CancelFunc
	done    chan struct{}
}

func carry(answer bool) *carried {
	c := &carried{channelConn: newChannelConn(addr("test")), done: make(chan struct{})}
	c.channel, c.send, c.receive = newFakeChannel(answer)
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	context.AfterFunc(ctx, c.channel.end) // as the SSH connection does
	go func() {
		defer close(c.done)
		c.carry(ctx, c.channel, sendLinger)
	}()
	return c
}

func TestChannelConnBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := carry(true)
		go func() {
			_, _ = io.WriteString(c.send, "question")
			c.send.Close()
		}()
		if got, err := io.ReadAll(c); string(got) != "question" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		// The other direction continues.
		go func() {
			_, _ = io.WriteString(c, "answer")
			_ = c.CloseWrite()
		}()
		if got, err := io.ReadAll(c.receive); string(got) != "answer" || err != nil {
			t.Errorf("the visitor read %q, %v", got, err)
		}
		synctest.Wait()
		if closed, closedWrite := c.channel.state(); closed || !closedWrite {
			t.Errorf("before Close the channel is closed: %v, in one direction: %v", closed, closedWrite)
		}
		c.Close()
		<-c.done
		if closed, _ := c.channel.state(); !closed {
			t.Error("after Close the channel is open")
		}
		c.cancel()
	})
}

// Close returns at once, and bytes written before it arrive.
func TestChannelConnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := carry(true)
		text := bytes.Repeat([]byte("x"), pumpBuffer)
		if _, err := c.Write(text); err != nil {
			t.Fatal(err)
		}
		c.Close()
		c.Close()
		if _, err := c.Write(text); err == nil {
			t.Error("after Close something is written")
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("after Close something is read")
		}
		time.Sleep(sendLinger - time.Second) // a slow visitor
		got, err := io.ReadAll(c.receive)
		if !bytes.Equal(got, text) || err != nil {
			t.Errorf("the visitor gets %d bytes, %v; want %d", len(got), err, len(text))
		}
		<-c.done
		c.cancel()
	})
}

// Close waits up to sendLinger for a visitor who reads nothing.
func TestChannelConnLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := carry(true)
		if _, err := c.Write(make([]byte, pumpBuffer)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.Close()
		<-c.done
		if took := time.Since(began); took != sendLinger {
			t.Errorf("it took %v, want %v", took, sendLinger)
		}
		c.cancel()
	})
}

// A server that does not answer Close keeps the pumps until the tunnel ends, and
// no longer.
func TestChannelConnUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := carry(false)
		if _, err := c.Write(make([]byte, pumpBuffer)); err != nil {
			t.Fatal(err)
		}
		c.Close()
		time.Sleep(2 * sendLinger)
		synctest.Wait()
		if closed, _ := c.channel.state(); !closed {
			t.Error("the channel is not closed")
		}
		select {
		case <-c.done:
			t.Error("the pumps have ended, and the channel has not")
		default:
		}
		c.cancel()
		<-c.done
	})
}

// The end of the tunnel ends everything, whatever it waits for.
func TestChannelConnTunnelEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := carry(true)
		var users sync.WaitGroup
		users.Go(func() { _, _ = io.Copy(c, zeros{}) })
		users.Go(func() { _, _ = io.WriteString(c.send, "no one reads it") })
		synctest.Wait()
		c.cancel()
		<-c.done
		users.Wait()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a dead tunnel is read from")
		}
	})
}

// Both directions report a visitor who leaves.
func TestChannelConnVisitorLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := carry(true)
		c.channel.end()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("Read says %v, want EOF", err)
		}
		_, _ = c.Write([]byte("the first may get into the pump"))
		synctest.Wait()
		if _, err := c.Write([]byte("x")); err == nil {
			t.Error("something was written to no one")
		}
		c.Close()
		<-c.done
		c.cancel()
	})
}

func TestChannelConnDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := carry(true)
		began := time.Now()
		_ = c.SetReadDeadline(began.Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("Read says %v after %v", err, time.Since(began))
		}
		_ = c.SetReadDeadline(time.Time{})
		go func() { _, _ = io.WriteString(c.send, "x") }()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("after the deadline Read says %v", err)
		}
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := io.Copy(c, zeros{}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write says %v", err)
		}
		_ = c.SetDeadline(time.Now().Add(-time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read says %v", err)
		}
		if _, err := c.Write(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write says %v", err)
		}
		c.Close()
		c.cancel()
		<-c.done
	})
}

// net/http notices that a visitor has left while a handler runs, which takes
// deadlines that work.
func TestChannelConnServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := carry(true)
		conns := make(chan net.Conn, 1)
		conns <- c
		left := make(chan struct{})
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(left)
		})}
		ln := oneListener{conns, make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(ln) }()
		_, _ = io.WriteString(c.send, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		synctest.Wait()
		c.send.Close()
		<-left
		server.Close()
		<-served
		c.cancel()
		<-c.done
	})
}

type oneListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l oneListener) Close() error   { close(l.closed); return nil }
func (l oneListener) Addr() net.Addr { return addr("test") }
