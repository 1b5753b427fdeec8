package main

import (
	"cmp"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/relay"
)

// relayOptions are the flags of relay, and what check makes of them.
type relayOptions struct {
	domain, listen, http, admin string
	certs, keys, allowNames     []string
	balancers, proxies          []string // CIDR
	publicPort                  int      // 0: the one of listen
	namesPerKey                 int
	authorizedKeys, token       string
	dev, json                   bool
	customDomains               bool
	state, congestion, logLevel string
	memory                      int    // MB
	tcp, udp                    string // ranges
	zone                        zoneOptions

	tcpPorts, udpPorts relay.PortRange
	// proxyProtocol and trustedProxies are those of the flags.
	proxyProtocol, trustedProxies []netip.Prefix
	cloudflare                    []netip.Prefix // nil unless --trusted-proxies has the word
	open                          bool           // every key is admitted
	level                         slog.Level     // the least that is logged
}

// devDomain is the domain of a relay in --dev mode. Its names are loopback for every
// browser, and the local CA may sign them.
const devDomain = "share.localhost"

func newRelayCmd(s *streams) *cobra.Command {
	opts := relayOptions{namesPerKey: 10, customDomains: true, memory: relay.DefaultMemory >> 20}
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "run the public side of shares on your own server",
		Long: `Runs the server that shares go through: visitors and agents on one port.

The domain is delegated to this server, which answers its DNS queries and gets its certificates from Let's Encrypt by
that. "devproxy relay init DOMAIN" shows the two DNS records and checks them. By using the authority you agree to its terms.

With --cert and --key the certificate is your own: for the domain and everything below it (t.example.com,
*.t.example.com), which must lead to this server. All hosts of a share are below that wildcard. Only a share with
cookies = "shared" needs another one for its zone (*.ZONE.DOMAIN, or *.NAME.DOMAIN): repeat --cert and --key.
Agents are admitted by their key, from --authorized-keys, or enrol once with the --token.

A share may have a domain of its user's own (demo.example.com), once the user's DNS record names the key of the share. A relay
that gets its certificates itself then gets one for that domain too. --custom-domains=false refuses such domains.

--dev needs no other flags: domain ` + devDomain + `, a free port of this machine, the local CA, every key.

SIGHUP starts the program again, as it is on disk now, and hands the sockets over: no request fails, and requests in
progress continue in the old process for up to an hour. SIGTERM finishes within 30 s.

--authorized-keys is checked every 2 s, certificates every 10 s. A key after the word "revoked" is refused from the
next check on. A key that was removed from the file is refused from the second check on, since a file may be read while
it is written.

Requests and events are logged on standard error, as JSON. So are refused agents and failed TLS handshakes, with their
addresses. --json prints one object per line: ready, handover, stopped, failed.`,
		Example: `  devproxy relay --dev
  devproxy relay --domain t.example.com --acme-email you@example.com --authorized-keys keys
  devproxy relay --domain t.example.com --cert wildcard.pem --key wildcard.key --authorized-keys keys
  DEVPROXY_RELAY_TOKEN=… devproxy relay --domain t.example.com --cert t.pem --key t.key --admin :9090`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.check(cmd.Flags().Changed("http")); err != nil {
				return err
			}
			return runRelay(cmd.Context(), s, opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.domain, "domain", "", "the parent of all links: t.example.com (--dev: "+devDomain+")")
	flags.StringVar(&opts.listen, "listen", "", "address for visitors and agents (default :443; --dev: a free port of 127.0.0.1)")
	numberVar(flags, &opts.publicPort, "public-port", "", 1, math.MaxUint16, 443, "port in links and redirects, if a port mapping leads from it to --listen (default: the port of --listen)")
	flags.StringSliceVar(&opts.balancers, "proxy-protocol", nil, "addresses (`CIDR`) of balancers that put a PROXY protocol header, v1 or v2, before each connection; can be repeated")
	flags.StringSliceVar(&opts.proxies, "trusted-proxies", nil, "addresses (`CIDR`) of proxies that end TLS in front of the relay and name the visitor in X-Forwarded-For, or cloudflare for those of Cloudflare; agents cannot come through them")
	flags.StringVar(&opts.tcp, "tcp-ports", "", "`RANGE` of ports, such as 20000-20999, that shares can have for TCP; the firewall must let them in (default: none)")
	flags.StringVar(&opts.udp, "udp-ports", "", "`RANGE` of ports that shares can have for UDP (default: none)")
	flags.StringVar(&opts.http, "http", ":80", "address that redirects plain HTTP, or none (--dev: none)")
	flags.StringArrayVar(&opts.certs, "cert", nil, "file with the certificate chain, PEM; with --key, and repeated for further names")
	flags.StringArrayVar(&opts.keys, "key", nil, "file with its private key, PEM")
	opts.zone.addFlags(flags)
	flags.StringVar(&opts.authorizedKeys, "authorized-keys", "", "file with the agents' keys, one per line")
	flags.StringVar(&opts.token, "token", "", "token that enrols a key, 16 random characters or more (default: $"+credentials.TokenVariable+", which other users cannot see)")
	numberVar(flags, &opts.namesPerKey, "names-per-key", "", 1, math.MaxInt, 10, "how many plain names one key may have")
	flags.StringArrayVar(&opts.allowNames, "allow-name", nil, "a reserved plain name, such as admin, that agents may have; can be repeated")
	flags.BoolVar(&opts.customDomains, "custom-domains", true, "let shares have domains of their users, whose DNS records prove them; not with --dev")
	flags.StringVar(&opts.admin, "admin", "", "address for /healthz and /metrics; a port alone is loopback")
	flags.BoolVar(&opts.dev, "dev", false, "try it on this machine")
	flags.StringVar(&opts.state, "state", "", "file for names and keys (default relay.db in $DEVPROXY_HOME)")
	flags.StringVar(&opts.congestion, "congestion", "bbr", "congestion control for agents: bbr if the system has it, or system")
	numberVar(flags, &opts.memory, "memory", "", leastMemory, mostMemory, relay.DefaultMemory>>20, "MB that visitors and agents can make the relay hold")
	flags.StringVar(&opts.logLevel, "log-level", "", "what is logged: debug, info, warn or error (default info; --dev without --json: warn)")
	flags.BoolVar(&opts.json, "json", false, "print events as JSON, one per line")
	cmd.AddCommand(newRelayLoginCmd(s), newRelayReleaseCmd(s), newRelayKeysCmd(s), newRelayInitCmd(s))
	return cmd
}

const (
	// leastMemory is the least --memory, in MB: a few large downloads at once.
	leastMemory = 32
	// mostMemory is the largest --memory: 1 TB.
	mostMemory = 1 << 20
	// noAddress turns a listener off.
	noAddress = "none"
)

var domainPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// check fills in the defaults and refuses mistakes. httpSet is whether --http was
// given.
func (o *relayOptions) check(httpSet bool) error {
	o.token = cmp.Or(o.token, os.Getenv(credentials.TokenVariable))
	if o.dev {
		o.domain = cmp.Or(o.domain, devDomain)
		o.listen = cmp.Or(o.listen, "127.0.0.1:0")
		if !httpSet {
			o.http = noAddress
		}
	}
	o.listen = cmp.Or(o.listen, ":443")
	o.open = o.dev && o.token == "" && o.authorizedKeys == ""
	for _, check := range []func() error{o.setLevel, o.checkDomain, o.checkCerts, o.checkAddresses, o.checkProxies, o.checkPorts, o.checkAdmission, o.setState} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// setLevel reads --log-level. Without it, the terminal of a person who tries --dev
// shows no requests.
func (o *relayOptions) setLevel() error {
	switch {
	case o.logLevel != "":
		if !slices.Contains([]string{"debug", "info", "warn", "error"}, o.logLevel) {
			return usagef("--log-level debug, info, warn or error", "unknown level %q", o.logLevel)
		}
		return o.level.UnmarshalText([]byte(o.logLevel))
	case o.dev && !o.json:
		o.level = slog.LevelWarn
	}
	return nil
}

func (o *relayOptions) checkDomain() error {
	o.domain = strings.TrimSuffix(strings.ToLower(o.domain), ".")
	switch {
	case o.domain == "":
		return usagef("devproxy relay init t.example.com, or try it with: devproxy relay --dev", "a relay needs a domain")
	case !domainPattern.MatchString(o.domain) || len(o.domain) > 150:
		return usagef("write one like t.example.com", "%q is not a domain for a relay", o.domain)
	case o.dev && !isLocalName(o.domain):
		return usagef("leave out --domain, or use one like "+devDomain+"; for a real domain leave out --dev", "--dev signs only names below localhost, not %s", o.domain)
	}
	return nil
}

func (o *relayOptions) checkCerts() error {
	switch {
	case len(o.certs) != len(o.keys):
		return usagef("--cert chain.pem --key key.pem", "every --cert needs a --key: %d and %d were given", len(o.certs), len(o.keys))
	case o.dev && len(o.certs) > 0:
		return usagef("leave out one of the two", "--dev makes its own certificates, so --cert has no effect")
	case (o.dev || len(o.certs) > 0) && o.zone.given() != "":
		other := "--cert"
		if o.dev {
			other = "--dev"
		}
		return usagef("leave out one of the two", "%s is for a relay that gets its certificates itself, so it has no effect with %s", o.zone.given(), other)
	case !o.dev && len(o.certs) == 0:
		return o.zone.check()
	}
	return nil
}

func (o *relayOptions) checkAddresses() error {
	for flag, address := range map[string]*string{"--listen": &o.listen, "--http": &o.http, "--admin": &o.admin} {
		if *address == "" || *address == noAddress {
			*address = ""
			continue
		}
		full, ok := listenAddress(*address, flag == "--admin")
		if !ok {
			return usagef("give a port or an address with one: 443, :443, 0.0.0.0:443, [::1]:8443", "%s %q is not an address", flag, *address)
		}
		*address = full
	}
	switch {
	case o.listen == "":
		return usagef("leave out --listen none", "a relay cannot run without --listen")
	case o.open && !isLoopback(o.listen):
		return usagef("leave out --listen, or give --token or --authorized-keys", "--dev admits every key, so it listens on loopback only, not on %s", o.listen)
	}
	return checkCongestion(o.congestion)
}

// cloudflareWord means the addresses of Cloudflare in --trusted-proxies.
const cloudflareWord = "cloudflare"

// checkProxies reads the addresses of the proxies in front of the relay.
func (o *relayOptions) checkProxies() (err error) {
	if o.proxyProtocol, err = proxyPrefixes("--proxy-protocol", o.balancers); err != nil {
		return err
	}
	isWord := func(text string) bool { return strings.EqualFold(text, cloudflareWord) }
	if slices.ContainsFunc(o.proxies, isWord) {
		o.cloudflare = relay.CloudflareRanges()
	}
	o.trustedProxies, err = proxyPrefixes("--trusted-proxies", slices.DeleteFunc(slices.Clone(o.proxies), isWord))
	return err
}

// checkPorts reads the ranges of ports for shares.
func (o *relayOptions) checkPorts() (err error) {
	for flag, one := range map[string]struct {
		text string
		to   *relay.PortRange
	}{"--tcp-ports": {o.tcp, &o.tcpPorts}, "--udp-ports": {o.udp, &o.udpPorts}} {
		if one.text == "" || one.text == noAddress {
			continue
		}
		if *one.to, err = relay.ParsePortRange(one.text); err != nil {
			return usagef("give the first and the last: "+flag+" 20000-20999", "%s: %w", flag, err)
		}
	}
	for flag, address := range map[string]string{"--listen": o.listen, "--http": o.http, "--admin": o.admin} {
		_, port, _ := net.SplitHostPort(address)
		if number, _ := strconv.ParseUint(port, 10, 16); o.tcpPorts.Has(uint16(number)) { // 0 for no address
			return usagef("give another range", "the --tcp-ports %s contain the port of %s", o.tcpPorts, flag)
		}
	}
	return nil
}

// proxyPrefixes reads addresses and networks. A network of all addresses is refused:
// every visitor could choose an address then.
func proxyPrefixes(flag string, texts []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			var addr netip.Addr
			addr, err = netip.ParseAddr(text)
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		switch {
		case err != nil:
			return nil, usagef(flag+" 10.0.0.5, or "+flag+" 10.0.0.0/8", "%s %q is neither an address nor a network", flag, text)
		case prefix.Bits() == 0:
			return nil, usagef(flag+" with the addresses of your proxies only", "with %s %s every visitor could choose an address", flag, text)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

// listenAddress returns text as net.Listen takes it. A port alone means every
// address, or with loopback 127.0.0.1.
func listenAddress(text string, loopback bool) (string, bool) {
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		text = ":" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", false
	}
	if host == "" && loopback {
		host = "127.0.0.1"
	}
	if host != "" {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", false
		}
	}
	return net.JoinHostPort(host, port), true
}

func isLoopback(address string) bool {
	at, err := netip.ParseAddrPort(address)
	return err == nil && at.Addr().IsLoopback()
}

func (o *relayOptions) checkAdmission() error {
	if o.token != "" {
		if err := relay.CheckToken(o.token); err != nil {
			return usagef("make one with: openssl rand -hex 16", "%w", err)
		}
	}
	for _, name := range o.allowNames {
		if _, _, err := tunnel.PublicNames(nil, o.domain, tunnel.Claim{Name: name, Hosts: []string{""}}); err != nil {
			return usagef("write one label, as in --allow-name admin", "--allow-name %q: %w", name, err)
		}
	}
	if o.authorizedKeys == "" {
		return nil
	}
	if err := relay.CheckKeysFile(o.authorizedKeys); err != nil {
		return failf("one key per line, as devproxy relay login prints it; # starts a comment", "%w", err)
	}
	return nil
}

func (o *relayOptions) setState() (err error) {
	given := o.state != ""
	if o.state, err = relayState(o.state); err != nil || given {
		return err
	}
	return credentials.Store{Home: filepath.Dir(o.state)}.MakeHome()
}

// relayState returns the file for names and keys of --state, as an absolute path.
func relayState(flag string) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	store, err := openStore()
	return filepath.Join(store.Home, "relay.db"), err
}
