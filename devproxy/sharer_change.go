package devproxy

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/tunnel/agent"
)

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
	return s.revise(ctx, merged, request.For != 0)
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
	p, err := s.planOf(request)
	if err != nil {
		return nil, err
	}
	relays, err := s.Relays(request.Relay, p.Relays)
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
	l.terms = terms{p, s.aliases(), until}
	return nil
}

// carried returns the part of p that the link's relay or provider can carry.
func (l *link) carried(p *plan.Share) (*plan.Share, error) {
	if !l.foreign() {
		return p, nil
	}
	return withoutWildcards(p, l.provider.Name)
}

// planOf returns what a request shares of the plan, without the hosts that saves
// have added since the user last started the share.
func (s *Sharer) planOf(request control.ShareRequest) (*plan.Share, error) {
	p, err := onlyHosts(s.plan.Share(), request.Hosts)
	if err != nil {
		return nil, err
	}
	if p, s.added = withoutAdded(p, s.agreed); len(p.Hosts) == 0 && len(s.added) > 0 {
		return nil, failure.Errorf("devproxy share", "%s was %s, and no other host is left to share", s.added[0], ReasonAdded)
	}
	if err := checkShare(p); err != nil {
		return p, err
	}
	return p, s.Consent(s.plan, request.Relay)
}

// replan shares the plan of a save. If the save makes the share impossible, the
// link is put to sleep: what the file no longer allows must not stay open.
func (s *Sharer) replan(ctx context.Context) {
	if s.live == nil {
		return
	}
	before := s.added
	restart := s.plan.Share().Expires != s.live.plan.Expires && s.live.request.For == 0
	err := s.revise(ctx, s.live.request, restart)
	if err == nil {
		s.tellAdded(before)
		return
	}
	s.trouble(err)
	if s.live != nil {
		s.stop(control.ShareAsleep, endGrace)
	}
}

// tellAdded tells which hosts are not shared because the last save has added them,
// except those in before, which the user knows.
func (s *Sharer) tellAdded(before []string) {
	added := slices.DeleteFunc(slices.Clone(s.added), func(host string) bool { return slices.Contains(before, host) })
	if len(added) > 0 {
		s.Tell(ShareEvent{Kind: ShareAdded, Share: s.Status(), Added: added})
	}
}

// revise changes the link to what request and plan say now. With restart its time
// starts again.
func (s *Sharer) revise(ctx context.Context, request control.ShareRequest, restart bool) error {
	p, err := s.planOf(request)
	if err != nil {
		return err
	}
	relays, err := s.Relays(request.Relay, p.Relays)
	if err != nil {
		return err
	}
	if p, err = s.live.carried(p); err != nil {
		return err
	}
	next := terms{p, s.aliases(), s.live.until}
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
	before, claimed := l.terms, l.claim()
	l.terms = next
	grant, err := l.grant, error(nil)
	if !reflect.DeepEqual(claimed, l.claim()) || len(grant.Hosts) == 0 {
		ctx, cancel := context.WithTimeout(ctx, claimTimeout)
		defer cancel()
		grant, err = l.carrier.Claim(ctx, l.claim())
	}
	if err == nil {
		err = l.adopt(grant, s.SharerOptions)
	}
	if err != nil {
		l.terms = before
		return err
	}
	l.expiry.Reset(time.Until(l.until))
	s.set(l.status(s.Status().State, nil))
	return l.key.SetExpiry(l.until)
}

// equal compares terms, wherever the file has them now.
func (t terms) equal(other terms) bool {
	x, y := *t.plan, *other.plan
	x.Source, y.Source = plan.Source{}, plan.Source{}
	return t.until.Equal(other.until) && reflect.DeepEqual(x, y) && reflect.DeepEqual(t.aliases, other.aliases)
}

// aliases returns the further names of the plan's hosts.
func (s *Sharer) aliases() map[string][]string {
	aliases := map[string][]string{}
	for _, host := range s.plan.Hosts() {
		aliases[host.Name] = host.Aliases
	}
	return aliases
}
