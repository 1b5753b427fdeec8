package devproxy

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// claimTimeout bounds one request to the relay. A person waits for it at a
	// terminal; the control socket waits longer.
	claimTimeout = 4 * time.Second
	// endGrace is how long requests of visitors may take to finish once the share
	// has ended and the rest of devproxy continues.
	endGrace = 3 * time.Second
)

// SharerOptions configures a Sharer.
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
	// HTTPPort returns the port that plain HTTP is bound to, 0 for none; it may be nil.
	HTTPPort func() uint16
	// Relays returns the relays that may carry a share: those of a request, else
	// those of the Proxyfile or of the user.
	Relays func(request string, file []string) ([]credentials.Login, error)
	// Consent returns an error if a plan must not be shared through the relay of a
	// request, or through the Proxyfile's, without the user's consent.
	Consent func(p *plan.Plan, relay string) error
	// Notify is called with every event, in order. It may block.
	Notify func(ShareEvent)
}

// plainPort is HTTPPort's, or 0.
func (o *SharerOptions) plainPort() uint16 {
	if o.HTTPPort == nil {
		return 0
	}
	return o.HTTPPort()
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

// Follow makes p the plan that is shared. Failures become events.
func (s *Sharer) Follow(p *plan.Plan) { s.plans.put(p) }

// Do handles a request and returns the state of the share after it. It does not
// wait for a relay to be reached: that becomes an event.
func (s *Sharer) Do(ctx context.Context, request control.ShareRequest) (control.Share, error) {
	switch request.Op {
	case control.OpLook:
		return s.Status(), nil
	case control.OpCheck:
		state := s.Status()
		token, err := s.Server.check.begin()
		state.Check = token
		return state, err
	case control.OpChecked:
		s.Server.check.end(request.Check)
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
		var expiry, domain <-chan time.Time
		var domainAsked <-chan domainAnswer
		if s.live != nil {
			states, ended, expiry = s.live.states.c, s.live.ended, s.live.expiry.C
			domain, domainAsked = s.live.domain.retry.c, s.live.domain.asked
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
		case <-domain:
			s.askForDomain()
		case answer := <-domainAsked:
			s.domainAnswered(answer)
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

// start starts a share, or changes the one that is running.
func (s *Sharer) start(ctx context.Context, request control.ShareRequest) error {
	if s.live == nil {
		return s.begin(request)
	}
	merged := s.live.request
	if len(request.Hosts) > 0 {
		merged.Hosts = request.Hosts
	}
	merged.Relay = cmp.Or(request.Relay, merged.Relay)
	merged.For = cmp.Or(request.For, merged.For)
	merged.Key = cmp.Or(request.Key, merged.Key)
	err := s.revise(ctx, merged, request.For != 0)
	if s.live != nil && s.live.domain.state != "" {
		s.live.useDomain() // asked for again at once
	}
	return err
}

// begin starts a link. Its relay has to be reached first.
func (s *Sharer) begin(request control.ShareRequest) error {
	s.links++
	l, err := s.newLink(request)
	if err != nil {
		return err
	}
	s.live = l
	l.start(s.SharerOptions)
	s.set(l.status(control.ShareConnecting, nil))
	return nil
}

// newLink returns a link that is not started.
func (s *Sharer) newLink(request control.ShareRequest) (*link, error) {
	p, relays, err := s.prepare(request)
	if err != nil {
		return nil, err
	}
	_, missing := os.Stat(request.Key)
	key, err := s.Store.OpenKey(s.Folder, request.Key)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(cmp.Or(request.For, p.Expires))
	if err := key.SetExpiry(until); err != nil {
		return nil, err
	}
	l := &link{number: s.links, request: request, key: key, relays: relays, table: table{attempts: share.NewAttempts()}}
	if request.Key != "" && errors.Is(missing, fs.ErrNotExist) {
		l.note("created the key " + request.Key + "; anyone with a copy of it can take its names")
	}
	return l, s.carry(l, p, until)
}

// carry makes l a link of p through its current relay.
func (s *Sharer) carry(l *link, p *plan.Share, until time.Time) (err error) {
	if l.provider, err = provider.Find(l.relay().Relay); err != nil && !errors.Is(err, provider.ErrUnknown) {
		return err
	}
	if p, err = l.carried(p); err != nil {
		return err
	}
	if l.terms, err = s.termsOf(p, until); err != nil {
		return err
	}
	l.domain = linkDomain{name: l.ownDomain()}
	return nil
}

// termsOf returns the terms of a link of p.
func (s *Sharer) termsOf(p *plan.Share, until time.Time) (terms, error) {
	key, err := openCallbackKey(s.Store, p)
	return terms{p, s.aliases(), upstreamsOf(s.plan), until, localOrigin(p, s.HTTPSPort()), key}, err
}

// carried returns the part of p that the link's relay or provider can carry.
func (l *link) carried(p *plan.Share) (*plan.Share, error) {
	if !l.foreign() {
		return p, nil
	}
	if err := checkPorts(p, l.provider.Name); err != nil {
		return nil, err
	}
	return withoutWildcards(p, l.provider.Name)
}

// prepare returns the part of the plan that a request shares, and the relays
// that may carry it.
func (s *Sharer) prepare(request control.ShareRequest) (*plan.Share, []credentials.Login, error) {
	p, err := s.planOf(request)
	if err != nil {
		return nil, nil, err
	}
	relays, err := s.Relays(request.Relay, p.Relays)
	return p, relays, err
}

// planOf leaves out hosts that saves have added since the user last started the share.
func (s *Sharer) planOf(request control.ShareRequest) (*plan.Share, error) {
	p, err := onlyHosts(s.plan.Share(), request.Hosts)
	if err != nil {
		return nil, err
	}
	if p, s.added = withoutAdded(p, s.agreed); len(p.Hosts) == 0 && len(s.added) > 0 {
		return nil, failure.Errorf("devproxy share", "%s was %s, and no other host is left to share", s.added[0], ReasonAdded)
	}
	if err := checkShare(p); err != nil {
		return nil, err
	}
	return p, s.Consent(s.plan, request.Relay)
}

// replan shares the plan of a save. If the save makes the share impossible, the
// link is put to sleep, since the file no longer allows it.
func (s *Sharer) replan(ctx context.Context) {
	if s.live == nil {
		return
	}
	before := s.added
	restart := s.plan.Share().Expires != s.live.plan.Expires && s.live.request.For == 0
	err := s.revise(ctx, s.live.request, restart)
	if err == nil {
		s.notifyAdded(before)
		return
	}
	s.trouble(err)
	if s.live != nil {
		s.stop(control.ShareAsleep, endGrace)
	}
}

// notifyAdded reports the hosts that are not shared because the last save has added them,
// except those in before, which the user knows.
func (s *Sharer) notifyAdded(before []string) {
	added := slices.DeleteFunc(slices.Clone(s.added), func(host string) bool { return slices.Contains(before, host) })
	if len(added) > 0 {
		s.Notify(ShareEvent{Kind: ShareAdded, Share: s.Status(), Added: added})
	}
}

// revise changes the link to what request and plan say now. With restart its time
// starts again.
func (s *Sharer) revise(ctx context.Context, request control.ShareRequest, restart bool) error {
	p, relays, err := s.prepare(request)
	if err != nil {
		return err
	}
	if p, err = s.live.carried(p); err != nil {
		return err
	}
	next, err := s.termsOf(p, s.live.until)
	if err != nil {
		return err
	}
	if restart {
		next.until = time.Now().Add(cmp.Or(request.For, p.Expires))
	}
	switch {
	case !slices.Equal(relays, s.live.relays), request.Key != s.live.request.Key:
		return s.reconnect(request)
	case next.equal(s.live.terms) && s.live.table.port == s.HTTPSPort():
		s.live.request = request
		return nil
	}
	err = s.change(ctx, next)
	if isUnreachable(err) {
		return s.reconnect(request) // with the new claim
	}
	if err == nil {
		s.live.request = request
	}
	return err
}

// reconnect starts the same link on a new connection.
func (s *Sharer) reconnect(request control.ShareRequest) error {
	s.stop(control.ShareAsleep, endGrace)
	return s.begin(request)
}

// isUnreachable reports whether the relay could not be reached, as opposed to one
// that refuses.
func isUnreachable(err error) bool {
	e, ok := errors.AsType[*agent.Error](err)
	return ok && e.Reason == agent.ReasonBroken
}

// change asks the relay for the next terms of the link, if they need another claim.
// If it fails, nothing has changed.
func (s *Sharer) change(ctx context.Context, next terms) error {
	l := s.live
	l.domain.stopAsking()
	before, claimed, domain := l.terms, l.claim(), l.domain
	l.terms = next
	l.useDomain()
	grant, err := l.grant, error(nil)
	if !reflect.DeepEqual(claimed, l.claim()) || len(grant.Hosts) == 0 {
		ctx, cancel := context.WithTimeout(ctx, claimTimeout)
		defer cancel()
		grant, err = l.sendClaim(ctx)
	}
	if err == nil {
		err = l.adopt(grant, s.SharerOptions)
	}
	if err != nil {
		l.terms, l.domain = before, domain
		l.useDomain()
		return err
	}
	l.expiry.Reset(time.Until(l.until))
	s.set(l.status(s.Status().State, nil))
	return l.key.SetExpiry(l.until)
}

func (t terms) equal(other terms) bool {
	return t.until.Equal(other.until) && reflect.DeepEqual(t.plan, other.plan) && reflect.DeepEqual(t.aliases, other.aliases) && slices.Equal(t.upstreams, other.upstreams) && t.localOrigin == other.localOrigin
}

// aliases returns the further names of the plan's hosts.
func (s *Sharer) aliases() map[string][]string {
	aliases := map[string][]string{}
	for _, host := range s.plan.Hosts() {
		aliases[host.Name] = host.Aliases
	}
	return aliases
}
