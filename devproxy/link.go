package devproxy

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// link is one share from its start to its end.
type link struct {
	number  uint64
	request control.ShareRequest // that started it
	key     *credentials.Key
	// relays may carry it, in the order in which they are tried. relays[at] does, or
	// is tried now. tried counts those that failed since the link last worked.
	relays    []credentials.Login
	at, tried int
	// quiet is true for a link that is tried again: the user knows why it failed.
	quiet bool

	// What is to be shared, and what the relay granted.
	terms
	grant tunnel.Grant // zero before the first
	table table
	// advisories are about dev servers with known holes.
	advisories []string

	provider provider.Provider // zero for a relay
	notes    struct {
		sync.Mutex
		texts []string // of the provider, for the user
	}
	carrier provider.Carrier
	cancel  context.CancelFunc // ends carrier.Run
	states  mailbox[agent.State]
	ended   chan error    // the result of carrier.Run
	gone    chan struct{} // closed after that
	expiry  *time.Timer

	serving     context.Context // done when nothing is shared any more
	stopServing context.CancelFunc
	served      chan struct{} // nil before the first grant; closed when the last visitor was served
}

// terms are the properties of a link that can change.
type terms struct {
	plan    *plan.Share
	aliases map[string][]string // of the plan's hosts, by name
	until   time.Time
}

// claim is what the relay is asked for.
func (l *link) claim() tunnel.Claim {
	claim := claimOf(l.plan, l.key)
	claim.Enrol, claim.Until = l.relay().Token, l.until
	return claim
}

// relay returns the relay that carries the link, or is tried now.
func (l *link) relay() credentials.Login { return l.relays[l.at] }

// foreign reports whether a provider carries the link. It chooses the names, and
// they may not stay secret.
func (l *link) foreign() bool { return l.provider.Name != "" }

// note keeps a sentence for the user, which is shown with the link.
func (l *link) note(text string) {
	l.notes.Lock()
	defer l.notes.Unlock()
	l.notes.texts = append(l.notes.texts, text)
}

// start dials the relay, and again whenever the connection is lost.
func (l *link) start(opts SharerOptions) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.serving, l.stopServing = context.WithCancel(context.Background())
	l.expiry = time.NewTimer(time.Until(l.until))
	l.states, l.ended, l.gone = newMailbox[agent.State](), make(chan error, 1), make(chan struct{})
	if l.foreign() {
		l.carrier = l.provider.New(provider.Options{
			Claim: l.claim(), Home: opts.Store.Home, Getenv: opts.Store.Getenv, Notify: l.states.put, Note: l.note, Log: opts.Log,
		})
	} else {
		relay := l.relay()
		l.carrier = agent.New(agent.Options{
			Relay: relay.Relay, Key: l.key.Private, Claim: l.claim(), Roots: opts.Roots(relay.Relay), Pin: relay.Pin,
			Getenv: opts.Store.Getenv, Congestion: opts.Congestion, Notify: l.states.put, Log: opts.Log,
		})
	}
	go func() {
		defer close(l.gone)
		l.ended <- l.carrier.Run(ctx)
	}()
}

// serve serves visitors until stopServing is called.
func (l *link) serve(opts SharerOptions) {
	l.served = make(chan struct{})
	sharing := Sharing{Name: l.plan.Project, Visitor: visitorOf, Share: l.table.current.Load}
	go func() {
		defer close(l.served)
		err := opts.Server.ServeShare(l.serving, opts.Log, l.carrier, sharing)
		if err != nil && l.serving.Err() == nil {
			opts.Log.Warn("the listener of a share's visitors failed", "error", err)
		}
	}()
}

// visitorOf returns what the relay or the provider says of the visitor at the other
// end.
func visitorOf(c net.Conn) share.Visitor {
	switch conn := c.(type) {
	case *agent.Conn:
		v := conn.Visitor
		return share.Visitor{Addr: v.Addr, Scheme: v.Scheme, Host: v.Host}
	case *provider.Conn:
		v := conn.Visitor
		return share.Visitor{Addr: v.Addr, AddrField: conn.AddrField, Scheme: v.Scheme, Host: v.Host}
	}
	return share.Visitor{} // not a connection of ours: nothing is known
}

// forever is the grace of a devproxy that stops: a second Ctrl-C cuts it short.
const forever = time.Duration(-1)

// close stops serving and dialling. Requests of visitors may take until grace is
// over to finish; forever waits for them, unless the server is closed.
func (l *link) close(grace time.Duration) {
	l.expiry.Stop()
	l.stopServing()
	if l.served != nil {
		l.drain(grace)
	}
	l.cancel()
	_ = l.carrier.Close() // nothing is lost any more
	<-l.gone
	if l.served != nil {
		<-l.served
	}
}

func (l *link) drain(grace time.Duration) {
	if grace == forever {
		<-l.served
		return
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-l.served:
	case <-timer.C:
	}
}

// status returns the public state of the link.
func (l *link) status(state string, err error) control.Share {
	view := control.Share{
		State: state, Link: l.number, Relay: l.relay().Relay, Expires: l.until,
		Operator: l.provider.Operator, Cannot: l.cannot(),
		Password: l.plan.Password != "", Public: l.plan.Public, Paths: l.plan.Paths, Show: l.plan.Show,
		Advisories: l.advisories,
	}
	l.notes.Lock()
	view.Notes = slices.Clone(l.notes.texts)
	l.notes.Unlock()
	view.Error, view.Fix = Explain(err)
	for _, prefix := range l.plan.Allow {
		view.Allow = append(view.Allow, prefix.String())
	}
	for _, host := range l.plan.NotShared {
		view.NotShared = append(view.NotShared, control.NotShared{Name: host.Name, Reason: host.Reason})
	}
	if shown := l.table.current.Load(); shown != nil {
		urls := shown.URLs()
		view.URL = urls[0].URL
		for i, name := range l.grant.Hosts {
			host := control.SharedHost{Name: l.plan.Hosts[i], URL: "https://" + authority(name, l.grant.Port)}
			if l.foreign() && i > 0 {
				host.URL = urls[i].URL // it has its own gate
			}
			view.Hosts = append(view.Hosts, host)
		}
	}
	return view
}

// cannot lists what does not pass through the link's provider.
func (l *link) cannot() []string {
	if !l.foreign() {
		return nil
	}
	cannot := slices.Clone(l.provider.Cannot)
	if l.plan.Name != "" {
		cannot = append(cannot, fmt.Sprintf("the name %q: %s chooses the names", l.plan.Name, l.provider.Name))
	}
	if len(l.plan.Hosts) > 1 { // cookies = "shared" does not change that
		cannot = append(cannot, "cookies for several hosts: open the link of each host once")
	}
	return cannot
}
