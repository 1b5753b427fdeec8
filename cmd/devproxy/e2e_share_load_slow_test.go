//go:build e2e && linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/wan"
)

const (
	// fewFilesLimit is how many files the attacked relay may have open.
	fewFilesLimit = 256
	// attackers keep a connection each, together more than there are files.
	attackers = 400
	// attackFrom are their addresses: so many that a limit for each of them
	// does not help.
	attackFrom = 16
	// attackRest is before an attacker who was closed comes again, and between
	// the bytes of one that sends slowly.
	attackRest = 500 * time.Millisecond
	// beset are the legitimate visitors during the attack.
	beset = 20
)

// attack is a slowloris of three kinds: nothing is said, half a TLS hello, and
// half a request's head.
type attack struct {
	*dropNet
	ctx    context.Context
	stop   context.CancelFunc
	group  sync.WaitGroup
	open   atomic.Int64
	closed atomic.Int64 // by the relay
}

func (n *dropNet) attack() *attack {
	a := &attack{dropNet: n}
	a.ctx, a.stop = context.WithCancel(context.Background())
	for i := range attackers {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i%attackFrom))}
		say := []func(net.Conn) error{a.halfHead, silent, a.halfHead, halfHello}[i/attackFrom%4]
		a.group.Go(func() {
			_ = n.link.Enter(wan.A, func() error { a.keep(from, say); return nil })
		})
	}
	n.t.Cleanup(a.end)
	return a
}

func (a *attack) end() {
	a.stop()
	a.group.Wait()
}

// keep has a connection, and another when that is closed.
func (a *attack) keep(from *net.TCPAddr, say func(net.Conn) error) {
	to := &net.TCPAddr{IP: a.link.Addr(wan.A).AsSlice(), Port: 443}
	for a.ctx.Err() == nil {
		if conn, err := net.DialTCP("tcp4", from, to); err == nil {
			a.open.Add(1)
			a.hold(conn, say)
			a.open.Add(-1)
			a.closed.Add(1)
		}
		select {
		case <-time.After(attackRest):
		case <-a.ctx.Done():
		}
	}
}

// hold says something, and a little more now and then, until the relay hangs up.
func (a *attack) hold(conn net.Conn, say func(net.Conn) error) {
	defer conn.Close()
	defer context.AfterFunc(a.ctx, func() { conn.Close() })()
	if say(conn) == nil {
		_, _ = conn.Read(make([]byte, 1))
	}
}

func silent(net.Conn) error { return nil }

func halfHello(conn net.Conn) error {
	_, err := conn.Write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc"))
	return err
}

// halfHead drips a header that never ends.
func (a *attack) halfHead(conn net.Conn) error {
	host := a.url[len("https://"):]
	secure := tls.Client(conn, &tls.Config{RootCAs: a.roots, ServerName: host, NextProtos: []string{"http/1.1"}})
	if err := secure.HandshakeContext(a.ctx); err != nil {
		return err
	}
	_, err := fmt.Fprintf(secure, "GET / HTTP/1.1\r\nHost: %s\r\nX-Slow: ", host)
	for err == nil {
		select {
		case <-time.After(attackRest):
			_, err = secure.Write([]byte("x"))
		case <-a.ctx.Done():
			err = a.ctx.Err()
		}
	}
	return err
}

// TestE2EShareSlowloris: more slow connections than the relay has descriptors
// keep out neither visitors nor the agent.
func TestE2EShareSlowloris(t *testing.T) {
	n := newDropNet(t, fewFilesLimit)
	a := n.attack()
	most := 0
	for deadline := time.Now().Add(patience); a.open.Load() < attackers*3/4 && a.closed.Load() < attackers; time.Sleep(attackRest) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d connections attack, %d were closed", a.open.Load(), a.closed.Load())
		}
	}
	for number := range beset {
		client := n.client([]string{"h1", "h2"}[number%2])
		if err := n.ask(client, http.MethodPost, number); err != nil {
			t.Errorf("visitor %d next to %d slow connections: %v", number, a.open.Load(), err)
		}
		client.CloseIdleConnections()
		most = max(most, openFiles(t, n.relay.pid))
	}
	// The agent's connections have to be made again.
	n.move(t, 0)
	moved := time.Now()
	n.again("at a new address of the agent")
	t.Logf("served again %v after the agent's address changed", time.Since(moved).Round(time.Millisecond))
	t.Logf("the relay had up to %d of %d files open; %d slow connections, %d closed", most, fewFilesLimit, a.open.Load(), a.closed.Load())
	if most < fewFilesLimit/2 {
		t.Errorf("the relay had no more than %d of %d files open: nothing is proved", most, fewFilesLimit)
	}
	if n.link.Addr(wan.B) == wan.DefaultAddr(wan.B) {
		t.Error("the agent's address has not changed")
	}
}

// openFiles is how many files a process has open.
func openFiles(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
