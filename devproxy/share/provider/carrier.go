package provider

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
	"github.com/devproxy/devproxy/tunnel/splice"
)

const (
	// firstPause and longestPause bound the pause between attempts to open a tunnel,
	// which doubles with every failure. A public service gets fewer attempts than a
	// relay of one's own.
	firstPause   = time.Second
	longestPause = time.Minute
	// stable is how long a tunnel must have lasted for its end to count as the
	// first failure.
	stable = 30 * time.Second
)

// Conn is a connection with visitors: with one, or with several in turn when the
// provider or its HTTPS proxy reuses connections.
type Conn struct {
	net.Conn
	// Visitor is the client at the other end, without an address.
	Visitor tunnel.Visitor
	// AddrField is the request field that has the visitor's address on this
	// connection: Provider.AddrField, or empty where others than the provider
	// could have written it.
	AddrField string
}

// CloseWrite closes the direction that is written and leaves the other open.
func (c *Conn) CloseWrite() error { return splice.CloseWrite(c.Conn) }

// carrier has a tunnel for each shared host, since the names that a provider assigns
// are unrelated.
type carrier struct {
	provider Provider
	opts     Options
	opener   opener
	fault    error // of the options; Run fails with it
	visitors chan *Conn
	life     context.Context // ends with Close
	end      context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	run     context.Context // of the tunnels; nil unless Run runs
	fail    context.CancelCauseFunc
	ways    []*way // in the order of the claim's hosts
	state   agent.State
	changed chan struct{} // closed when the state changes
}

// way is the tunnel to one shared host, for its opener.
type way struct {
	// host is the shared host, as the claim has it: "", "admin".
	host string

	carrier *carrier
	cancel  context.CancelFunc

	// Guarded by the carrier's mutex.
	name      string // public; empty while visitors do not get through
	port      uint16
	hidesAddr bool         // AddrField cannot be trusted
	err       *agent.Error // why the last attempt failed; nil before that, and once visitors get through
}

func newCarrier(p Provider, opts Options) *carrier {
	opts = opts.withDefaults()
	c := &carrier{
		provider: p, opts: opts, visitors: make(chan *Conn),
		state: agent.State{Phase: agent.Connecting}, changed: make(chan struct{}),
	}
	c.life, c.end = context.WithCancel(context.Background())
	if c.fault = p.check(opts.Claim); c.fault == nil {
		c.opener, c.fault = p.opener(opts)
	}
	return c
}

// check refuses a claim for which the provider has no names.
func (p Provider) check(claim tunnel.Claim) error {
	if p.MaxHosts > 0 && len(claim.Hosts) > p.MaxHosts {
		reason := fmt.Errorf("it shares at most %d host, and the project has %d", p.MaxHosts, len(claim.Hosts))
		return shareError(agent.ReasonBadClaim, p.Name, reason, "set share = false on the others")
	}
	for _, host := range claim.Hosts {
		if strings.Contains(host, "*") {
			reason := fmt.Errorf("it has no names for the wildcard host %q", host)
			return shareError(agent.ReasonBadClaim, p.Name, reason, "set share = false on that host, or use a devproxy relay")
		}
	}
	return nil
}

// Run implements Carrier.
func (c *carrier) Run(ctx context.Context) error {
	defer c.Close()
	if c.fault != nil {
		return c.fault
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop := context.AfterFunc(c.life, func() { fail(nil) })
	defer stop()
	c.mu.Lock()
	c.run, c.fail = ctx, fail
	c.opts.Notify(c.state)
	c.shareLocked(c.opts.Claim.Hosts)
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.run = nil // Claim opens no more tunnels
	c.mu.Unlock()
	c.running.Wait()
	if fatal, ok := errors.AsType[*agent.Error](context.Cause(ctx)); ok {
		return fatal
	}
	return nil
}

// shareLocked opens the tunnels that are missing and ends those of other hosts.
func (c *carrier) shareLocked(hosts []string) {
	before := c.ways
	c.ways = nil
	for _, host := range hosts {
		i := slices.IndexFunc(before, func(w *way) bool { return w.host == host })
		if i >= 0 {
			c.ways = append(c.ways, before[i])
			continue
		}
		ctx, cancel := context.WithCancel(c.run)
		w := &way{host: host, carrier: c, cancel: cancel}
		c.ways = append(c.ways, w)
		c.running.Go(func() { c.keep(ctx, w) })
	}
	for _, w := range before {
		if !slices.Contains(c.ways, w) {
			w.cancel()
		}
	}
	c.notifyLocked()
}

// keep opens one tunnel after the other until ctx ends.
func (c *carrier) keep(ctx context.Context, w *way) {
	defer w.cancel()
	for fails := 0; ctx.Err() == nil; fails++ {
		began := time.Now()
		err := c.opener.open(ctx, w)
		if ctx.Err() != nil {
			return
		}
		known, ok := errors.AsType[*agent.Error](err)
		if !ok {
			known = broken(c.provider.Name, err)
		}
		c.opts.Log.Info("a tunnel is over", "provider", c.provider.Name, "host", w.host, "error", known)
		if isFatal(known) {
			c.fail(known)
			return
		}
		w.down(known)
		if time.Since(began) >= stable {
			fails = 0
		}
		pause := min(firstPause<<min(fails, 10), longestPause)
		_ = sleep(ctx, pause/2+rand.N(pause/2)) // the loop checks ctx
	}
}

// sleep waits for d. It fails when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// update changes the way, and the state with it.
func (w *way) update(change func()) {
	w.carrier.mu.Lock()
	defer w.carrier.mu.Unlock()
	change()
	w.carrier.notifyLocked()
}

// up notes that visitors get through to the host by its public name.
func (w *way) up(public link) {
	w.update(func() { w.name, w.port, w.err = public.name, public.port, nil })
}

// down notes that they do not.
func (w *way) down(err *agent.Error) { w.update(func() { w.name, w.err = "", err }) }

// trustAddr notes whether only the provider can have written AddrField on the
// connections that are accepted from now on. Before the first call, it can.
func (w *way) trustAddr(can bool) { w.update(func() { w.hidesAddr = !can }) }

// accept hands a visitor's connection to Accept, and closes it when that is no longer
// called. A connection does not identify its visitor. It is called only after up.
func (w *way) accept(ctx context.Context, conn net.Conn) {
	w.carrier.mu.Lock()
	visitor := tunnel.Visitor{Scheme: "https", Host: link{w.name, w.port}.authority()}
	field := w.carrier.provider.AddrField
	if w.hidesAddr {
		field = ""
	}
	w.carrier.mu.Unlock()
	select {
	case w.carrier.visitors <- &Conn{conn, visitor, field}:
	case <-ctx.Done():
		_ = conn.Close() // it was not used
	}
}

// notifyLocked computes the state of all tunnels together and reports a change. A
// share is up when every host of it is: with some of them the pages of a project do
// not work.
func (c *carrier) notifyLocked() {
	next := agent.State{Phase: agent.Up, Grant: tunnel.Grant{Port: httpsPort}}
	for _, w := range c.ways {
		switch {
		case w.err != nil:
			next.Phase, next.Err = agent.Waiting, w.err
		case w.name == "" && next.Phase == agent.Up:
			next.Phase = agent.Connecting
		case w.name != "":
			next.Grant.Hosts = append(next.Grant.Hosts, w.name)
			next.Grant.Port = w.port
		}
	}
	if next.Phase != agent.Up {
		next.Grant = c.state.Grant
	}
	if reflect.DeepEqual(next, c.state) {
		return
	}
	c.state = next
	close(c.changed)
	c.changed = make(chan struct{})
	c.opts.Notify(next)
}

// Claim implements Carrier. It waits for the tunnels of new hosts.
func (c *carrier) Claim(ctx context.Context, claim tunnel.Claim) (tunnel.Grant, error) {
	if err := c.provider.check(claim); err != nil {
		return tunnel.Grant{}, err
	}
	c.mu.Lock()
	if c.run == nil {
		c.mu.Unlock()
		return tunnel.Grant{}, broken(c.provider.Name, errors.New("the share is not running"))
	}
	c.shareLocked(claim.Hosts)
	c.mu.Unlock()
	for {
		c.mu.Lock()
		state, changed := c.state, c.changed
		c.mu.Unlock()
		if state.Phase == agent.Up {
			return state.Grant, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return tunnel.Grant{}, broken(c.provider.Name, context.Cause(ctx))
		case <-c.life.Done():
			return tunnel.Grant{}, broken(c.provider.Name, errors.New("the share has ended"))
		}
	}
}

// End implements Carrier. The names end with their tunnels; the provider decides what
// visitors see then.
func (c *carrier) End(context.Context) error { return nil }

// Accept waits for the next visitor; the connection is a *Conn. It returns
// net.ErrClosed once the carrier is closed or Run has returned.
func (c *carrier) Accept() (net.Conn, error) {
	select {
	case conn := <-c.visitors:
		return conn, nil
	case <-c.life.Done():
		return nil, net.ErrClosed
	}
}

// Close ends Run, and with it every visitor's connection, at once. It does not
// wait, and closing again does nothing.
func (c *carrier) Close() error {
	c.end()
	return nil
}

// Addr returns the provider's name, for logs.
func (c *carrier) Addr() net.Addr { return addr(c.provider.Name) }

type addr string

func (addr) Network() string  { return "devproxy" }
func (a addr) String() string { return string(a) }
