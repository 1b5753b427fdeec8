package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// Options are what a relay is made of.
type Options struct {
	// Domain is the parent of all public names, in lower case: "t.example.com".
	// Agents connect to it itself.
	Domain string
	// Port is the port in links and redirects; 0 is that of Serve's listener.
	// Visitors are served whatever port they came by.
	Port uint16
	// Certificate is asked in every handshake; ClientHelloInfo.ServerName may
	// be any name, or none.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Registry keeps names and keys; nil is a new Memory.
	Registry Registry
	// AuthorizedKeys is the path of a file of keys that are admitted, looked at
	// every 2 s; empty is none.
	AuthorizedKeys string
	// Tokens enrol a key that presents one of them. New refuses those that
	// CheckToken does.
	Tokens []string
	// Names are plain names that agents may claim although they are reserved.
	Names []string
	// Covers reports whether a certificate is there for a name, so that nobody
	// is given one that browsers refuse; nil is for every name.
	Covers func(name string) bool
	// Certificates are the certificates in use by a name for each, such as its
	// file, for metrics; nil is for none.
	Certificates func() map[string]*x509.Certificate
	// Open admits every key.
	Open bool
	// ProxyProtocol are the addresses of balancers. Their connections to Serve's
	// listener begin with a header of the PROXY protocol, version 1 or 2, that tells
	// the address of the visitor or agent; those to ServeRedirect's may.
	ProxyProtocol []netip.Prefix
	// TrustedProxies are the addresses of proxies that end TLS in front of the relay
	// and speak TLS with it again. Their X-Forwarded-For tells the visitor. Agents
	// cannot come through them.
	TrustedProxies []netip.Prefix
	// Congestion is the congestion control asked for agents' connections:
	// "bbr", or "system" or "" for the system's own.
	Congestion string
	// Limits bound strangers; zero fields have their defaults.
	Limits Limits
	// Log takes what the relay's owner should know, Access one record for every
	// request of a visitor; nil discards.
	Log, Access *slog.Logger
	// Metrics is what the relay's metrics are registered with, and what Admin
	// serves; nil is one of its own.
	Metrics *prometheus.Registry
}

// Relay is made by New. It runs while one of the Serve methods does, until
// Close, Shutdown or Retire.
type Relay struct {
	opts    Options
	log     *slog.Logger
	journal *journalState
	// access and refused take one line for each visit: those that a share has
	// answered, and the others. Nil discards.
	access, refused *slog.Logger
	keys            *keys
	door            *door
	// balancers send a PROXY protocol header, trusted an X-Forwarded-For.
	balancers, trusted proxies
	table              *table
	metrics            *metrics
	tls                *tls.Config
	agents             *tunnel.Acceptor
	server             *http.Server
	memory             *budget.Budget // of what strangers make it hold
	handed             *handed
	started            time.Time
	port               atomic.Uint32

	// life ends with Close: what waits for visitors or agents ends with it.
	life   context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup
	begin  sync.Once

	mu        sync.Mutex
	listeners map[net.Listener]kind
	admitted  map[Key]admitted
	switched  map[*splice.Upgrade]struct{}
	sessions  map[Key][]*share // oldest first
	stopping  bool
	closed    bool // no goroutine is started any more
	// restarting is that switched connections are ended.
	restarting bool
	// successor dials the process that took over; nil while none has.
	successor func(context.Context) (net.Conn, error)
}

// New makes a relay. It fails when the options do, or the file of keys cannot
// be read.
func New(o Options) (*Relay, error) {
	if o.Domain == "" || o.Domain != strings.ToLower(o.Domain) || o.Certificate == nil {
		return nil, errors.New("a relay needs a domain in lower case and certificates")
	}
	if o.Registry == nil {
		o.Registry = NewMemory()
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	def(&o.Log, slog.New(slog.DiscardHandler))
	o.Limits = o.Limits.withDefaults()
	keys, err := newKeys(&o)
	if err != nil {
		return nil, err
	}
	balancers, trusted := newProxies(o.ProxyProtocol), newProxies(o.TrustedProxies)
	r := &Relay{
		opts: o, keys: keys, journal: newJournal(o.Log),
		balancers: balancers, trusted: trusted,
		door: newDoor(o.Limits), memory: budget.New(budget.Shared(o.Limits.Memory)), table: newTable(), handed: newHanded(),
		started:   time.Now(),
		listeners: map[net.Listener]kind{}, admitted: map[Key]admitted{}, switched: map[*splice.Upgrade]struct{}{},
		sessions: map[Key][]*share{},
	}
	r.door.proxies = slices.Concat(balancers, trusted)
	r.log = r.journal.logger(o.Log, "")
	if o.Access != nil {
		r.access, r.refused = r.journal.logger(o.Access, kindAnswered), r.journal.logger(o.Access, kindRefused)
	}
	r.port.Store(uint32(o.Port))
	r.life, r.cancel = context.WithCancel(context.Background())
	r.agents = &tunnel.Acceptor{Admit: r.admit, Established: r.established, Budget: r.memory, Log: r.log}
	r.tls = r.tlsConfig()
	r.server = r.httpServer()
	if r.metrics, err = newMetrics(r); err != nil {
		return nil, fmt.Errorf("cannot register the relay's metrics: %w", err)
	}
	return r, nil
}

// run starts what every Serve method needs, once.
func (r *Relay) run() {
	r.begin.Do(func() {
		r.group.Go(func() { _ = r.server.Serve(r.handed) }) // ends with Close or Shutdown
		r.group.Go(r.keepHouse)
		r.group.Go(func() {
			r.keys.watch(r.life, func(err error) { r.log.Error("authorized keys not read", "error", err) })
		})
		stop := r.opts.Registry.Watch(r.changed)
		r.group.Go(func() {
			<-r.life.Done()
			stop()
		})
	})
}

// changed acts on a change in the registry, whoever made it.
func (r *Relay) changed(c Change) {
	switch {
	case c.Name != "":
		r.table.end(c.Name)
	case c.Standing == Revoked:
		if s := r.table.ofKey(c.Key); s != nil {
			r.log.Info("key revoked", "key", c.Key)
			r.spawn(func() { s.session.Close(revoked) })
		}
	}
}

// spawn runs f in a goroutine that Close waits for; false when it is closed.
func (r *Relay) spawn(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.group.Go(f)
	}
	return !r.closed
}

// kind is when a listener is closed.
type kind int

const (
	public  kind = iota // when the relay begins to stop
	private             // when it has stopped: a predecessor may still need it
)

// hold keeps ln to be closed in time; false when the relay has stopped.
func (r *Relay) hold(ln net.Listener, k kind) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopping {
		return false
	}
	r.listeners[ln] = k
	r.group.Add(1)
	return true
}

// stopAccepting closes the listeners up to a kind; connections stay.
func (r *Relay) stopAccepting(upTo kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopping = true
	for ln, k := range r.listeners {
		if k <= upTo {
			ln.Close() // nothing can be done about a socket that does not close
			delete(r.listeners, ln)
		}
	}
}

// leaving reports whether the relay is about to stop: every response then asks
// its client to connect anew.
func (r *Relay) leaving() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopping
}
