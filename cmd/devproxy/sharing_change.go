package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// start begins to share, or changes what is shared to what is asked for.
func (s *sharing) start(ctx context.Context, request control.ShareRequest) error {
	if s.live == nil {
		return s.begin(request)
	}
	asked := s.live.request
	if len(request.Hosts) > 0 {
		asked.Hosts = request.Hosts
	}
	if request.Relay != "" {
		asked.Relay = request.Relay
	}
	if request.For != 0 {
		asked.For = request.For
	}
	if request.Key != "" {
		asked.Key = request.Key
	}
	return s.revise(ctx, asked, request.For != 0)
}

// begin starts a link, with a relay that has to be reached first.
func (s *sharing) begin(request control.ShareRequest) error {
	s.links++
	l, err := s.newLink(request)
	if err != nil {
		return err
	}
	s.live = l
	l.start(s.shareEnv)
	s.set(s.describe(control.ShareConnecting, nil))
	return nil
}

// newLink is a link that has not been started.
func (s *sharing) newLink(request control.ShareRequest) (*link, error) {
	p, err := s.shareOf(request)
	if err != nil {
		return nil, err
	}
	relays, err := s.findRelays(request.Relay, p.Relays)
	if err != nil {
		return nil, err
	}
	_, missing := os.Stat(request.Key)
	key, err := openKeyFor(s.home, s.folder, request.Key)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(lastsFor(request, p))
	if err := key.Lasts(until); err != nil {
		return nil, err
	}
	l := &link{number: s.links, request: request, key: key, relays: relays, table: table{attempts: share.NewAttempts()}}
	if request.Key != "" && errors.Is(missing, fs.ErrNotExist) {
		l.note("created the key " + request.Key + "; who has a copy of it can have its names")
	}
	return l, s.carry(l, p, until)
}

// carry makes l a link of p through its relay at l.at.
func (s *sharing) carry(l *link, p *plan.Share, until time.Time) (err error) {
	if l.provider, err = provider.Find(l.relay().Relay); err != nil && !errors.Is(err, provider.ErrUnknown) {
		return err
	}
	if p, err = l.carried(p); err != nil {
		return err
	}
	l.terms = terms{p, s.aliases(), until}
	return nil
}

// carried is what of p the link's relay or provider can carry.
func (l *link) carried(p *plan.Share) (*plan.Share, error) {
	if !l.foreign() {
		return p, nil
	}
	return withoutWildcards(p, l.provider.Name)
}

// shareOf is what a request wants shared of the plan, without the hosts that
// saves have added since the user last asked.
func (s *sharing) shareOf(request control.ShareRequest) (*plan.Share, error) {
	p, err := onlyHosts(s.plan.Share(), request.Hosts)
	if err != nil {
		return nil, err
	}
	if p, s.added = withoutAdded(p, s.agreed); len(p.Hosts) == 0 && len(s.added) > 0 {
		return nil, failf("devproxy share", "%s was %s, and no other host is left to share", s.added[0], reasonAdded)
	}
	if err := mayShare(p); err != nil {
		return p, err
	}
	return p, s.mayShare(s.plan, request.Relay)
}

func lastsFor(request control.ShareRequest, p *plan.Share) time.Duration {
	if request.For > 0 {
		return request.For
	}
	return p.Expires
}

// replan shares what the plan of a save says. A share that the save makes
// impossible is put to sleep: what the file no longer allows must not stay
// open.
func (s *sharing) replan(ctx context.Context) {
	if s.live == nil {
		return
	}
	before := s.added
	anew := s.plan.Share().Expires != s.live.plan.Expires && s.live.request.For == 0
	err := s.revise(ctx, s.live.request, anew)
	if err == nil {
		s.tellAdded(before)
		return
	}
	s.trouble(err)
	if s.live != nil {
		s.stop(control.ShareAsleep, endGrace)
	}
}

// tellAdded tells of the hosts that are not shared because the last save has
// added them. before are those that were told of.
func (s *sharing) tellAdded(before []string) {
	var added []string
	for _, host := range s.added {
		if !slices.Contains(before, host) {
			added = append(added, host)
		}
	}
	if len(added) > 0 {
		s.tell(shareEvent{kind: shareAdded, share: s.now(), added: added})
	}
}

// revise changes the link to what request and plan say now; anew counts its
// time from now on.
func (s *sharing) revise(ctx context.Context, request control.ShareRequest, anew bool) error {
	p, err := s.shareOf(request)
	if err != nil {
		return err
	}
	relays, err := s.findRelays(request.Relay, p.Relays)
	if err != nil {
		return err
	}
	if p, err = s.live.carried(p); err != nil {
		return err
	}
	next := terms{p, s.aliases(), s.live.until}
	if anew {
		next.until = time.Now().Add(lastsFor(request, p))
	}
	switch {
	case !slices.Equal(relays, s.live.relays), request.Key != s.live.request.Key:
		return s.restart(request)
	case next.same(s.live.terms) && s.live.table.port == s.port():
		s.live.request = request
		return nil
	}
	err = s.change(ctx, next)
	if isAway(err) {
		// What is asked for then is asked for at the next connection.
		return s.restart(request)
	}
	if err == nil {
		s.live.request = request
	}
	return err
}

// restart begins anew, with the same link.
func (s *sharing) restart(request control.ShareRequest) error {
	s.stop(control.ShareAsleep, endGrace)
	return s.begin(request)
}

// isAway reports whether the relay could not be asked, as opposed to one that
// says no.
func isAway(err error) bool {
	var e *agent.Error
	return errors.As(err, &e) && e.Reason == agent.ReasonBroken
}

// change asks the relay for next in place of the link's terms, if that is
// another claim. When it fails nothing has changed.
func (s *sharing) change(ctx context.Context, next terms) error {
	l := s.live
	before, claimed := l.terms, l.claim()
	l.terms = next
	grant, err := l.grant, error(nil)
	if !reflect.DeepEqual(claimed, l.claim()) || len(grant.Hosts) == 0 {
		ctx, cancel := context.WithTimeout(ctx, askPatience)
		defer cancel()
		grant, err = l.carrier.Claim(ctx, l.claim())
	}
	if err == nil {
		err = l.adopt(grant, s.shareEnv)
	}
	if err != nil {
		l.terms = before
		return err
	}
	l.expiry.Reset(time.Until(l.until))
	s.set(s.describe(s.now().State, nil))
	return l.key.Lasts(l.until)
}

// same reports whether there is nothing to change, wherever it is written now.
func (t terms) same(other terms) bool {
	x, y := *t.plan, *other.plan
	x.Source, y.Source = plan.Source{}, plan.Source{}
	return t.until.Equal(other.until) && reflect.DeepEqual(x, y) && reflect.DeepEqual(t.aliases, other.aliases)
}

// aliases are the further names of the plan's hosts.
func (s *sharing) aliases() map[string][]string {
	aliases := map[string][]string{}
	for _, host := range s.plan.Hosts() {
		aliases[host.Name] = host.Aliases
	}
	return aliases
}
