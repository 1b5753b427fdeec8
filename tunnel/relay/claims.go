package relay

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// claimed is an immutable record of a granted claim.
type claimed struct {
	zone  string // the parent of all hosts, which no other key has; empty for none
	hosts []string
	// root is the registry's name of the hosts: their plain name or, for unguessable
	// ones, that of their link, whatever their other labels. It is empty without hosts.
	root  string
	until time.Time
	// domain is that of the user, the first of hosts; empty for none.
	domain string
	// callback is the callback host that leads to the share; nil for none.
	callback *callback
	ports    []grantedPort
}

// names returns the registry's names for a claim.
func (c *claimed) names() []string {
	var names []string
	for _, name := range []string{c.root, c.zone} {
		if name != "" && !slices.Contains(names, name) { // a plain name can be the zone
			names = append(names, name)
		}
	}
	return names
}

// inZone reports whether a host is in the zone, so that the zone needs a certificate.
func (c *claimed) inZone() bool {
	return slices.ContainsFunc(c.hosts, func(host string) bool { return isIn(host, c.zone) })
}

// expired reports whether the share's time has ended.
func (c *claimed) expired(now time.Time) bool { return !c.until.IsZero() && !now.Before(c.until) }

// grant grants a claim of a key, in the registry.
func (a *agents) grant(ctx context.Context, pub ed25519.PublicKey, from *network, c tunnel.Claim) (*claimed, *tunnel.Grant, error) {
	r, key := a.relay, keyOf(pub)
	zone, hosts, err := tunnel.PublicNames(pub, r.opts.Domain, c)
	if err != nil {
		return nil, nil, err
	}
	granted := &claimed{zone: zone, hosts: hosts, until: c.Until}
	ofRelay := hosts // those that the relay's certificates must cover
	if c.Domain != "" && len(hosts) > 0 {
		granted.domain, ofRelay = c.Domain, hosts[1:]
	}
	if err := a.checkCovered(ofRelay, zone, c); err != nil {
		return nil, nil, err
	}
	switch {
	case len(hosts) == 0:
	case c.Name != "":
		granted.root = c.Name + "." + r.opts.Domain
	default: // someone who has seen a link can't claim it with other labels
		granted.root = tunnel.LinkEntry(c.Link, r.opts.Domain)
	}
	if err := tunnel.CheckPorts(c.Ports); err != nil {
		return nil, nil, err
	}
	if granted.expired(time.Now()) {
		return nil, nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the claim ends in the past; is the clock right?"}
	}
	if err := a.spendAllowance(ctx, key, from, granted); err != nil {
		return nil, nil, err
	}
	if err := a.proveDomain(ctx, pub, from, granted.domain); err != nil {
		return nil, nil, err
	}
	claim := NameClaim{Owner: key, Names: granted.names(), Until: c.Until, From: from.prefix, Quota: r.opts.Limits.Names}
	if err := r.opts.Registry.Claim(ctx, claim); err != nil {
		return nil, nil, err
	}
	if cover := r.opts.CoverZone; cover != nil && granted.inZone() {
		if err := cover(zone, key.String(), from.prefix); err != nil { // the key has claimed it
			return nil, nil, err
		}
	}
	if granted.callback, err = a.grantCallback(ctx, pub, from, c); err != nil {
		return nil, nil, err
	}
	if err := a.coverDomain(key, from, granted.domain); err != nil {
		return nil, nil, err
	}
	grant := &tunnel.Grant{Domain: r.opts.Domain, Port: uint16(r.port.Load()), Zone: zone, Hosts: hosts, Callback: granted.callback.host()}
	if granted.ports, err = a.grantPorts(ctx, key, from, c.Ports, grant); err != nil {
		return nil, nil, err
	}
	return granted, grant, nil
}

// isIn reports whether a host is one label below a zone, so that *.ZONE covers it.
func isIn(host, zone string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return zone != "" && parent == zone
}

// checkCovered returns an error for a name that browsers would refuse, unless it is
// in a zone that can get a certificate.
func (a *agents) checkCovered(hosts []string, zone string, c tunnel.Claim) error {
	instead := "share one host, or ask the operator to add one with --cert"
	if c.Names != tunnel.NamesByZone && c.SharedCookies {
		instead = `remove cookies = "shared", or ask the operator to add one with --cert`
	}
	covers := a.relay.opts.Covers
	for _, host := range hosts {
		if a.relay.opts.CoverZone != nil && isIn(host, zone) {
			continue
		}
		if covers != nil && !covers(strings.Replace(host, "*", "x", 1)) {
			_, parent, _ := strings.Cut(host, ".")
			return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "this relay has no certificate for *." + parent + ": " + instead}
		}
	}
	return nil
}

// spendAllowance counts the new names of a claim against the allowance of a
// network, and refuses reserved names. Names that the key already has are free.
func (a *agents) spendAllowance(ctx context.Context, key Key, from *network, c *claimed) error {
	dirty, plain := false, false
	for _, name := range c.names() {
		record, known, err := a.relay.opts.Registry.Lookup(ctx, name)
		if err != nil {
			return err
		}
		mine := known && record.Owner == key
		if !mine || !record.Until.Equal(c.until) || !record.Ended.IsZero() {
			dirty = true
		}
		if mine || !tunnel.PlainName(name) {
			continue
		}
		plain = true
		if label, _, _ := strings.Cut(name, "."); isReserved(label) && !slices.Contains(a.relay.opts.Names, label) {
			return &tunnel.Refusal{Code: tunnel.CodeNameTaken, Message: fmt.Sprintf("the name %q is reserved; the relay's operator can allow it with --allow-name", label)}
		}
	}
	if dirty && !from.names.Allow() || plain && !from.plain.Allow() {
		return errTooManyNames
	}
	return nil
}

// errTooManyNames refuses an agent whose network claims names too fast.
var errTooManyNames = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "your network claims new names faster than this relay allows; try again later"}

// giveUp gives up a plain name of key. It never returns nil: success is a refusal
// with the code CodeReleased.
func (a *agents) giveUp(ctx context.Context, key Key, from *network, label string) error {
	if !from.names.Allow() {
		return errTooManyNames
	}
	name := label + "." + a.relay.opts.Domain
	given, err := a.relay.opts.Registry.GiveUp(ctx, key, []string{name})
	switch {
	case err != nil:
		return err
	case len(given) == 0:
		return &tunnel.Refusal{Code: tunnel.CodeNameTaken, Message: "the name " + name + " does not belong to this key"}
	}
	a.relay.log.Info("name given up", "key", key, "from", from.prefix, "name", name)
	return &tunnel.Refusal{Code: tunnel.CodeReleased, Message: name}
}

// reserved are plain names that no agent may claim for the first time: software
// trusts them by name alone, certificate authorities issue certificates to anyone
// who answers there, or people take them for the relay's operator. They are
// reserved with digits at the end too ("ns1"). RFC 8552's names, which begin with
// "_", and RFC 5891's, which contain "--", are not plain names (tunnel.PublicNames).
var reserved = strings.Fields(`
	wpad isatap
	autoconfig autodiscover lyncdiscover enterpriseenrollment enterpriseregistration msoid
	mta-sts openpgpkey bimi caldav caldavs carddav carddavs
	localhost localdomain local broadcasthost invalid onion gateway router

	abuse noc security hostmaster postmaster webmaster usenet uucp mailer-daemon
	admin administrator root info ssladmin ssladministrator sslwebmaster sysadmin
	acme ca crl ocsp pki

	www ftp sftp ssh vpn rdp
	mail email webmail smtp smtps imap imaps pop mx relay exchange
	ns dns ntp ldap ldaps kerberos kdc radius sip sips xmpp xmpp-server xmpp-client stun turn whois

	api auth oauth openid oidc saml sso idp login logout signin signup signout register
	account accounts identity password passwords reset verify
	dashboard console status billing payment payments invoice support
	devproxy tunnel tunnels agent agents share shares metrics healthz
`)

// isReserved reports whether label, a plain name, is reserved. Digits at its end do
// not matter: "ns", "ns1" and "ns-1" are the same.
func isReserved(label string) bool {
	return slices.Contains(reserved, strings.TrimSuffix(strings.TrimRight(label, "0123456789"), "-"))
}
