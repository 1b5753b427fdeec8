package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// patience is what a test waits for something; only a failing one waits so long.
const patience = 30 * time.Second

func within[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came in time")
		panic("not reached")
	}
}

// keyOf is a key that is the same in every run.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// env is an environment.
type env map[string]string

func (e env) get(name string) string { return e[name] }

// running is an agent that runs.
type running struct {
	*Agent
	t      *testing.T
	states chan State
	ended  chan error
	cancel context.CancelFunc
}

// optionsFor are those of an agent of r.
func optionsFor(r *fakeRelay) Options {
	_, port, _ := net.SplitHostPort(r.ln.Addr().String())
	return Options{
		Relay: net.JoinHostPort(relayName, port), Key: keyOf("folder"), Roots: r.ca.pool(),
		Claim: tunnel.Claim{Project: "shop", Link: tunnel.Link(keyOf("folder"), 0), Hosts: []string{""}},
	}
}

// toLoopback dials every name as this machine.
func toLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}

// prepare is an agent that dials loopback, on a machine with a network.
func prepare(opts Options) *Agent {
	a := New(opts)
	a.dialer.dial = toLoopback
	a.machine.addrs = func() ([]net.Addr, error) { return []net.Addr{&net.IPNet{IP: net.IPv4(192, 0, 2, 1)}}, nil }
	return a
}

// run runs an agent until the test ends.
func run(t *testing.T, opts Options) *running {
	t.Helper()
	r := &running{t: t, states: make(chan State, 1000), ended: make(chan error, 1)}
	opts.Notify = func(s State) { r.states <- s }
	r.Agent = prepare(opts)
	r.begin()
	return r
}

func (r *running) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	over := make(chan struct{})
	go func() {
		defer close(over)
		r.ended <- r.Run(ctx)
	}()
	r.t.Cleanup(func() {
		cancel()
		<-over
	})
}

// until waits for a phase.
func (r *running) until(phase Phase) State {
	r.t.Helper()
	for {
		if s := within(r.t, r.states); s.Phase == phase {
			return s
		}
	}
}

// fails waits for Run's error.
func (r *running) fails() *Error {
	r.t.Helper()
	err := within(r.t, r.ended)
	var e *Error
	if !errors.As(err, &e) {
		r.t.Fatalf("Run fails with %v, which is no *Error", err)
	}
	return e
}

// wants checks an error, with what its text and its fix must have.
func wants(t *testing.T, err error, reason Reason, text, fix string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *Error", err)
	}
	if e.Reason != reason || !strings.Contains(e.Error(), text) || !strings.Contains(e.Fix, fix) {
		t.Errorf("reason %s: %v\n  %s\nwant reason %s, with %q and the fix %q", e.Reason, e, e.Fix, reason, text, fix)
	}
	if e.Err == nil || e.Op == "" || e.Addr == "" {
		t.Errorf("the error %#v lacks something", e)
	}
}

// visitor is the client that tests play.
var visitor = tunnel.Visitor{Addr: netip.MustParseAddrPort("203.0.113.7:4711"), Scheme: "https", Host: "shop." + relayName}

// echo answers an agent's visitors with what they send, until it is closed.
func echo(a *Agent) {
	for {
		c, err := a.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
		}()
	}
}

// visit sends text as a visitor and wants it back.
func visit(t testing.TB, s *tunnel.Session, text string) {
	t.Helper()
	if err := tryVisit(s, text); err != nil {
		t.Fatal(err)
	}
}

func tryVisit(s *tunnel.Session, text string) error {
	stream, err := s.Open(visitor.AppendTo(nil))
	if err != nil {
		return err
	}
	defer stream.Close()
	if _, err := stream.Write([]byte(text)); err != nil {
		return err
	}
	if err := stream.CloseWrite(); err != nil {
		return err
	}
	_ = stream.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(stream)
	if err == nil && !bytes.Equal(got, []byte(text)) {
		err = errors.New("the echo is " + string(got))
	}
	return err
}
