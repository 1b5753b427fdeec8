//go:build e2e && linux

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
	"github.com/devproxy/devproxy/tunnel/relay"
)

// relayResident is the documented bound of a relay's resident memory, with the
// default of --memory and connections open (tunnel/README.md, "What one relay holds").
func relayResident(connections int64) int64 {
	return relay.DefaultMemory/4*5 + 256<<20 + connections*64<<10
}

// upResident is the documented bound of `devproxy up`.
const upResident = 512 << 20

// TestUpResident: the bound of the documentation is one of what can be held.
func TestUpResident(t *testing.T) {
	if held := int64(agent.Memory + devproxy.BodyMemory); held/4*5+192<<20 > upResident {
		t.Errorf("strangers can make it hold %d MB", held>>20)
	}
}

// stalledAgents registers keys that open streams in the number that a session
// may have, and write as much on each as the relay lets them. They are from
// addresses in turn. Sessions that the relay ends come again.
func (s *siege) stalledAgents(keys, addresses, streams int) attackFunc {
	return func(ctx context.Context, underWay func()) {
		var (
			group sync.WaitGroup
			ready sync.WaitGroup
		)
		ready.Add(keys)
		for i := range keys {
			group.Go(func() {
				done := sync.OnceFunc(ready.Done)
				defer done()
				for ctx.Err() == nil {
					s.stallAgent(ctx, attackerAddress(i%addresses), streams, done)
					sleep(ctx, time.Second)
				}
			})
		}
		ready.Wait()
		underWay()
		group.Wait()
	}
}

// stallAgent is one such session, until it ends. It reopens streams that the
// relay resets, a few per second.
func (s *siege) stallAgent(ctx context.Context, from string, streams int, underWay func()) {
	_, key, _ := ed25519.GenerateKey(rand.Reader) // never fails
	session, err := s.relay.dialSession(ctx, from, key, tunnel.Claim{Enrol: s.token, Project: "a", Hosts: []string{}})
	if err != nil {
		sleep(ctx, time.Second)
		return
	}
	defer session.Close(nil)
	block := bytes.Repeat([]byte(" "), 250_000) // JSON that does not begin
	stall := func() bool {
		st, err := session.Open([]byte(tunnel.ControlHead))
		if err != nil {
			return false
		}
		_ = st.SetWriteDeadline(time.Now().Add(time.Millisecond))
		_, err = st.Write(block)
		return err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, tunnel.ErrStopped)
	}
	for range streams {
		if !stall() {
			return
		}
	}
	underWay()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { session.Close(nil) })()
	paced(ctx, 1, func(int) {
		if !stall() {
			cancel()
		}
	})
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// TestE2EAttackMemoryAgents: agents that open streams and leave them.
func TestE2EAttackMemoryAgents(t *testing.T) {
	for name, c := range map[string]struct{ keys, addresses, streams int }{
		"3 sessions of one address":    {3, 1, 1000},
		"50 keys of one address":       {50, 1, 300},
		"24 keys of several addresses": {24, 8, 300},
	} {
		t.Run(name, func(t *testing.T) {
			s := besiege(t, siegeOptions{})
			withstand(t, s.stalledAgents(c.keys, c.addresses, c.streams), s.clients(), s.process(relayResident(int64(3*c.keys))))
		})
	}
}

// TestE2EAttackMemoryUploads: visitors whose uploads no one reads.
func TestE2EAttackMemoryUploads(t *testing.T) {
	over := make(chan struct{})
	s := besiege(t, siegeOptions{app: stallingApp(over)})
	t.Cleanup(func() { close(over) })
	const connections, uploads = 40, 8
	attack := func(ctx context.Context, underWay func()) {
		var (
			group sync.WaitGroup
			taken atomic.Int64 // bytes
		)
		for i := range connections {
			client := s.attacker(attackerAddress(i % 4))
			defer client.CloseIdleConnections()
			for range uploads {
				group.Go(func() {
					for ctx.Err() == nil {
						s.stallUpload(ctx, client, &taken)
						sleep(ctx, time.Minute) // the attack uses up memory, not the processor
					}
				})
			}
		}
		for last := int64(-1); ctx.Err() == nil && last != taken.Load(); sleep(ctx, 2*time.Second) {
			last = taken.Load() // until all of them have stalled
		}
		underWay()
		group.Wait()
	}
	withstand(t, attack, s.clients(), s.process(relayResident(connections)), s.agentProcess(upResident))
}

// stallingApp says hello, and reads no body of a POST until over is closed.
func stallingApp(over <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			select {
			case <-r.Context().Done():
			case <-over:
			}
			return
		}
		_, _ = io.WriteString(w, "hello")
	}
}

// attacker is a client over HTTP/2, with its own connection.
func (s *siege) attacker(from string) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.relay.roots},
		Protocols:       protocols,
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return s.relay.dialFrom(ctx, from) },
	}}
}

// stallUpload sends a body until it stalls, and keeps the request open.
func (s *siege) stallUpload(ctx context.Context, client *http.Client, taken *atomic.Int64) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.project.link, zeros{taken})
	if err != nil {
		return
	}
	if response, err := client.Do(request); err == nil {
		response.Body.Close()
	}
}

// zeros is an endless body that counts the bytes read from it.
type zeros struct{ taken *atomic.Int64 }

func (z zeros) Read(p []byte) (int, error) {
	z.taken.Add(int64(len(p)))
	return len(p), nil
}

// TestE2EAttackMemoryLyingRelay: a relay that opens streams to an agent, sends
// as much as it may on each, and acknowledges and reads nothing.
func TestE2EAttackMemoryLyingRelay(t *testing.T) {
	over := make(chan struct{})
	app := startApp(t, stallingApp(over))
	place := &upProcess{program: plainBinary(t)}
	place.home, place.state, place.env = privateState(t)
	liar := newLyingRelay(t, place)
	dir := projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", app.URL))
	up := startBeside(t, place, dir, "up", "--share", "--relay", liar.name, "--json", "--https", ":0", "--http", ":0")
	t.Cleanup(func() { close(over) })
	up.ready = up.await("ready")
	up.trust()
	sessions := liar.sessions
	session := <-sessions
	local := up.client("h2")
	legitimate := []honest{{"a local request", func(ctx context.Context) error {
		response, body, err := roundTrip(ctx, local, http.MethodGet, up.url("shop.localhost", "/"), nil)
		if err == nil && string(body) != "hello" {
			err = fmt.Errorf("%s %.100q", response.Status, body)
		}
		return err
	}}}
	attack := func(ctx context.Context, underWay func()) {
		defer func() { session.Close(nil) }() // so that the agent can stop
		for ctx.Err() == nil {
			liar.burden(ctx, session)
			underWay()
			select {
			case session = <-sessions:
			case <-session.Done():
				sleep(ctx, 50*time.Millisecond)
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
	withstand(t, attack, legitimate, watched{"devproxy up", up.cmd.Process.Pid, upResident})
}

// lyingRelay grants what agents claim, and means them harm.
type lyingRelay struct {
	name     string
	sessions chan *tunnel.Session
}

func newLyingRelay(t *testing.T, place *upProcess) *lyingRelay {
	t.Helper()
	ca, err := localca.Open(place.state)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lyingRelay{name: fmt.Sprintf("%s:%d", devDomain, ln.Addr().(*net.TCPAddr).Port), sessions: make(chan *tunnel.Session, 100)}
	r := &tunnel.Acceptor{
		Admit: func(_ context.Context, key ed25519.PublicKey, hello []byte, _ net.Addr) ([]byte, error) {
			var c tunnel.Claim
			if err := json.Unmarshal(hello, &c); err != nil {
				return nil, err
			}
			zone, hosts, err := tunnel.PublicNames(key, devDomain, c)
			if err != nil {
				return nil, err
			}
			return json.Marshal(tunnel.Grant{Domain: devDomain, Port: uint16(ln.Addr().(*net.TCPAddr).Port), Zone: zone, Hosts: hosts})
		},
		Established: func(s *tunnel.Session) {
			select {
			case l.sessions <- s:
			default:
			}
		},
	}
	secure := tls.NewListener(ln, &tls.Config{GetCertificate: ca.GetCertificate, NextProtos: []string{tunnel.ALPN}})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := secure.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				conn := c.(*tls.Conn)
				if conn.HandshakeContext(t.Context()) != nil {
					conn.Close()
					return
				}
				binding, err := tunnel.Binding(conn.ConnectionState())
				if err != nil {
					conn.Close()
					return
				}
				_ = r.Join(t.Context(), tunnel.Lane{Conn: conn, Binding: binding})
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		group.Wait()
	})
	return l
}

// burden opens streams of visitors whose requests stall, and writes bodies on
// them that no one reads.
func (l *lyingRelay) burden(ctx context.Context, session *tunnel.Session) {
	visitor := tunnel.Visitor{Scheme: "https", Host: "shop." + devDomain}
	head := visitor.AppendTo(nil)
	request := "POST /stall HTTP/1.1\r\nHost: shop." + devDomain + "\r\nContent-Length: 100000000\r\n\r\n"
	body := strings.Repeat("x", 240_000)
	for range tunnel.MaxStreams {
		st, err := session.Open(head)
		if err != nil || ctx.Err() != nil {
			return
		}
		_ = st.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
		if _, err := io.WriteString(st, request); err != nil {
			continue
		}
		_, _ = io.WriteString(st, body)
	}
}
