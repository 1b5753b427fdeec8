package main

import (
	"context"
	"net"
	"os"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// link is one share from its beginning to its end.
type link struct {
	number  uint64
	request control.ShareRequest // what it was asked for with
	key     *shareKey
	// relays may carry it, in the order in which they are tried; at is the one
	// that does, or is tried now. tried counts those that failed since the link
	// last worked.
	relays    []rememberedRelay
	at, tried int
	// quiet is a link that is tried again: the user knows why it failed.
	quiet bool

	// What is to be shared, and what came of it.
	terms
	grant tunnel.Grant // zero before the first
	table table
	// advisories are about dev servers with known holes.
	advisories []string

	provider provider.Provider // zero for a relay
	notes    struct {
		sync.Mutex
		texts []string // that the provider has for the user
	}
	carrier provider.Carrier
	cancel  context.CancelFunc // ends carrier.Run
	states  mailbox[agent.State]
	ended   chan error    // carrier.Run's
	gone    chan struct{} // closed behind it
	expiry  *time.Timer

	serving     context.Context // done when nothing is shared any more
	stopServing context.CancelFunc
	served      chan struct{} // nil before the first grant; closed when the last visitor was served
}

// terms are what can change about a link.
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

// relay is the one that carries the link, or is tried now.
func (l *link) relay() rememberedRelay { return l.relays[l.at] }

// foreign reports whether somebody else's service carries the link: it chooses
// the names, and nobody keeps them secret for us.
func (l *link) foreign() bool { return l.provider.Name != "" }

// note keeps a sentence that the provider has for the user. It is shown with the link.
func (l *link) note(text string) {
	l.notes.Lock()
	defer l.notes.Unlock()
	l.notes.texts = append(l.notes.texts, text)
}

// start dials the relay and keeps at it.
func (l *link) start(env shareEnv) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.serving, l.stopServing = context.WithCancel(context.Background())
	l.expiry = time.NewTimer(time.Until(l.until))
	l.states, l.ended, l.gone = newMailbox[agent.State](), make(chan error, 1), make(chan struct{})
	if l.foreign() {
		l.carrier = l.provider.New(provider.Options{
			Claim: l.claim(), Home: env.home, Getenv: os.Getenv, Notify: l.states.put, Note: l.note, Log: env.log,
		})
	} else {
		relay := l.relay()
		l.carrier = agent.New(agent.Options{
			Relay: relay.Relay, Key: l.key.Key, Claim: l.claim(), Roots: env.roots(relay.Relay), Pin: relay.Pin,
			Getenv: os.Getenv, Congestion: env.congestion, Notify: l.states.put, Log: env.log,
		})
	}
	go func() {
		defer close(l.gone)
		l.ended <- l.carrier.Run(ctx)
	}()
}

// serve serves visitors until stopServing.
func (l *link) serve(env shareEnv) {
	l.served = make(chan struct{})
	sharing := devproxy.Sharing{Name: l.plan.Project, Visitor: visitorOf, Share: l.table.current.Load}
	go func() {
		defer close(l.served)
		err := env.server.ServeShare(l.serving, env.log, l.carrier, sharing)
		if err != nil && l.serving.Err() == nil {
			env.log.Warn("the listener of a share's visitors failed", "error", err)
		}
	}()
}

// visitorOf is what the relay or the provider said of who is at the other end.
func visitorOf(c net.Conn) share.Visitor {
	switch conn := c.(type) {
	case *agent.Conn:
		v := conn.Visitor
		return share.Visitor{Addr: v.Addr, Scheme: v.Scheme, Host: v.Host}
	case *provider.Conn:
		v := conn.Visitor
		return share.Visitor{Addr: v.Addr, AddrField: conn.AddrField, Scheme: v.Scheme, Host: v.Host}
	}
	return share.Visitor{} // not of ours; nobody is told of
}

// close stops serving and dialling. Requests of visitors have until patience is
// over; forever waits for them, unless the server is closed.
func (l *link) close(patience time.Duration) {
	l.expiry.Stop()
	l.stopServing()
	if l.served != nil {
		l.drain(patience)
	}
	l.cancel()
	_ = l.carrier.Close() // nothing to lose any more
	<-l.gone
	if l.served != nil {
		<-l.served
	}
}

// forever is the patience of an `up` that ends: a second Ctrl-C cuts it short.
const forever = time.Duration(-1)

func (l *link) drain(patience time.Duration) {
	if patience == forever {
		<-l.served
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.served:
	case <-timer.C:
	}
}
