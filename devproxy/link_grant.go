package devproxy

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/devproxy/devproxy/devproxy/advisory"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/tunnel"
)

// table is what visitors of a link get now.
type table struct {
	current atomic.Pointer[Shared]
	plan    *plan.Share        // that it was made from
	port    uint16             // of HTTPS on this machine
	end     context.CancelFunc // of the streams that it allows
	// attempts counts wrong passwords, for all tables of a link.
	attempts *share.Attempts
}

// adopt serves visitors what the relay granted.
func (l *link) adopt(grant tunnel.Grant, opts SharerOptions) error {
	if err := l.checkNames(grant); err != nil {
		return err
	}
	port := opts.HTTPSPort()
	made, err := share.New(l.options(grant, port, opts.Folder))
	if err != nil {
		return err
	}
	if err := l.key.SetName(l.plan.Name); err != nil {
		return err
	}
	l.grant = grant
	l.advisories = advisories(opts.Folder)
	l.show(made, port)
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
	public, _ := l.key.Private.Public().(ed25519.PublicKey)
	zone, hosts, err := tunnel.PublicNames(public, grant.Domain, claim)
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

// show replaces the table. Open streams go on, unless a visitor with one might not
// get it now.
func (l *link) show(made *share.Share, port uint16) {
	t := &l.table
	shared, end := &Shared{Share: made}, t.end
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

// stricter reports whether next may hide something that old shows.
func stricter(old, next *plan.Share) bool {
	missingHost := func(host string) bool { return !slices.Contains(next.Hosts, host) }
	missingEntry := func(entry string) bool { return !slices.Contains(next.Show, entry) }
	return old.Name != next.Name || old.Password != next.Password ||
		slices.ContainsFunc(old.Hosts, missingHost) || slices.ContainsFunc(old.Show, missingEntry) ||
		!slices.Equal(old.Paths, next.Paths) || !slices.Equal(old.Public, next.Public) || !slices.Equal(old.Allow, next.Allow)
}

// options returns the share as its visitors see it.
func (l *link) options(grant tunnel.Grant, port uint16, folder string) share.Options {
	options := share.Options{
		Zone: grant.Zone, Together: !l.foreign(), LocalZone: l.plan.Domain, Root: folder,
		Password: l.plan.Password, Public: l.plan.Public, Paths: l.plan.Paths, Show: l.plan.Show, Allow: l.plan.Allow,
		Until: l.until, CookieKey: l.cookieKey(), Attempts: l.table.attempts,
	}
	if l.plan.Name != "" || l.foreign() {
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
