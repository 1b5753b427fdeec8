package main

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// askPatience bounds one question to the relay. Who asked for it waits at
	// a terminal, and the control socket's answer has longer.
	askPatience = 4 * time.Second
	// endGrace is how long requests of visitors may take to finish once the
	// share has ended and the rest of devproxy goes on.
	endGrace = 3 * time.Second
	// oneMore is what the key e adds.
	oneMore = time.Hour
)

// shareEnv is what a share needs of the `up` it belongs to.
type shareEnv struct {
	server *devproxy.Server
	folder string
	home   string // $DEVPROXY_HOME
	log    *slog.Logger
	// congestion is agent.Options.Congestion.
	congestion string
	// roots verify the certificate of a relay; nil means the system's.
	roots func(relay string) *x509.CertPool
	// port is the one that HTTPS is bound to.
	port func() uint16
	// mayShare is why a plan must not be shared without the user's consent,
	// through the named relay or through the Proxyfile's.
	mayShare func(p *plan.Plan, relay string) error
	// tell is called with what happened, in order. It may block.
	tell func(shareEvent)
}

// sharing is the share of one `up`: one link at a time, or none. What follows
// view belongs to run's goroutine, which does what it is asked for in turn.
type sharing struct {
	shareEnv
	asked chan shareQuestion
	plans mailbox[*plan.Plan] // of the saves
	done  chan struct{}       // closed when run has returned
	view  atomic.Pointer[control.Share]

	plan  *plan.Plan
	links uint64 // how many there have been
	// agreed are the hosts of the plan when the user last asked to share it, and
	// added those that came later; added are not shared.
	agreed, added []string
	live          *link // nil while nothing is shared
	failover      failover
	again         retry
	inner         *innerRelay // nil until a share goes through it
}

// shareQuestion is a request whose outcome somebody waits for.
type shareQuestion struct {
	request control.ShareRequest
	answer  chan error
}

func newSharing(env shareEnv, p *plan.Plan) *sharing {
	s := &sharing{shareEnv: env, plan: p, asked: make(chan shareQuestion), plans: newMailbox[*plan.Plan](), done: make(chan struct{})}
	s.view.Store(&control.Share{State: control.ShareNone})
	return s
}

// now is how the share stands.
func (s *sharing) now() control.Share { return *s.view.Load() }

// do does what is asked for and returns how the share stands then. It does not
// wait for a relay to be reached; what comes of it is told.
func (s *sharing) do(ctx context.Context, request control.ShareRequest) (control.Share, error) {
	if request.Op == control.OpLook {
		return s.now(), nil
	}
	q := shareQuestion{request, make(chan error, 1)}
	select {
	case s.asked <- q:
		err := <-q.answer
		return s.now(), err
	case <-ctx.Done():
		return s.now(), ctx.Err()
	case <-s.done:
		return s.now(), &control.ShareError{Text: "devproxy is stopping"}
	}
}

// doForOther is do for another process: its errors are *control.ShareErrors, which
// keep their fix on the way there.
func (s *sharing) doForOther(ctx context.Context, request control.ShareRequest) (control.Share, error) {
	state, err := s.do(ctx, request)
	if text, fix := describeError(err); err != nil {
		return state, &control.ShareError{Text: text, Fix: fix}
	}
	return state, nil
}

// follow makes p the plan that is shared. What does not work is told.
func (s *sharing) follow(p *plan.Plan) { s.plans.put(p) }

// run keeps the share until ctx ends. That puts the link to sleep, once the
// last requests of visitors are finished or the server is closed.
func (s *sharing) run(ctx context.Context) {
	defer close(s.done)
	defer func() { s.inner.close() }()
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
		case q := <-s.asked:
			q.answer <- s.answer(ctx, q.request)
		case s.plan = <-s.plans.c:
			s.replan(ctx)
		case state := <-states:
			s.changed(state)
		case err := <-ended:
			s.fail(err)
		case <-s.failover.c:
			s.failOver()
		case <-s.again.c:
			s.tryAgain()
		case <-expiry:
			s.finish(control.ShareExpired)
		}
	}
}

// answer does what a request asks for.
func (s *sharing) answer(ctx context.Context, request control.ShareRequest) error {
	if s.live == nil && request.Op != control.OpStart {
		return &control.ShareError{Text: "nothing is shared here", Fix: "devproxy share"}
	}
	s.again.stop()
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
		return &control.ShareError{Text: "a share cannot " + request.Op, Fix: "use the devproxy that runs here, or devproxy down first"}
	}
	return nil
}
