package devproxy

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// claimTimeout bounds one request to the relay. A person waits for it at a
	// terminal; the control socket waits longer.
	claimTimeout = 4 * time.Second
	// endGrace is how long requests of visitors may take to finish once the share
	// has ended and the rest of devproxy goes on.
	endGrace = 3 * time.Second
)

// SharerOptions are what a Sharer needs.
type SharerOptions struct {
	Server *Server
	Folder string // of the project, absolute and without symbolic links
	Store  credentials.Store
	Log    *slog.Logger
	// Congestion is agent.Options.Congestion.
	Congestion string
	// Roots verify the certificate of a relay; nil means the system's.
	Roots func(relay string) *x509.CertPool
	// HTTPSPort returns the port that HTTPS is bound to.
	HTTPSPort func() uint16
	// Relays returns the relays that may carry a share: those of a request, else
	// those of the Proxyfile or of the user.
	Relays func(request string, file []string) ([]credentials.Login, error)
	// Consent returns an error if a plan must not be shared through the relay of a
	// request, or through the Proxyfile's, without the user's consent.
	Consent func(p *plan.Plan, relay string) error
	// Tell is called with every event, in order. It may block.
	Tell func(ShareEvent)
}

// Sharer publishes hosts of a project, under one link at a time. The fields after
// view belong to Run's goroutine, which handles one request at a time.
type Sharer struct {
	SharerOptions
	requests chan shareRequest
	plans    mailbox[*plan.Plan] // of the saves
	done     chan struct{}       // closed when Run has returned
	view     atomic.Pointer[control.Share]

	plan  *plan.Plan
	links uint64 // how many there have been
	// agreed are the hosts of the plan when the user last started the share, and
	// added those that came later, which are not shared.
	agreed, added []string
	live          *link // nil while nothing is shared
	failover      alarm // until the next relay of the list is tried
	retry         retry
}

// shareRequest is a request whose sender waits for the result.
type shareRequest struct {
	control.ShareRequest
	result chan error
}

// NewSharer returns a Sharer that shares nothing yet. The caller calls Run once.
func NewSharer(opts SharerOptions, p *plan.Plan) *Sharer {
	s := &Sharer{SharerOptions: opts, plan: p, requests: make(chan shareRequest), plans: newMailbox[*plan.Plan](), done: make(chan struct{})}
	s.view.Store(&control.Share{State: control.ShareNone})
	return s
}

// Status returns the current state of the share.
func (s *Sharer) Status() control.Share { return *s.view.Load() }

// Done is closed when Run has returned.
func (s *Sharer) Done() <-chan struct{} { return s.done }

// Follow makes p the plan that is shared. Failures are told as events.
func (s *Sharer) Follow(p *plan.Plan) { s.plans.put(p) }

// Do handles a request and returns the state of the share after it. It does not
// wait for a relay to be reached: that is told as an event.
func (s *Sharer) Do(ctx context.Context, request control.ShareRequest) (control.Share, error) {
	if request.Op == control.OpLook {
		return s.Status(), nil
	}
	r := shareRequest{request, make(chan error, 1)}
	select {
	case s.requests <- r:
		err := <-r.result
		return s.Status(), err
	case <-ctx.Done():
		return s.Status(), ctx.Err()
	case <-s.done:
		return s.Status(), &control.ShareError{Text: "devproxy is stopping"}
	}
}

// Run shares until ctx ends. That puts the link to sleep, once the last requests
// of visitors have finished or the server is closed.
func (s *Sharer) Run(ctx context.Context) {
	defer close(s.done)
	for {
		var states <-chan agent.State
		var ended <-chan error
		var expiry <-chan time.Time
		if s.live != nil {
			states, ended, expiry = s.live.states.c, s.live.ended, s.live.expiry.C
		}
		select {
		case <-ctx.Done():
			if s.live != nil {
				s.stop(control.ShareAsleep, forever)
			}
			return
		case r := <-s.requests:
			r.result <- s.handle(ctx, r.ShareRequest)
		case s.plan = <-s.plans.c:
			s.replan(ctx)
		case state := <-states:
			s.stateChanged(state)
		case err := <-ended:
			s.fail(err)
		case <-s.failover.c:
			s.failOver()
		case <-s.retry.c:
			s.tryAgain()
		case <-expiry:
			s.finish(control.ShareExpired)
		}
	}
}

func (s *Sharer) handle(ctx context.Context, request control.ShareRequest) error {
	if s.live == nil && request.Op != control.OpStart {
		return &control.ShareError{Text: "nothing is shared here", Fix: "devproxy share"}
	}
	s.retry.reset()
	switch request.Op {
	case control.OpStart:
		s.agreed = s.plan.Share().Hosts
		return s.start(ctx, request)
	case control.OpExtend:
		next := s.live.terms
		next.until = next.until.Add(request.For)
		return s.change(ctx, next)
	case control.OpNew:
		again := s.live.request
		s.agreed = s.plan.Share().Hosts
		s.finish(control.ShareEnded)
		return s.begin(again)
	case control.OpSleep:
		s.stop(control.ShareAsleep, endGrace)
	case control.OpEnd:
		s.finish(control.ShareEnded)
	default:
		return &control.ShareError{Text: "unknown request for a share: " + request.Op, Fix: "use the version of devproxy that is running here, or stop it first: devproxy down"}
	}
	return nil
}

// mailbox keeps the newest value for a reader that may be busy.
type mailbox[T any] struct{ c chan T }

func newMailbox[T any]() mailbox[T] { return mailbox[T]{make(chan T, 1)} }

// put replaces a value that was not read yet. It never blocks.
func (m mailbox[T]) put(value T) {
	for {
		select {
		case m.c <- value:
			return
		default:
		}
		select {
		case <-m.c:
		default:
		}
	}
}
