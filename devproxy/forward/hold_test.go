package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// port is an in-memory address that refuses until it is opened; then every
// connection gets answer.
type port struct {
	answer string

	mu      sync.Mutex
	opensAt time.Time // zero: never
	dials   int
}

func (p *port) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opensAt = time.Now()
}

// dialled is how often somebody tried.
func (p *port) dialled() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials
}

// try counts a dial and reports whether it is accepted.
func (p *port) try() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dials++
	return !p.opensAt.IsZero() && !time.Now().Before(p.opensAt)
}

func (p *port) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if !p.try() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		buf := make([]byte, 4096)
		for {
			n, err := there.Read(buf)
			if err != nil {
				return
			}
			if strings.Contains(string(buf[:n]), "\r\n\r\n") {
				fmt.Fprint(there, p.answer)
			}
		}
	}()
	return here, nil
}

// bubble is an upstream at port, and what its exchanges share.
func bubble(p *port, opts Options) (*Upstream, *plan.Route) {
	opts.Dial = p.dial
	spec := &plan.Upstream{Members: []plan.Member{{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{"127.0.0.1:5173"}, Text: ":5173"}}}
	return New(spec, opts), &plan.Route{ID: "route", Path: "/", Hold: 10 * time.Second}
}

func forwardOnce(u *Upstream, route *plan.Route, r *http.Request) (*httptest.ResponseRecorder, Report, error) {
	var report Report
	w := httptest.NewRecorder()
	err := u.Forward(w, r, Exchange{Match: plan.Match{Route: route}, Target: "/", Scheme: "http", Report: &report})
	return w, report, err
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestHowLongARequestIsHeld(t *testing.T) {
	navigation := request("Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	fetch := request("Sec-Fetch-Mode", "cors", "Accept", "text/html")
	typed := request("Accept", "text/html,*/*")
	socket := request("Connection", "Upgrade", "Upgrade", "websocket", "Accept", "text/html")
	post := request("Accept", "text/html")
	post.Method = http.MethodPost
	for _, test := range []struct {
		name    string
		r       *http.Request
		hold    time.Duration
		waits   time.Duration
		waiting bool
	}{
		{"a navigation gets the waiting page after a second", navigation, 10 * time.Second, time.Second, true},
		{"or sooner when hold is shorter", navigation, 300 * time.Millisecond, 300 * time.Millisecond, true},
		{"or at once without hold", navigation, 0, 0, true},
		{"an old browser's is known by what it accepts", typed, 10 * time.Second, time.Second, true},
		{"a fetch waits for hold", fetch, 10 * time.Second, 10 * time.Second, false},
		{"a form waits for hold", post, 10 * time.Second, 10 * time.Second, false},
		{"a WebSocket waits for hold", socket, 10 * time.Second, 10 * time.Second, false},
		{"nothing waits without hold", fetch, 0, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, route := bubble(&port{}, Options{})
				route.Hold = test.hold
				start := time.Now()
				w, report, err := forwardOnce(u, route, test.r)
				var waiting *WaitingError
				var unavailable *UnavailableError
				if !errors.As(err, &waiting) && test.waiting || !errors.As(err, &unavailable) && !test.waiting {
					t.Errorf("Forward returned %T: %v", err, err)
				}
				if waited := time.Since(start); waited != test.waits || report.Held != test.waits {
					t.Errorf("held for %v, reported %v, want %v", waited, report.Held, test.waits)
				}
				if len(w.Header()) > 0 || w.Body.Len() > 0 {
					t.Error("something was written")
				}
				if err != nil && !strings.Contains(err.Error(), "nothing listens on 127.0.0.1:5173") {
					t.Errorf("the error does not say what was tried: %v", err)
				}
			})
		})
	}
}

func TestAHeldRequestIsAnsweredSoonAfterThePortOpens(t *testing.T) {
	for _, opens := range []time.Duration{5 * time.Millisecond, 100 * time.Millisecond, 7 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			p := &port{opensAt: start.Add(opens), answer: fine}
			u, route := bubble(p, Options{})
			w, report, err := forwardOnce(u, route, request())
			if err != nil || w.Body.String() != "ok" {
				t.Fatalf("got %q, %v", w.Body, err)
			}
			if late := time.Since(start) - opens; late > probeLast || report.Held == 0 {
				t.Errorf("answered %v after the port opened; held %v", late, report.Held)
			}
			if limit := 8 + int(opens/probeLast); p.dialled() > limit {
				t.Errorf("%d dials in %v", p.dialled(), opens)
			}
			if state := u.State(); !state.Known || !state.Up || state.After == 0 {
				t.Errorf("state = %+v", state)
			}
			u.Retire()
		})
	}
}

func TestOneGoroutineLooksForAllHeldRequestsAndTheyAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &port{answer: fine}
		u, route := bubble(p, Options{MaxHeld: 20})
		results := make(chan error, 21)
		for range 20 {
			go func() {
				_, _, err := forwardOnce(u, route, request())
				results <- err
			}()
		}
		synctest.Wait()
		_, _, err := forwardOnce(u, route, request())
		var unavailable *UnavailableError
		if !errors.As(err, &unavailable) || !unavailable.Full {
			t.Errorf("the 21st got %v", err)
		}
		_, _, page := forwardOnce(u, route, request("Accept", "text/html"))
		var waiting *WaitingError
		if !errors.As(page, &waiting) {
			t.Errorf("a navigation got %v", page)
		}
		before := p.dialled()
		time.Sleep(5 * time.Second)
		if n := p.dialled() - before; n > 5*4+8 {
			t.Errorf("%d dials in 5 s for 20 requests", n)
		}
		p.open()
		for range 20 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		u.Retire()
	})
}

func TestHeldRequestsAreReleasedWhenThePlanChanges(t *testing.T) {
	for name, change := range map[string]func(u *Upstream){
		"the upstream is retired":  (*Upstream).Retire,
		"the route goes elsewhere": func(u *Upstream) { u.CloseStreams("route") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, route := bubble(&port{}, Options{})
				start := time.Now()
				result := make(chan error, 1)
				go func() {
					r := request()
					r.Method, r.ContentLength, r.Body = http.MethodPost, 4, http.NoBody
					_, _, err := forwardOnce(u, route, r)
					result <- err
				}()
				synctest.Wait()
				u.CloseStreams("another route")
				time.Sleep(time.Second)
				change(u)
				if err := <-result; !errors.Is(err, ErrRetired) || time.Since(start) != time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

func TestARetiredUpstreamTakesNoRequest(t *testing.T) {
	u, route := bubble(&port{}, Options{})
	u.Retire()
	u.Retire()
	if _, _, err := forwardOnce(u, route, request()); !errors.Is(err, ErrRetired) {
		t.Error(err)
	}
	if err := u.Wait(t.Context()); err != nil || !u.Idle() {
		t.Error(err)
	}
}

func TestAVisitorWhoLeavesIsHeldNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, route := bubble(&port{}, Options{})
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		_, _, err := forwardOnce(u, route, request().WithContext(ctx))
		if !errors.Is(err, ErrClientGone) || !errors.Is(err, ErrAborted) {
			t.Error(err)
		}
		time.Sleep(time.Second) // no one looks any more
		synctest.Wait()
	})
}

func TestAMissingSocketHoldsAndAWrongNameDoesNot(t *testing.T) {
	for addr, held := range map[string]bool{"unix " + t.TempDir() + "/none.sock": true, "tcp no.such.name.invalid:80": false} {
		network, addr, _ := strings.Cut(addr, " ")
		u := New(&plan.Upstream{Members: []plan.Member{{Scheme: plan.SchemeHTTP, Network: network, Addrs: []string{addr}}}}, Options{})
		_, report, err := forwardOnce(u, &plan.Route{Hold: 30 * time.Millisecond}, request())
		var unavailable *UnavailableError
		var bad *UpstreamError
		if held != errors.As(err, &unavailable) || held == errors.As(err, &bad) || held != (report.Held > 0) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestProbesShareOneOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &port{}
		var changes []bool
		u, _ := bubble(p, Options{OnState: func(s State) { changes = append(changes, s.Up) }})
		if u.State().Known {
			t.Error("the state is known before anybody asked")
		}
		for range 100 {
			if s := u.Probe(t.Context()); s.Up || !s.Known || s.Attempts[0].String() != "127.0.0.1:5173: connection refused" {
				t.Fatalf("state = %+v", s)
			}
		}
		if p.dialled() != 1 {
			t.Errorf("%d dials for 100 probes", p.dialled())
		}
		p.open()
		time.Sleep(probeInterval)
		if s := u.Probe(t.Context()); !s.Up || s.After != probeInterval || s.Attempts != nil {
			t.Errorf("state = %+v", s)
		}
		if len(changes) != 2 || changes[0] || !changes[1] {
			t.Errorf("changes: %v", changes)
		}
	})
}
