package agent

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"log/slog"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/budget"
)

// Options say what is shared, and through which relay.
type Options struct {
	// Relay is a relay's domain, with its port where that is not 443:
	// "t.example.com", "t.example.com:8443". A localhost name is dialled as
	// loopback, whatever the resolver says (RFC 6761 section 6.3).
	Relay string
	// Key is the folder's; it proves to the relay whose names these are.
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
	// Congestion is tunnel.Tune's.
	Congestion string
	// Notify is told every change of the State, in order, one at a time. It
	// must neither block nor call the agent. Nil is told nothing.
	Notify func(State)
	// Log takes what is only of interest when looking for a fault; nil discards.
	Log *slog.Logger
}

// Memory is how many bytes a relay can make an agent hold: unread bytes of
// visitors, answers that it does not acknowledge, and connCost for each of its
// visitors' connections. Beyond it, the stream that holds most is reset.
const Memory = 64 << 20

// connCost is what a visitor's connection costs its user, in bytes, besides what
// comes on it: a goroutine or two, their buffers, and a head.
const connCost = 12 << 10

// Agent keeps a session with a relay while Run runs. It is the net.Listener of
// the visitors whom the relay passes on. Its methods may be called by several
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
	closed   chan struct{}
	closing  sync.Once
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

// New is an agent that Run starts. It has connected to nothing yet; options
// that are wrong are Run's error.
func New(opts Options) *Agent {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{
		notify: opts.Notify, key: opts.Key, log: opts.Log, claim: opts.Claim, machine: thisMachine(), memory: budget.New(budget.Limits{Total: Memory}),
		visitors: make(chan *Conn), closed: make(chan struct{}), hurry: make(chan struct{}, 1),
		turn: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	a.dialer, a.fault = newDialer(opts)
	return a
}

// Run connects to the relay, and again whenever the connection is lost, until
// ctx ends or the agent is closed: then it is nil. Otherwise it is an *Error
// about something that trying again does not cure. When it returns every
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
	a.running.Go(func() {
		select {
		case <-a.closed:
			cancel()
		case <-ctx.Done():
		}
	})
	a.running.Go(func() { a.watch(ctx) })
	return a.keep(ctx)
}

// keep has one session after the other.
func (a *Agent) keep(ctx context.Context) error {
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

// connect opens a session and stays with it until it takes no more streams.
// Nil says that it drains: its visitors are still served.
func (a *Agent) connect(ctx context.Context, out *outage) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	defer func() { out.lasted(time.Since(begun)) }()
	select {
	case <-s.Draining():
		a.retire(s)
		return nil
	case <-s.Done():
		a.retire(s)
		return a.dialer.target.ended(s.Err(), a.key)
	case <-ctx.Done():
		a.retire(s)
		return ctx.Err()
	}
}

// pause waits before the next attempt. A person is told of a pause that has a
// reason.
func (a *Agent) pause(ctx context.Context, out *outage, why error) {
	select {
	case <-a.hurry: // of before
	default:
	}
	wait := out.next(time.Now())
	if why != nil {
		a.log.Debug("no session with the relay", "error", why, "retry", wait)
		a.set(State{Phase: Waiting, Err: asError(why), Retry: wait})
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.hurry:
	case <-ctx.Done():
	}
}
