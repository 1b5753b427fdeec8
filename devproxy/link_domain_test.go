package devproxy

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/port"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	usersDomain = "demo.example.com"
	usersRelay  = "t.example.net"
)

// domainRelay is a Carrier whose relay grants what it is asked for, and no domain while
// refusal is not nil.
type domainRelay struct {
	public  ed25519.PublicKey
	refusal *agent.Error
	old     bool // it does not know domains
	claims  []tunnel.Claim
}

func unproven() *agent.Error {
	return &agent.Error{Reason: agent.ReasonUnproven, Op: "share through", Addr: usersRelay, Err: errors.New("no record"), Fix: "make it"}
}

// Claim implements provider.Carrier.
func (r *domainRelay) Claim(ctx context.Context, claim tunnel.Claim) (tunnel.Grant, error) {
	r.claims = append(r.claims, claim)
	if err := ctx.Err(); err != nil {
		return tunnel.Grant{}, &agent.Error{Reason: agent.ReasonBroken, Op: "share through", Addr: usersRelay, Err: err}
	}
	if claim.Domain != "" && r.refusal != nil {
		return tunnel.Grant{}, r.refusal
	}
	if r.old {
		claim.Domain = ""
	}
	zone, hosts, err := tunnel.PublicNames(r.public, usersRelay, claim)
	return tunnel.Grant{Domain: usersRelay, Port: 443, Zone: zone, Hosts: hosts}, err
}

func (r *domainRelay) last() tunnel.Claim { return r.claims[len(r.claims)-1] }

// The rest of provider.Carrier is not used.
func (r *domainRelay) Accept() (net.Conn, error)     { return nil, net.ErrClosed }
func (r *domainRelay) Addr() net.Addr                { return nil }
func (r *domainRelay) Close() error                  { return nil }
func (r *domainRelay) Run(ctx context.Context) error { return nil }
func (r *domainRelay) End(ctx context.Context) error { return nil }

// domainSharer is a Sharer with a link that claims usersDomain and has no grant yet.
type domainSharer struct {
	*Sharer
	t     *testing.T
	relay *domainRelay
	told  []ShareEvent
}

func newDomainSharer(t *testing.T) *domainSharer {
	t.Helper()
	folder := t.TempDir()
	key, err := (credentials.Store{Home: t.TempDir()}).OpenKey(folder, "")
	if err != nil {
		t.Fatal(err)
	}
	d := &domainSharer{t: t, relay: &domainRelay{public: key.Private.Public().(ed25519.PublicKey)}}
	d.Sharer = NewSharer(SharerOptions{
		Folder: folder, Log: slog.New(slog.DiscardHandler), HTTPSPort: func() uint16 { return 443 },
		Notify: func(e ShareEvent) { d.told = append(d.told, e) },
	}, nil)
	l := &link{number: 1, key: key, relays: []credentials.Login{{Relay: usersRelay}}, carrier: d.relay, table: table{attempts: share.NewAttempts()}, ports: port.New(port.Options{}).Share()}
	l.terms = terms{plan: &plan.Share{
		Domain: "shop.localhost", Project: "shop", Hosts: []string{"shop.localhost", "admin.shop.localhost"},
		OwnDomain: usersDomain, OwnHost: "shop.localhost", Expires: time.Hour,
	}, until: time.Now().Add(time.Hour)}
	l.domain = linkDomain{name: l.ownDomain()}
	l.expiry = time.NewTimer(time.Hour)
	var stop context.CancelFunc
	l.serving, stop = context.WithCancel(t.Context())
	t.Cleanup(func() {
		l.domain.stopAsking()
		stop()
	})
	l.served = make(chan struct{}) // no visitor comes
	d.live = l
	return d
}

// granted returns the relay's grant for the link's claim, with or without the domain.
func (d *domainSharer) granted(domain bool) tunnel.Grant {
	d.t.Helper()
	claim := d.live.claim()
	claim.Domain = ""
	if domain {
		claim.Domain = usersDomain
	}
	grant, err := (&domainRelay{public: d.relay.public}).Claim(d.t.Context(), claim)
	if err != nil {
		d.t.Fatal(err)
	}
	return grant
}

// ask asks the relay, and handles its answer.
func (d *domainSharer) ask() {
	d.t.Helper()
	d.askForDomain()
	select {
	case answer := <-d.live.domain.asked:
		d.domainAnswered(answer)
	case <-time.After(patience):
		d.t.Fatal("the relay is not asked")
	}
}

// wants checks the state of the domain, and whether the link is at it.
func (d *domainSharer) wants(step, state, text string, event ShareEventKind) {
	d.t.Helper()
	status := d.Status()
	if status.Domain == nil || status.Domain.State != state || !strings.Contains(status.Domain.Error, text) {
		d.t.Fatalf("%s: the domain is %+v", step, status.Domain)
	}
	if status.Domain.Target != tunnel.OwnName(d.relay.public, usersRelay) || status.Domain.Host != "shop.localhost" {
		d.t.Errorf("%s: the domain is %+v", step, status.Domain)
	}
	secret := tunnel.Link(d.live.key.Private, d.live.key.Generation)
	at := strings.HasPrefix(status.URL, "https://"+usersDomain+"/") && strings.Contains(status.URL, secret)
	if up := state == control.DomainUp; at != up || status.Hosts[0].URL == "https://"+usersDomain != up || !strings.HasSuffix(status.Hosts[1].URL, "--admin."+usersRelay) {
		d.t.Errorf("%s: the link is %s of %+v", step, status.URL, status.Hosts)
	}
	if waits := d.live.domain.retry.c != nil; waits != (state != control.DomainUp) {
		d.t.Errorf("%s: the relay is asked again: %t", step, waits)
	}
	if len(d.told) == 0 || d.told[len(d.told)-1].Kind != event {
		d.t.Errorf("%s: the events are %+v", step, d.told)
	}
}

// TestDomainOfALink: the share has a name of the relay until the relay grants the domain,
// without a restart, and again when the domain is lost.
func TestDomainOfALink(t *testing.T) {
	d := newDomainSharer(t)
	if claim := d.live.claim(); claim.Domain != usersDomain {
		t.Fatalf("the first claim is %+v", claim)
	}
	d.relay.refusal = unproven()
	d.up(d.granted(false), d.relay.refusal)
	d.wants("no record", control.DomainUnproven, "no record", ShareShown)
	if claim := d.live.claim(); claim.Domain != "" {
		t.Errorf("the next claim is %+v", claim)
	}
	pause := d.live.domain.pause
	d.ask()
	if d.live.domain.pause != 2*pause || len(d.told) != 1 || d.relay.last().Domain != usersDomain {
		t.Errorf("asked again after %v, then %v; events %+v", pause, d.live.domain.pause, d.told)
	}
	d.relay.refusal = &agent.Error{Reason: agent.ReasonBroken, Err: errors.New("it is away")}
	d.ask()
	d.wants("a relay that is away", control.DomainUnproven, "no record", ShareShown)
	d.relay.refusal = &agent.Error{Reason: agent.ReasonBusy, Err: errors.New("it is busy: the certificate is being issued")}
	d.ask()
	d.wants("a certificate that is ordered", control.DomainRefused, "the certificate is being issued", ShareDomain)
	if domain := d.Status().Domain; d.live.domain.pause != pause || strings.HasPrefix(domain.Error, "it is busy") || domain.Fix != "devproxy asks again" {
		t.Errorf("a certificate that is ordered: %+v, asked again after %v", domain, d.live.domain.pause)
	}
	d.relay.refusal = &agent.Error{Reason: agent.ReasonBadClaim, Err: errors.New("no certificate")}
	d.ask()
	d.wants("no certificate", control.DomainRefused, "no certificate", ShareDomain)
	relayURL := d.Status().Hosts[0].URL
	d.relay.refusal = nil
	d.ask()
	d.wants("a record", control.DomainUp, "", ShareShown)
	if old := d.told[len(d.told)-1].MovedDomain(); old != relayURL {
		t.Errorf("the address before is %q, want %q", old, relayURL)
	}
	streams := d.live.table.current.Load().Streams
	if d.up(d.granted(true), nil); len(d.relay.claims) != 5 || d.live.table.current.Load().Streams != streams || streams.Err() != nil {
		t.Errorf("the next session: claims %+v, streams %v", d.relay.claims, streams.Err())
	}

	// A grant without it may be from before.
	d.up(d.granted(false), unproven())
	d.domainAnswered(<-d.live.domain.asked)
	d.wants("an old grant", control.DomainUp, "", ShareShown)
	d.relay.refusal = unproven()
	d.up(d.granted(false), unproven())
	d.domainAnswered(<-d.live.domain.asked)
	d.wants("the record is gone", control.DomainUnproven, "no record", ShareShown)
	if d.relay.last().Domain != "" || streams.Err() == nil {
		t.Errorf("the last claim is %+v, streams of the domain %v", d.relay.last(), streams.Err())
	}
}

// TestDomainAtAnOlderRelay is a name of the relay, and the relay is said to be too old.
func TestDomainAtAnOlderRelay(t *testing.T) {
	d := newDomainSharer(t)
	d.relay.old = true
	d.up(d.granted(false), nil)
	d.wants("the first grant", control.DomainRefused, "relay t.example.net runs an older version", ShareShown)
	d.ask()
	d.wants("later", control.DomainRefused, "an older version", ShareShown)
	d.relay.old = false
	d.ask()
	d.wants("updated", control.DomainUp, "", ShareShown)
}

// TestDomainWhenTheShareChanges: a change is not refused because the domain is, and a
// domain that is added or removed needs no new link.
func TestDomainWhenTheShareChanges(t *testing.T) {
	d := newDomainSharer(t)
	d.up(d.granted(true), nil)
	d.wants("at first", control.DomainUp, "", ShareShown)
	change := func(edit func(*plan.Share)) {
		t.Helper()
		next, p := d.live.terms, *d.live.plan
		edit(&p)
		next.plan = &p
		if err := d.change(t.Context(), next); err != nil {
			t.Fatal(err)
		}
	}
	d.relay.refusal = unproven()
	change(func(p *plan.Share) { p.Hosts = slices.Concat(p.Hosts, []string{"mail.shop.localhost"}) })
	d.wants("lost with a change", control.DomainUnproven, "no record", ShareShown)
	if got := d.Status().Hosts; len(got) != 3 {
		t.Errorf("the hosts are %+v", got)
	}
	d.relay.refusal = nil
	d.ask()
	d.wants("again", control.DomainUp, "", ShareShown)

	change(func(p *plan.Share) { p.OwnDomain, p.OwnHost = "", "" })
	if status := d.Status(); status.Domain != nil || !strings.HasSuffix(status.URL, "."+usersRelay) || d.relay.last().Domain != "" {
		t.Errorf("removed: %+v, %s", status.Domain, status.URL)
	}
	change(func(p *plan.Share) { p.OwnDomain, p.OwnHost = usersDomain, "shop.localhost" })
	d.wants("added", control.DomainAsking, "", ShareDomain)
	<-d.live.domain.retry.c
	d.ask()
	d.wants("added, and proven", control.DomainUp, "", ShareShown)
	change(func(p *plan.Share) { p.Hosts = p.Hosts[1:] }) // another host is the first
	if status := d.Status(); status.Domain != nil || status.Hosts[0].URL == "https://"+usersDomain {
		t.Errorf("another first host: %+v, %+v", status.Domain, status.Hosts)
	}
}

// TestDomainOfAShareThatChangesFirst is granted with the change.
func TestDomainOfAShareThatChangesFirst(t *testing.T) {
	d := newDomainSharer(t)
	next := d.live.terms
	next.until = next.until.Add(time.Hour)
	if err := d.change(t.Context(), next); err != nil || !d.live.domain.isUp() {
		t.Fatalf("%v, %+v", err, d.live.domain)
	}
	d.up(d.granted(true), nil)
	d.wants("granted with the change", control.DomainUp, "", ShareBack)
	if len(d.relay.claims) != 1 {
		t.Errorf("the claims are %+v", d.relay.claims)
	}
	d = newDomainSharer(t)
	d.relay.old = true
	if err := d.change(t.Context(), next); err != nil || d.live.domain.state != control.DomainRefused {
		t.Errorf("an older relay: %v, %+v", err, d.live.domain)
	}
}

// TestDomainStopsAsking when the link ends, whatever the relay does.
func TestDomainStopsAsking(t *testing.T) {
	d := newDomainSharer(t)
	d.relay.refusal = unproven()
	d.up(d.granted(false), d.relay.refusal)
	d.askForDomain()
	d.live.domain.stopAsking()
	if d.live.domain.asked != nil || d.live.domain.retry.c != nil {
		t.Error("a request is under way")
	}
}
