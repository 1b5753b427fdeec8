package forward

import (
	"context"
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

// replica is an upstream in memory that says its name, refuses, stays silent or
// fails its health check.
type replica struct {
	name string

	mu       sync.Mutex
	refuses  bool
	silent   chan struct{} // closed when it answers again; nil: it answers
	sick     bool          // /healthz gives 503
	visits   int
	checks   int
	cookies  []string
	checkers []string // Host of checks
}

func (r *replica) set(change func(*replica)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// stop makes it silent, as SIGSTOP does; cont undoes it.
func (r *replica) stop() { r.set(func(r *replica) { r.silent = make(chan struct{}) }) }
func (r *replica) cont() {
	r.set(func(r *replica) {
		close(r.silent)
		r.silent = nil
	})
}
func (r *replica) kill()   { r.set(func(r *replica) { r.refuses = true }) }
func (r *replica) start()  { r.set(func(r *replica) { r.refuses = false }) }
func (r *replica) sicken() { r.set(func(r *replica) { r.sick = true }) }
func (r *replica) heal()   { r.set(func(r *replica) { r.sick = false }) }

// asked is the number of requests since the last call.
func (r *replica) asked() (n int) {
	r.set(func(r *replica) { n, r.visits = r.visits, 0 })
	return n
}

func (r *replica) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	silent, sick := r.silent, r.sick
	if req.URL.Path == "/healthz" {
		r.checks++
		r.checkers = append(r.checkers, req.Host)
	} else {
		r.visits++
		r.cookies = append(r.cookies, req.Header.Get("Cookie"))
	}
	r.mu.Unlock()
	if silent != nil {
		select {
		case <-silent:
		case <-req.Context().Done():
			return
		}
	}
	if sick && req.URL.Path == "/healthz" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, r.name)
}

// pipes is a listener of connections in memory.
type pipes struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.over) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// cluster is an Upstream over replicas, in a bubble of synctest.
type cluster struct {
	t        *testing.T
	replicas map[string]*replica // by address
	pipes    map[string]*pipes
	upstream *Upstream
	route    *plan.Route
	turned   []MemberChange
	mu       sync.Mutex
}

// every second, ill after two failures.
func everySecond() *plan.Health {
	return &plan.Health{Path: "/healthz", Interval: time.Second, Timeout: 500 * time.Millisecond, Rise: 1, Fall: 2}
}

// newCluster makes members a, b, ... and the fallback members of spec.
func newCluster(t *testing.T, spec plan.Upstream, members, fallback string) *cluster {
	c := &cluster{t: t, replicas: map[string]*replica{}, pipes: map[string]*pipes{}}
	spec.Members, spec.Fallback = c.add(members), c.add(fallback)
	c.upstream = New(&spec, Options{Dial: c.dial, OnMember: func(m MemberChange) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.turned = append(c.turned, m)
	}})
	c.route = &plan.Route{ID: "route", Path: "/", Hold: 5 * time.Second}
	return c
}

func (c *cluster) add(names string) (members []plan.Member) {
	for _, name := range strings.Split(names, "") {
		addr := name + ":80"
		r, ln := &replica{name: name}, &pipes{conns: make(chan net.Conn), over: make(chan struct{})}
		c.replicas[addr], c.pipes[addr] = r, ln
		srv := &http.Server{Handler: r}
		go srv.Serve(ln)
		c.t.Cleanup(func() { srv.Close() })
		members = append(members, plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{addr}, Text: name})
	}
	return members
}

func (c *cluster) at(name string) *replica { return c.replicas[name+":80"] }

func (c *cluster) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	r := c.replicas[addr]
	r.mu.Lock()
	refuses := r.refuses
	r.mu.Unlock()
	if refuses {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	here, there := net.Pipe()
	select {
	case c.pipes[addr].conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// close ends all of it, inside the bubble.
func (c *cluster) close() {
	c.upstream.Retire()
	for _, p := range c.pipes {
		p.Close()
	}
	if err := c.upstream.Wait(context.Background()); err != nil {
		c.t.Error(err)
	}
}

// ask sends one request and returns the member that answered.
func (c *cluster) ask(r *http.Request) (*httptest.ResponseRecorder, Report) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute) // of the bubble's: who waits longer waits for ever
	defer cancel()
	w, report, err := forwardOnce(c.upstream, c.route, r.WithContext(ctx))
	if err != nil {
		c.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	return w, report
}

// answers returns the members that answer n requests, one after the other.
func (c *cluster) answers(n int) (names string) {
	c.t.Helper()
	for range n {
		w, _ := c.ask(request())
		names += w.Body.String()
	}
	return names
}

// inBubble runs f with a cluster in a bubble.
func inBubble(t *testing.T, spec plan.Upstream, members, fallback string, f func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, spec, members, fallback)
		defer c.close()
		synctest.Wait() // the first checks
		f(t, c)
	})
}

func (c *cluster) state(name string) MemberState {
	for _, m := range c.upstream.Members() {
		if m.Text == name {
			return m
		}
	}
	c.t.Fatalf("no member %s", name)
	return MemberState{}
}
