package main

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
	"sync/atomic"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/advisory"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/tunnel"
)

// table is what visitors of a link get now.
type table struct {
	current atomic.Pointer[devproxy.Shared]
	plan    *plan.Share        // what it was made of
	port    uint16             // of HTTPS here
	end     context.CancelFunc // of the streams that it allows
	// attempts are the guesses at a password, of all tables.
	attempts *share.Attempts
}

// adopt makes what the relay granted what visitors get.
func (l *link) adopt(grant tunnel.Grant, env shareEnv) error {
	if err := l.checkNames(grant); err != nil {
		return err
	}
	port := env.port()
	made, err := share.New(l.options(grant, port, env.folder))
	if err != nil {
		return err
	}
	if err := l.key.Has(l.plan.Name); err != nil {
		return err
	}
	l.grant = grant
	l.advisories = advisories(env.folder)
	l.show(made, port)
	return nil
}

// checkNames checks the names that were granted. Those of a relay are known
// before: one that grants others is not believed. A provider chooses them.
func (l *link) checkNames(grant tunnel.Grant) error {
	if l.foreign() {
		if len(grant.Hosts) != len(l.plan.Hosts) {
			return errStaleGrant // of the hosts before the last change
		}
		return nil
	}
	claim := l.claim()
	expected, err := l.namesFit(claim, grant)
	if err == nil {
		return nil
	}
	// An older relay knows older rules alone.
	for claim.Names > tunnel.NamesByZone {
		claim.Names--
		if _, older := l.namesFit(claim, grant); older == nil {
			return l.key.UseNames(claim.Names)
		}
	}
	var name *tunnel.NameError
	if errors.As(err, &name) {
		return err
	}
	return failf("update the older of the two", "relay %s grants the names %q where this devproxy expects %q", l.relay().Relay, grant.Hosts, expected)
}

// errOtherNames is a grant of other names than those of the claim.
var errOtherNames = errors.New("the names are others")

// namesFit returns the names that a claim has, and an error unless grant has them.
func (l *link) namesFit(claim tunnel.Claim, grant tunnel.Grant) (hosts []string, err error) {
	public, _ := l.key.Key.Public().(ed25519.PublicKey)
	zone, hosts, err := tunnel.PublicNames(public, grant.Domain, claim)
	if err == nil && (zone != grant.Zone || !slices.Equal(hosts, grant.Hosts)) {
		err = errOtherNames
	}
	return hosts, err
}

// errStaleGrant is a grant for other hosts than those that are shared now.
var errStaleGrant = errors.New("the names are those of other hosts")

// advisories are sentences about the dev servers of the project in folder.
func advisories(folder string) []string {
	var dirs []string
	for _, process := range listen.ListeningProcesses() {
		dirs = append(dirs, process.Dir)
	}
	var sentences []string
	for _, finding := range advisory.Find(folder, advisory.Folders(folder, dirs...)...) {
		sentences = append(sentences, finding.String())
	}
	return sentences
}

// show puts a table in place of the one before. Streams go on, unless somebody
// who has one might not get it now.
func (l *link) show(made *share.Share, port uint16) {
	t := &l.table
	shared, end := &devproxy.Shared{Share: made}, t.end
	if before := t.current.Load(); before != nil && !stricter(t.plan, l.plan) {
		shared.Streams, end = before.Streams, nil
	} else {
		shared.Streams, t.end = context.WithCancel(l.serving)
	}
	t.plan, t.port = l.plan, port
	t.current.Store(shared)
	if end != nil {
		end()
	}
}

// stricter reports whether what was open under old may not be under next.
func stricter(old, next *plan.Share) bool {
	gone := func(host string) bool { return !slices.Contains(next.Hosts, host) }
	return slices.ContainsFunc(old.Hosts, gone) || old.Name != next.Name || old.Password != next.Password ||
		!slices.Equal(old.Paths, next.Paths) || !slices.Equal(old.Public, next.Public) || slices.ContainsFunc(old.Show, func(entry string) bool { return !slices.Contains(next.Show, entry) }) || !slices.Equal(old.Allow, next.Allow)
}

// options are the share as its visitors meet it.
func (l *link) options(grant tunnel.Grant, port uint16, folder string) share.Options {
	options := share.Options{
		Zone: grant.Zone, Together: !l.foreign(), LocalZone: l.plan.Domain, Root: folder,
		Password: l.plan.Password, Public: l.plan.Public, Paths: l.plan.Paths, Show: l.plan.Show, Allow: l.plan.Allow,
		Until: l.until, CookieKey: l.cookieKey(), Attempts: l.table.attempts,
	}
	if l.plan.Name != "" || l.foreign() {
		options.Named = true
		options.Secret = []byte(tunnel.Link(l.key.Key, l.key.Generation))
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
	return options
}

// authority is a name with its port, unless that is HTTPS's own.
func authority(name string, port uint16) string {
	if port == 443 {
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(int(port)))
}

// cookieKey signs the cookies of the gate: another key for each link and each
// password, so that a new one asks everybody again.
func (l *link) cookieKey() []byte {
	info := binary.BigEndian.AppendUint64([]byte("devproxy gate cookie"), l.key.Generation)
	derived, err := hkdf.Key(sha256.New, l.key.Key.Seed(), nil, string(info)+l.plan.Password, sha256.Size)
	if err != nil {
		panic(err) // only for lengths above 8160 bytes (RFC 5869 section 2.3)
	}
	return derived
}

// describe is the live share as it is told.
func (s *sharing) describe(state string, err error) control.Share {
	l := s.live
	view := control.Share{
		State: state, Link: l.number, Relay: l.relay().Relay, Expires: l.until,
		Operator: l.provider.Operator, Cannot: l.cannot(),
		Password: l.plan.Password != "", Public: l.plan.Public, Paths: l.plan.Paths, Show: l.plan.Show,
		Advisories: l.advisories,
	}
	l.notes.Lock()
	view.Notes = slices.Clone(l.notes.texts)
	l.notes.Unlock()
	view.Error, view.Fix = describeError(err)
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
				host.URL = urls[i].URL // it has a gate of its own
			}
			view.Hosts = append(view.Hosts, host)
		}
	}
	return view
}

// cannot is what does not pass through the link's provider.
func (l *link) cannot() []string {
	if !l.foreign() {
		return nil
	}
	cannot := slices.Clone(l.provider.Cannot)
	if l.plan.Name != "" {
		cannot = append(cannot, fmt.Sprintf("the name %q: %s chooses the names", l.plan.Name, l.provider.Name))
	}
	if len(l.plan.Hosts) > 1 { // cookies = "shared" changes nothing about that
		cannot = append(cannot, "cookies for several hosts: open the link of each host once")
	}
	return cannot
}
