package provider

import (
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// fakeOpener opens tunnels as a test tells it to.
type fakeOpener struct {
	mu      sync.Mutex
	opened  []string              // hosts, in the order of the attempts
	at      []time.Time           // the attempts
	tunnels map[string]chan error // by host; what ends a tunnel
	refuse  map[string]error      // by host: attempts that fail at once
}

func newFakeOpener() *fakeOpener {
	return &fakeOpener{tunnels: make(map[string]chan error), refuse: make(map[string]error)}
}

func (f *fakeOpener) open(ctx context.Context, w *way) error {
	f.mu.Lock()
	f.opened = append(f.opened, w.host)
	f.at = append(f.at, time.Now())
	refused := f.refuse[w.host]
	over := make(chan error)
	f.tunnels[w.host] = over
	f.mu.Unlock()
	if refused != nil {
		return refused
	}
	w.up(link{"x" + w.host + ".example.com", 443})
	select {
	case err := <-over:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeOpener) attempts(host string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, h := range f.opened {
		if h == host {
			n++
		}
	}
	return n
}

func (f *fakeOpener) setRefused(host string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse[host] = err
}

func (f *fakeOpener) end(host string, err error) {
	f.mu.Lock()
	over := f.tunnels[host]
	f.mu.Unlock()
	over <- err
}

// run is a carrier that runs until the test ends, and its notifications.
type run struct {
	Carrier
	result chan error
	cancel context.CancelFunc

	mu     sync.Mutex
	states []agent.State
}

func (r *run) last() agent.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.states[len(r.states)-1]
}

func (r *run) phases() (phases []agent.Phase) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.states {
		phases = append(phases, s.Phase)
	}
	return phases
}

func runFake(t *testing.T, f *fakeOpener, p Provider, hosts ...string) *run {
	t.Helper()
	p.opener = func(Options) (opener, error) { return f, nil }
	r := &run{result: make(chan error, 1)}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	r.Carrier = p.New(Options{Claim: tunnel.Claim{Hosts: hosts}, Notify: func(s agent.State) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.states = append(r.states, s)
	}})
	go func() { r.result <- r.Run(ctx) }()
	synctest.Wait()
	return r
}

func (r *run) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.result; err != nil {
		t.Errorf("Run ended with %v", err)
	}
}

var fakeProvider = Provider{Name: "fake", Operator: "no one"}

func failure(reason agent.Reason) *agent.Error {
	return &agent.Error{Reason: reason, Op: "try", Addr: "fake", Err: errors.New("it failed")}
}

func TestCarrierStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeOpener()
		f.setRefused("admin", failure(agent.ReasonBlocked))
		r := runFake(t, f, fakeProvider, "", "admin")
		if s := r.last(); s.Phase != agent.Waiting || s.Err == nil || s.Err.Reason != agent.ReasonBlocked {
			t.Errorf("with one of two hosts up the state is %+v, want waiting", s)
		}
		f.setRefused("admin", nil)
		time.Sleep(longestPause)
		synctest.Wait()
		want := agent.State{Phase: agent.Up, Grant: tunnel.Grant{Port: 443, Hosts: []string{"x.example.com", "xadmin.example.com"}}}
		if s := r.last(); !reflect.DeepEqual(s, want) {
			t.Errorf("the state is %+v, want %+v", s, want)
		}
		f.end("", errors.New("cut"))
		synctest.Wait()
		if s := r.last(); s.Phase != agent.Waiting || s.Err.Reason != agent.ReasonBroken || len(s.Grant.Hosts) != 2 {
			t.Errorf("after a cut the state is %+v, want waiting with the grant of before", s)
		}
		time.Sleep(longestPause)
		synctest.Wait()
		if s := r.last(); !reflect.DeepEqual(s, want) {
			t.Errorf("the state is %+v, want %+v", s, want)
		}
		if n := f.attempts("admin"); n != 2 {
			t.Errorf("the other host was opened %d times, want 2", n)
		}
		r.stop(t)
		if got, want := r.phases()[0], agent.Connecting; got != want {
			t.Errorf("the first phase is %v, want %v", got, want)
		}
	})
}

// The pause doubles up to longestPause, and begins from the start after a tunnel
// that lasted.
func TestCarrierPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeOpener()
		f.setRefused("", failure(agent.ReasonRefused))
		r := runFake(t, f, fakeProvider, "")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		f.mu.Lock()
		at := slices.Clone(f.at)
		f.mu.Unlock()
		for i := 1; i < len(at); i++ {
			most := min(firstPause<<(i-1), longestPause)
			if pause := at[i].Sub(at[i-1]); pause < most/2 || pause > most {
				t.Errorf("pause %d is %v, want %v to %v", i, pause, most/2, most)
			}
		}
		if n := len(at); n < 15 || n > 30 {
			t.Errorf("%d attempts in ten minutes, want one a minute or two", n)
		}
		f.setRefused("", nil)
		time.Sleep(longestPause + stable)
		synctest.Wait()
		before := f.attempts("")
		f.end("", nil)
		time.Sleep(firstPause)
		synctest.Wait()
		if f.attempts("") != before+1 {
			t.Errorf("after a tunnel that lasted the next is not tried within %v", firstPause)
		}
		r.stop(t)
	})
}

func TestCarrierFatal(t *testing.T) {
	for _, reason := range []agent.Reason{agent.ReasonPin, agent.ReasonUnknownKey, agent.ReasonRelay, ReasonNoURL, ReasonProgram} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeOpener()
			r := runFake(t, f, fakeProvider, "", "admin")
			f.end("admin", failure(reason))
			var e *agent.Error
			if err := <-r.result; !errors.As(err, &e) || e.Reason != reason {
				t.Errorf("Run ended with %v, want %v", err, reason)
			}
			if _, err := r.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept says %v, want net.ErrClosed", err)
			}
			if _, err := r.Claim(t.Context(), tunnel.Claim{Hosts: []string{""}}); err == nil {
				t.Error("Claim works after Run has ended")
			}
			r.cancel()
		})
	}
}

func TestCarrierClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeOpener()
		r := runFake(t, f, fakeProvider, "", "admin")
		grant, err := r.Claim(t.Context(), tunnel.Claim{Hosts: []string{"api", ""}})
		if want := []string{"xapi.example.com", "x.example.com"}; err != nil || !slices.Equal(grant.Hosts, want) {
			t.Errorf("granted %v, %v; want %v", grant.Hosts, err, want)
		}
		synctest.Wait()
		if f.attempts("") != 1 || f.attempts("api") != 1 {
			t.Errorf("opened %v, want the first host once", f.opened)
		}
		grant, err = r.Claim(t.Context(), tunnel.Claim{Hosts: []string{"", "admin"}})
		if want := []string{"x.example.com", "xadmin.example.com"}; err != nil || !slices.Equal(grant.Hosts, want) {
			t.Errorf("granted %v, %v; want %v", grant.Hosts, err, want)
		}
		if f.attempts("admin") != 2 || f.attempts("") != 1 {
			t.Errorf("opened %v, want admin twice and the first host once", f.opened)
		}
		// A host that does not come up keeps Claim waiting, for as long as it may.
		f.setRefused("late", failure(agent.ReasonBlocked))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var e *agent.Error
		if _, err := r.Claim(ctx, tunnel.Claim{Hosts: []string{"", "late"}}); !errors.As(err, &e) || e.Reason != agent.ReasonBroken {
			t.Errorf("Claim says %v, want %v", err, agent.ReasonBroken)
		}
		r.stop(t)
	})
}

func TestCarrierClaimRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeOpener()
		p := fakeProvider
		p.MaxHosts = 1
		r := runFake(t, f, p, "")
		before := r.last()
		for _, hosts := range [][]string{{"", "admin"}, {"*.tenant"}} {
			var e *agent.Error
			if _, err := r.Claim(t.Context(), tunnel.Claim{Hosts: hosts}); !errors.As(err, &e) || e.Reason != agent.ReasonBadClaim || e.Fix == "" {
				t.Errorf("Claim of %q says %v, want %v", hosts, err, agent.ReasonBadClaim)
			}
		}
		if !reflect.DeepEqual(r.last(), before) {
			t.Errorf("a refused claim changed the state to %+v", r.last())
		}
		r.stop(t)
		r = runFake(t, f, p, "", "admin")
		var e *agent.Error
		if err := <-r.result; !errors.As(err, &e) || e.Reason != agent.ReasonBadClaim {
			t.Errorf("Run says %v, want %v", err, agent.ReasonBadClaim)
		}
		r.cancel()
	})
}

// A visitor is handed on with the name that the host has at that moment.
func TestCarrierAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeOpener()
		r := runFake(t, f, fakeProvider, "")
		w := r.Carrier.(*carrier).ways[0]
		w.up(link{"renamed.example.com", 8443})
		near, far := net.Pipe()
		go w.accept(t.Context(), near)
		conn, err := r.Accept()
		if err != nil {
			t.Fatal(err)
		}
		want := tunnel.Visitor{Scheme: "https", Host: "renamed.example.com:8443"}
		if got := conn.(*Conn).Visitor; got != want {
			t.Errorf("the visitor is %+v, want %+v", got, want)
		}
		if err := conn.(*Conn).CloseWrite(); err == nil {
			t.Error("a pipe has been half closed")
		}
		conn.Close()
		far.Close()
		if s := r.last(); s.Grant.Port != 8443 {
			t.Errorf("the granted port is %d, want 8443", s.Grant.Port)
		}

		// A visitor that is never accepted is closed with its tunnel.
		ctx, cancel := context.WithCancel(t.Context())
		near, far = net.Pipe()
		go w.accept(ctx, near)
		synctest.Wait()
		cancel()
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the visitor reads %v, want EOF", err)
		}
		far.Close()
		r.stop(t)
	})
}

func TestCarrierClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeOpener()
		r := runFake(t, f, fakeProvider, "", "admin")
		r.Close()
		r.Close()
		if err := <-r.result; err != nil {
			t.Errorf("Run ended with %v", err)
		}
		r.cancel()
		early := fakeProvider
		early.opener = func(Options) (opener, error) { return f, nil }
		c := early.New(Options{Claim: tunnel.Claim{Hosts: []string{""}}})
		c.Close()
		if err := c.Run(t.Context()); err != nil {
			t.Errorf("Run after Close ended with %v", err)
		}
	})
}
