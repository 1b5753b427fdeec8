// Package agent is the private end of a share: it keeps a session with a relay
// and hands out, as a net.Listener, the connections of visitors that the relay
// passes on.
//
// The relay is reached over TLS 1.3, directly or through the proxy that the
// environment names, and inside a WebSocket where only HTTPS passes. Every
// failure is an *Error with its address, its cause and its fix.
package agent

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/budget"
)

// Options are the hosts to share, and the relay to share them through.
type Options struct {
	// Relay is a relay's domain, with its port where that is not 443:
	// "t.example.com", "t.example.com:8443". A localhost name is dialled as
	// loopback, whatever the resolver says (RFC 6761 section 6.3).
	Relay string
	// Key is the folder's key, which proves to the relay that the names are its own.
	Key ed25519.PrivateKey
	// Claim is what to share to begin with; Agent.Claim changes it.
	Claim tunnel.Claim
	// Roots verify the relay's certificate; nil means the system's.
	Roots *x509.CertPool
	// Pin replaces roots and name: only a certificate with this key is the
	// relay's, "sha256/" and the base64 of the SHA-256 of its
	// SubjectPublicKeyInfo (as in RFC 7469 section 2.4). Empty pins nothing.
	Pin string
	// Getenv reads HTTPS_PROXY, ALL_PROXY and NO_PROXY; nil means no proxy.
	Getenv func(string) string
	// Congestion is passed to tunnel.Tune.
	Congestion string
	// Notify is called with every change of the State, in order, one at a time. It
	// must neither block nor call the agent. It may be nil.
	Notify func(State)
	// Log receives details for debugging; nil discards them.
	Log *slog.Logger
}

// Memory is how many bytes a relay can make an agent hold: unread bytes of
// visitors, answers that it does not acknowledge, and connCost for each of its
// visitors' connections. Beyond it, the stream that holds the most is reset.
const Memory = 64 << 20

// connCost is the cost of a visitor's connection to its user, in bytes, in addition to
// the bytes that come on it: a goroutine or two, their buffers, and a head.
const connCost = 12 << 10

// Agent keeps a session with a relay while Run runs. It is the net.Listener for
// the visitors that the relay passes on. Its methods may be called by several
// goroutines at once.
type Agent struct {
	notify   func(State)
	key      ed25519.PrivateKey
	log      *slog.Logger
	dialer   *dialer
	fault    error // of the options; Run fails with it
	machine  machine
	memory   *budget.Budget // of all sessions
	visitors chan *Conn
	life     context.Context // ends with Close
	end      context.CancelFunc
	hurry    chan struct{} // something has changed: a backoff need not be waited for
	running  sync.WaitGroup
	turn     chan struct{} // held by the Claim or End under way

	mu      sync.Mutex
	claim   tunnel.Claim
	claimed uint64          // how often claim was replaced
	session *tunnel.Session // that takes streams; nil between sessions
	changed chan struct{}   // closed when session changes
	state   State
	held    bool // whether there was a session before
}

// New returns an agent. It does not connect yet; Run does, and returns the
// error of invalid options.
func New(opts Options) *Agent {
	a := &Agent{
		notify: opts.Notify, key: opts.Key, log: cmp.Or(opts.Log, slog.New(slog.DiscardHandler)), claim: opts.Claim, machine: thisMachine(), memory: budget.New(budget.Limits{Total: Memory}),
		visitors: make(chan *Conn), hurry: make(chan struct{}, 1), turn: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	a.life, a.end = context.WithCancel(context.Background())
	a.dialer, a.fault = newDialer(opts)
	return a
}

// Run connects to the relay, and again whenever the connection is lost, until
// ctx ends or the agent is closed: then it returns nil. Otherwise it returns an
// *Error that trying again would not fix. When it returns, every
// session is closed, every goroutine has ended and Accept fails. It may be
// called once.
func (a *Agent) Run(ctx context.Context) error {
	defer a.Close()
	if a.fault != nil {
		return a.fault
	}
	ctx, cancel := context.WithCancel(ctx)
	defer a.running.Wait()
	defer cancel()
	defer context.AfterFunc(a.life, cancel)()
	a.running.Go(func() { a.watch(ctx) })
	var out outage
	for ctx.Err() == nil {
		a.set(State{Phase: Connecting})
		err := a.connect(ctx, &out)
		if ctx.Err() != nil {
			break
		}
		if err != nil && a.isFatal(err) {
			return err
		}
		a.pause(ctx, &out, err)
	}
	return nil
}

// connect opens a session and stays with it until it takes no more streams. It
// returns nil when the session drains: its visitors are still served.
func (a *Agent) connect(ctx context.Context, out *outage) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	defer func() { out.lasted(time.Since(begun)) }()
	defer a.retire(s)
	select {
	case <-s.Draining():
		return nil
	case <-s.Done():
		return a.dialer.target.ended(s.Err(), a.key)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause waits before the next attempt. A pause after an error is part of the state.
func (a *Agent) pause(ctx context.Context, out *outage, why error) {
	select {
	case <-a.hurry: // from an earlier change
	default:
	}
	wait := out.next(time.Now())
	if why != nil {
		a.log.Debug("no session with the relay", "error", why, "retry", wait)
		a.set(State{Phase: Waiting, Err: asError(why), Retry: wait})
	}
	select {
	case <-time.After(wait):
	case <-a.hurry:
	case <-ctx.Done():
	}
}

// Close ends Run, and with it every visitor's connection, at once. It does not
// wait, and closing again does nothing.
func (a *Agent) Close() error {
	a.end()
	return nil
}

// Addr returns the relay's name and port, for logs.
func (a *Agent) Addr() net.Addr { return a.dialer.target }

const (
	// firstJitter spreads the first attempts of all agents of a relay that went
	// away, which lose it at the same moment.
	firstJitter = 100 * time.Millisecond
	// firstPause doubles with every failure, up to hurriedPause during the
	// first minute without a session, since a relay that is only restarted is
	// back by then, and to longestPause after it.
	firstPause   = 100 * time.Millisecond
	hurriedPause = time.Second
	hurriedFor   = time.Minute
	longestPause = 15 * time.Second
	// stable is how long a session must have lasted for the next outage to count
	// as a new one. An agent that loses a session once per such period, and
	// reconnects at once, connects no more often than in the first minute. A
	// relay that restarts again and again does not count as one long outage.
	stable = hurriedPause
)

// outage is the time without a session, or with none that lasts.
type outage struct {
	since time.Time // of the first failure; zero before
	fails int
}

// next returns how long to wait before the next attempt. Half of it is random, so
// that agents do not reconnect together.
func (o *outage) next(now time.Time) time.Duration {
	if o.fails == 0 {
		o.since = now
	}
	o.fails++
	if o.fails == 1 {
		return rand.N(firstJitter)
	}
	limit := longestPause
	if now.Sub(o.since) < hurriedFor {
		limit = hurriedPause
	}
	pause := min(firstPause<<min(o.fails-2, 10), limit)
	return pause/2 + rand.N(pause/2)
}

// lasted notes how long a session has lasted.
func (o *outage) lasted(d time.Duration) {
	if d >= stable {
		*o = outage{}
	}
}
