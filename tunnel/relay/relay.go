// Package relay is the public side of shares: a server that agents hold sessions
// with and that visitors open links at. Both connect to the same port.
//
// A visitor's request is routed by its authority alone, never by the connection it
// came on. It travels as HTTP/1.1 on its own stream to the agent that has the name.
// Everything the relay knows about the visitor is in the head of that stream
// (tunnel.Visitor).
//
// The package does not know Proxyfiles, flags or local certificate authorities: the
// program hands in sockets, certificates, keys and a Registry.
package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/devproxy/devproxy/tunnel/budget"
)

const (
	// acceptPause is how long accepting pauses after a failure, such as too many
	// open files.
	acceptPause = 50 * time.Millisecond
	// sweepEvery is how often the shares of lost sessions are forgotten.
	sweepEvery = 10 * time.Second
	// renewEvery is how often it is recorded that names and zones are in use.
	renewEvery = 12 * time.Hour
	// drainPoll is how often Shutdown and Retire count what is left.
	drainPoll = 50 * time.Millisecond
)

// Options configure a relay.
type Options struct {
	// Domain is the parent of all public names, in lower case: "t.example.com".
	// Agents connect to the domain itself.
	Domain string
	// Port is the port in links and redirects; 0 is that of Serve's listener.
	// Visitors are served on every port.
	Port uint16
	// Certificate is called in every handshake; ClientHelloInfo.ServerName may be
	// any name, or none.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Registry keeps names and keys.
	Registry Registry
	// AuthorizedKeys is the path of a file of keys that are admitted, which is read
	// every 2 s; empty is none.
	AuthorizedKeys string
	// Tokens enrol a key that presents one of them. New refuses tokens for which
	// CheckToken returns an error.
	Tokens []string
	// Names are plain names that agents may claim although they are reserved.
	Names []string
	// Covers reports whether the relay has a certificate for a name, so that it
	// does not grant names which browsers refuse; nil covers every name.
	Covers func(name string) bool
	// CoverZone gets a certificate for *.ZONE, the zone of a key that has claimed it from
	// network. Until there is one it returns the refusal of the claim. Nil is for a relay
	// whose certificates do not change with claims.
	CoverZone func(zone, key string, network netip.Prefix) error
	// Domains proves that domains of users' own belong to keys; nil refuses all of them.
	Domains DomainProver
	// CoverDomain gets a certificate for a domain that belongs to a key, which has claimed
	// it from network. Until there is one it returns the refusal of the claim. Nil is for a
	// relay whose certificates do not change with claims: Covers decides.
	CoverDomain func(domain, key string, network netip.Prefix) error
	// Challenges prove domains that are being ordered to a certificate authority, which asks
	// on Serve's and ServeRedirect's listeners; nil proves none.
	Challenges Challenges
	// Ready reports whether Serve has been called, for /healthz; nil means that it has.
	Ready func() bool
	// Collectors are metrics of other parts of the program.
	Collectors []prometheus.Collector
	// Certificates returns the certificates in use for metrics, by a name for each,
	// such as its file; nil is for none.
	Certificates func() map[string]*x509.Certificate
	// TCPPorts and UDPPorts are the ports that shares can have; zero is none. The relay
	// listens on them at the address of Serve's listener while shares use them.
	TCPPorts, UDPPorts PortRange
	// Open admits every key.
	Open bool
	// ProxyProtocol are the addresses of balancers. Their connections to Serve's
	// listener begin with a header of the PROXY protocol, version 1 or 2, with the
	// address of the visitor or agent. Those to ServeRedirect's may begin with one.
	ProxyProtocol []netip.Prefix
	// TrustedProxies are the addresses of proxies that end TLS in front of the relay
	// and speak TLS with it again. Their X-Forwarded-For names the visitor, and their
	// X-Forwarded-Proto how it has connected. Agents cannot connect through them.
	TrustedProxies []netip.Prefix
	// Cloudflare are further trusted proxies, those of Cloudflare. Their CF-Connecting-IP
	// names the visitor.
	Cloudflare []netip.Prefix
	// Congestion is the congestion control of agents' connections: "bbr", or
	// "system" or "" for the system's default.
	Congestion string
	// Limits bound strangers; zero fields have their defaults.
	Limits Limits
	// Log gets the records for the relay's operator. Access gets one record for
	// every request of a visitor. Nil discards.
	Log, Access *slog.Logger
}

// Relay is made by New. It runs while one of its Serve methods does, until Close,
// Shutdown or Retire.
type Relay struct {
	lifecycle
	opts Options
	log  *slog.Logger
	logs *logLimiter
	// access and refused get one line for each visit: access if a share has
	// answered, refused otherwise. Nil discards.
	access, refused *slog.Logger
	keys            *keyPolicy
	conns           *connections
	// balancers send a PROXY protocol header, trusted an X-Forwarded-For.
	balancers, trusted proxies
	// cloudflare are those of trusted that are Cloudflare's.
	cloudflare proxies
	shares     *shareTable
	states     *callbackStates
	ports      *ports
	agents     *agents
	front      *front
	metrics    *metrics
	memory     *budget.Budget // of what strangers make the relay hold
	created    time.Time
	port       atomic.Uint32
	host       atomic.Pointer[string] // of Serve's first listener; nil until there is one
	startOnce  sync.Once
}

// New makes a relay. It fails when an option is invalid, or the file of keys cannot
// be read.
func New(o Options) (*Relay, error) {
	if o.Domain == "" || o.Domain != strings.ToLower(o.Domain) || o.Certificate == nil || o.Registry == nil {
		return nil, errors.New("a relay needs a domain in lower case, certificates and a registry")
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Limits.Descriptors = withoutPorts(cmp.Or(o.Limits.Descriptors, descriptors()), o.TCPPorts.size()+o.UDPPorts.size())
	o.Limits = o.Limits.withDefaults()
	keys, err := newKeyPolicy(&o)
	if err != nil {
		return nil, err
	}
	r := &Relay{
		opts: o, keys: keys, logs: newLogLimiter(o.Log),
		balancers: newProxies(o.ProxyProtocol), trusted: newProxies(slices.Concat(o.TrustedProxies, o.Cloudflare)), cloudflare: newProxies(o.Cloudflare),
		conns: newConnections(o.Limits), shares: newShareTable(), states: newCallbackStates(),
		memory: budget.New(budget.Shared(o.Limits.Memory)), created: time.Now(),
	}
	r.begin()
	r.conns.proxies = slices.Concat(r.balancers, r.trusted)
	r.log = r.logs.logger(o.Log, "")
	if o.Access != nil {
		r.access, r.refused = r.logs.logger(o.Access, kindAnswered), r.logs.logger(o.Access, kindRefused)
	}
	r.port.Store(uint32(o.Port))
	r.agents = newAgents(r)
	r.ports = newPorts(r)
	r.front = newFront(r)
	r.metrics = newMetrics(r)
	return r, nil
}

// Serve accepts agents and visitors on ln until the relay stops or ctx ends, which
// is Close. It returns an error of ln.
func (r *Relay) Serve(ctx context.Context, ln net.Listener) error {
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok {
		r.port.CompareAndSwap(0, uint32(tcp.Port))
		host := tcp.AddrPort().Addr().String()
		r.host.CompareAndSwap(nil, &host)
	}
	return r.accept(ctx, ln, r.accepting, func(c net.Conn) { r.count(c, r.front.greet) })
}

// accept calls take, which must not block, with every connection of ln, and closes ln
// when until ends.
func (r *Relay) accept(ctx context.Context, ln net.Listener, until context.Context, take func(net.Conn)) error {
	if r.leaving() || !r.enter() {
		ln.Close()
		return nil
	}
	defer r.group.Done()
	defer context.AfterFunc(until, func() { ln.Close() })()
	r.startOnce.Do(r.start)
	defer context.AfterFunc(ctx, r.Close)()
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			take(c)
		case errors.Is(err, net.ErrClosed):
			return nil
		case isTemporary(err):
			r.log.Error("connection not accepted", "error", err)
			wait(r.life, acceptPause, nil)
		default:
			return fmt.Errorf("cannot accept on %s: %w", ln.Addr(), err)
		}
	}
}

// count adds a connection to those of its network, and serves it in a goroutine.
// It closes one that a limit refuses.
func (r *Relay) count(c net.Conn, serve func(*conn)) {
	counted := r.conns.add(c)
	if counted == nil {
		r.tooMany("connections", addrOf(c.RemoteAddr()))
		c.Close()
		return
	}
	r.group.Go(func() { serve(counted) }) // accept itself keeps the group above zero
}

// isTemporary reports whether an error concerns one connection or one moment, and
// not the socket.
func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

// tooMany counts and logs a connection that a limit closes.
func (r *Relay) tooMany(limit string, from netip.AddrPort) {
	r.metrics.limited.WithLabelValues(limit).Inc()
	r.log.Info("connection refused", "from", from, "error", "too many "+limit)
}

// start starts the goroutines that every Serve method needs.
func (r *Relay) start() {
	r.group.Go(func() { _ = r.front.server.Serve(r.front.visitors) }) // ends with Close or Shutdown
	stop := r.opts.Registry.Watch(r.registryChanged)
	r.group.Go(func() {
		defer stop()
		r.maintain()
	})
	if r.opts.Domains != nil {
		r.group.Go(r.proveDomains)
	}
	r.group.Go(func() {
		r.keys.watch(r.life, func(err error) { r.log.Error("authorized keys not read", "error", err) })
	})
}

// registryChanged ends the share of a name that has ended, or the session of a key
// that is revoked.
func (r *Relay) registryChanged(c Change) {
	switch {
	case c.Name != "":
		r.shares.end(c.Name)
	case c.Standing == Revoked:
		if s := r.shares.forKey(c.Key); s != nil {
			r.log.Info("key revoked", "key", c.Key)
			r.spawn(func() { s.session.Close(errRevoked) })
		}
	}
}

// maintain does periodic work until the relay's life ends.
func (r *Relay) maintain() {
	r.sweepNames()
	summary, sweep, renew := time.NewTicker(summaryEvery), time.NewTicker(sweepEvery), time.NewTicker(renewEvery)
	defer summary.Stop()
	defer sweep.Stop()
	defer renew.Stop()
	for {
		select {
		case <-r.life.Done():
			r.logs.summarize(time.Now())
			return
		case now := <-summary.C:
			r.logs.summarize(now)
		case now := <-sweep.C:
			r.shares.sweep(now.Add(-recentlyGone))
			r.states.sweep(now)
			r.ports.sweep(now)
		case <-renew.C:
			r.renewNames()
			r.sweepNames()
		}
	}
}

func (r *Relay) renewNames() {
	for _, s := range r.shares.all() {
		claim := r.shares.claimOf(s)
		if cover := r.opts.CoverZone; cover != nil && claim.inZone() {
			_ = cover(claim.zone, s.key.String(), s.from.prefix) // it is used, so it is renewed
		}
		err := r.opts.Registry.Renew(r.life, s.key, append(claim.names(), portEntries(claim.ports)...))
		if c := claim.callback; c != nil {
			err = errors.Join(err, r.opts.Registry.Renew(r.life, c.key, []string{c.entry}))
		}
		if err != nil && !errors.Is(err, ErrSuspended) {
			r.log.Error("names not renewed", "key", s.key, "error", err)
		}
	}
}

func (r *Relay) sweepNames() {
	if err := r.opts.Registry.Sweep(r.life); err != nil && !errors.Is(err, ErrSuspended) {
		r.log.Error("unused names not forgotten", "error", err)
	}
}

// Close stops everything at once, and returns when every goroutine of the relay
// has ended.
func (r *Relay) Close() {
	r.end()
	r.front.server.Close() // errors of closing sockets do not matter any more
	r.group.Wait()
}

// Shutdown stops accepting, ends WebSockets with 1012 (service restart), lets the
// requests in progress finish until ctx ends, and closes the rest. Sessions last as
// long as the requests.
func (r *Relay) Shutdown(ctx context.Context) {
	r.stopAccepting()
	r.endUpgrades()
	_ = r.front.server.Shutdown(ctx) // Close does the rest
	waitUntil(ctx, func() bool { return r.upgrades.Load() == 0 })
	r.Close()
}

// Retire hands over to another process that has the listening sockets. It stops
// accepting, and asks agents to open a session with that process and visitors to
// connect again. It returns when the last connection is closed, or ctx ends;
// Shutdown or Close must follow. successor dials the other process's ServeHandover,
// for requests that still come on open connections.
func (r *Relay) Retire(ctx context.Context, successor func(context.Context) (net.Conn, error)) {
	r.successor.Store(&successor)
	r.stopAccepting()
	r.ports.handOver() // before an agent claims them at the other process
	for _, s := range r.shares.all() {
		s.session.Drain()
	}
	waitUntil(ctx, func() bool {
		handshakes, visitors, lanes := r.conns.counts()
		return handshakes+visitors+lanes == 0
	})
}

// waitUntil returns when done reports true, or ctx ends.
func waitUntil(ctx context.Context, done func() bool) {
	for !done() && wait(ctx, drainPoll, nil) {
	}
}
