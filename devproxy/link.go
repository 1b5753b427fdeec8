package devproxy

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/advisory"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/port"
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

	// The hosts to share, and the names that the relay granted.
	terms
	grant  tunnel.Grant // zero before the first
	table  table
	domain linkDomain
	ports  *port.Share // the visitors of tcp and udp blocks; nil before start
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
	// upstreams are those of the plan's hosts; Host has no port.
	upstreams []share.Upstream
	until     time.Time
	// localOrigin is where callbacks go that no share expects; empty for nowhere.
	localOrigin string
	// callbackKey is that of the project's callback host; nil without one.
	callbackKey ed25519.PrivateKey
}

// claim returns the claim for the relay.
func (l *link) claim() tunnel.Claim {
	claim := claimOf(l.plan, l.key)
	claim.Enrol, claim.Until = l.relay().Token, l.until
	if l.domain.name != "" {
		claim.Names = tunnel.NewestNames // without a zone, which the domain is not in
	}
	if l.domain.claimed() {
		claim.Domain = l.domain.name
	}
	l.claimCallback(&claim)
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
	l.ports = opts.Server.ports.Share()
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
	sharing := Sharing{Name: l.plan.Project, Visitor: visitorOf, Share: l.table.current.Load, Port: l.servePort}
	if to, ok := l.carrier.(expecter); ok {
		sharing.Expect = to.ExpectCallback
	}
	go func() {
		defer close(l.served)
		err := opts.Server.ServeShare(l.serving, opts.Log, l.carrier, sharing)
		if err != nil && l.serving.Err() == nil {
			opts.Log.Warn("the listener of a share's visitors failed", "error", err)
		}
	}()
}

// visitorOf returns the visitor at the other end, as the relay or the provider
// describes it.
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

// close stops serving and dialling. Requests of visitors may take until grace
// has ended to finish; forever waits for them, unless the server is closed.
func (l *link) close(grace time.Duration) {
	l.expiry.Stop()
	l.domain.stopAsking()
	l.stopServing()
	l.ports.Close()
	if l.served != nil {
		var over <-chan time.Time // nil is forever
		if grace != forever {
			over = time.After(grace)
		}
		select {
		case <-l.served:
		case <-over:
		}
	}
	l.cancel()
	_ = l.carrier.Close() // nothing is lost any more
	<-l.gone
	if l.served != nil {
		<-l.served
	}
}

// status returns the public state of the link.
func (l *link) status(state string, err error) control.Share {
	view := control.Share{
		State: state, Link: l.number, Relay: l.relay().Relay, Expires: l.until,
		Operator: l.provider.Operator, Cannot: l.cannot(),
		Password: l.plan.Password != "", Public: l.plan.Public, Paths: l.plan.Paths, Show: l.plan.Show,
		Advisories: l.advisories, Domain: l.domainView(),
		Callback: callbackURLs(callbackOrigin(l.grant), l.plan),
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
	view.Ports = l.portStatus()
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

// cannot lists the features that the link's provider does not support.
func (l *link) cannot() []string {
	var cannot []string
	if missing := l.withoutCallback(); missing != "" {
		cannot = append(cannot, missing)
	}
	if !l.foreign() {
		return cannot
	}
	cannot = append(cannot, l.provider.Cannot...)
	if l.plan.Name != "" {
		cannot = append(cannot, fmt.Sprintf("the name %q: %s chooses the names", l.plan.Name, l.provider.Name))
	}
	if l.plan.OwnDomain != "" {
		cannot = append(cannot, "the domain "+l.plan.OwnDomain+": a relay does")
	}
	if len(l.plan.Hosts) > 1 { // cookies = "shared" does not change that
		cannot = append(cannot, "cookies for several hosts: open the link of each host once")
	}
	return cannot
}

// table is what visitors of a link get now.
type table struct {
	current atomic.Pointer[Shared]
	plan    *plan.Share        // that it was made from
	domain  bool               // the first host has its domain
	port    uint16             // of HTTPS on this machine
	end     context.CancelFunc // of the streams that it allows
	// attempts counts wrong passwords, for all tables of a link.
	attempts *share.Attempts
}

// adopt serves visitors under the names that the relay granted.
func (l *link) adopt(grant tunnel.Grant, opts SharerOptions) error {
	if err := l.checkNames(grant); err != nil {
		return err
	}
	if n := len(grant.Ports); n > 0 && n != len(servedPorts(l.plan)) {
		return errStaleGrant
	}
	https := opts.HTTPSPort()
	made, err := share.New(l.options(grant, https, opts))
	if err != nil {
		return err
	}
	if err := l.key.SetName(l.plan.Name); err != nil {
		return err
	}
	l.grant = grant
	if origin := callbackOrigin(grant); origin != "" {
		if err := opts.Store.SetCallbackOrigin(l.plan.CallbackOwner(), origin); err != nil {
			return err
		}
	}
	l.advisories = advisories(opts.Folder)
	l.show(made, https)
	l.ports.Apply(l.grantedPorts(), l.plan.Allow)
	return nil
}

// errStaleGrant is a grant for the hosts before the last change.
var errStaleGrant = errors.New("the names are for other hosts")

// checkNames checks the granted names. Those of a relay are known before, and no
// others are accepted. A provider chooses its names.
func (l *link) checkNames(grant tunnel.Grant) error {
	if l.foreign() {
		if len(grant.Hosts) != len(l.plan.Hosts) {
			return errStaleGrant
		}
		return nil
	}
	claim := l.claim()
	expected, err := l.compareNames(claim, grant)
	if err == nil {
		return nil
	}
	// An older relay has only older rules.
	for claim.Names > tunnel.NamesByZone {
		claim.Names--
		if _, older := l.compareNames(claim, grant); older == nil {
			return l.key.UseNames(claim.Names)
		}
	}
	if _, ok := errors.AsType[*tunnel.NameError](err); ok {
		return err
	}
	return failure.Errorf("update the older of the two", "relay %s grants the names %q, but this devproxy expects %q", l.relay().Relay, grant.Hosts, expected)
}

// errOtherNames is a grant of names that the claim does not have.
var errOtherNames = errors.New("the names differ")

// compareNames returns the names that claim has, and an error unless grant has the
// same.
func (l *link) compareNames(claim tunnel.Claim, grant tunnel.Grant) (hosts []string, err error) {
	zone, hosts, err := tunnel.PublicNames(l.key.Public(), grant.Domain, claim)
	if err == nil && (zone != grant.Zone || !slices.Equal(hosts, grant.Hosts)) {
		err = errOtherNames
	}
	return hosts, err
}

// advisories returns sentences about dev servers of the project with known holes.
func advisories(folder string) []string {
	var dirs, sentences []string
	for _, process := range listen.ListeningProcesses() {
		dirs = append(dirs, process.Dir)
	}
	for _, finding := range advisory.Find(folder, advisory.Folders(folder, dirs...)...) {
		sentences = append(sentences, finding.String())
	}
	return sentences
}

// show replaces the table. Open streams continue, unless their visitor might
// not be let in now.
func (l *link) show(made *share.Share, port uint16) {
	t := &l.table
	shared, end := &Shared{Share: made}, t.end
	if before := t.current.Load(); before != nil && !stricter(t.plan, l.plan) && t.domain == l.domain.isUp() {
		shared.Streams, end = before.Streams, nil
	} else {
		shared.Streams, t.end = context.WithCancel(l.serving)
	}
	t.plan, t.port, t.domain = l.plan, port, l.domain.isUp()
	t.current.Store(shared)
	if end != nil {
		end()
	}
}

// stricter reports whether next may hide something that old shows.
func stricter(old, next *plan.Share) bool {
	missingHost := func(host string) bool { return !slices.Contains(next.Hosts, host) }
	missingEntry := func(entry string) bool { return !slices.Contains(next.Show, entry) }
	return old.Name != next.Name || old.Password != next.Password ||
		slices.ContainsFunc(old.Hosts, missingHost) || slices.ContainsFunc(old.Show, missingEntry) ||
		!slices.Equal(old.Paths, next.Paths) || !slices.Equal(old.Public, next.Public) || !slices.Equal(old.Allow, next.Allow)
}

// options returns the share as its visitors see it.
func (l *link) options(grant tunnel.Grant, port uint16, opts SharerOptions) share.Options {
	options := share.Options{
		Zone: grant.Zone, Together: !l.foreign(), LocalZone: l.plan.Domain, Root: opts.Folder,
		Password: l.plan.Password, Public: l.plan.Public, Paths: l.plan.Paths, Show: l.plan.Show, Allow: l.plan.Allow,
		Callback: callbackURLs(callbackOrigin(grant), l.plan), KeepBodies: l.plan.KeepBodies, Until: l.until, CookieKey: l.cookieKey(), Attempts: l.table.attempts,
	}
	if l.plan.Name != "" || l.domain.isUp() || l.foreign() {
		options.Named = true
		options.Secret = []byte(tunnel.Link(l.key.Private, l.key.Generation))
	}
	for _, host := range l.plan.NotShared {
		options.NotShared = append(options.NotShared, host.Name)
	}
	for i, name := range l.plan.Hosts {
		host := share.Host{Local: authority(name, port), Public: authority(grant.Hosts[i], grant.Port)}
		for _, alias := range l.aliases[name] {
			host.Aliases = append(host.Aliases, authority(alias, port))
		}
		options.Hosts = append(options.Hosts, host)
	}
	if plain := opts.plainPort(); plain != 0 {
		options.PlainPort = strconv.Itoa(int(plain))
	}
	for _, upstream := range l.upstreams {
		if upstream.Host != "" {
			upstream.Host = authority(upstream.Host, port)
		}
		options.Upstreams = append(options.Upstreams, upstream)
	}
	return options
}

// authority returns a name with its port, which is left out if it is 443.
func authority(name string, port uint16) string {
	if port == 443 {
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(int(port)))
}

// cookieKey signs the cookies of the gate. Each link and each password has another
// key, so that all visitors sign in again after a change.
func (l *link) cookieKey() []byte {
	info := binary.BigEndian.AppendUint64([]byte("devproxy gate cookie"), l.key.Generation)
	derived, err := hkdf.Key(sha256.New, l.key.Private.Seed(), nil, string(info)+l.plan.Password, sha256.Size)
	if err != nil {
		panic(err) // only for lengths above 8160 bytes (RFC 5869 section 2.3)
	}
	return derived
}
