package relay

import "strings"

// reserved are plain names that no agent may claim for the first time: software
// trusts them by name alone, certificates are issued to whoever answers there,
// or people take them for the relay's operator. With digits behind them, "ns1",
// they are reserved too. RFC 8552's names, which begin with "_", and RFC 5891's,
// with "--" in them, are no plain names at all (tunnel.PublicNames).
var reserved = words(`
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

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(list) {
		set[word] = true
	}
	return set
}

// isReserved reports whether label, a plain name, is reserved without the digits
// at its end: "ns", "ns1" and "ns-1" are one.
func isReserved(label string) bool {
	return reserved[strings.TrimSuffix(strings.TrimRight(label, "0123456789"), "-")]
}
