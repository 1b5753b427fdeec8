package main

import (
	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/tunnel/relay"
)

// relayOptions are the flags of relay.
type relayOptions struct {
	domain, listen, http, admin string
	certs, keys, allowNames     []string
	balancers, proxies          []string // CIDR
	publicPort                  int      // 0: the one of listen
	namesPerKey                 int
	authorizedKeys, token       string
	dev, json                   bool
	state, congestion, logLevel string
	memory                      int // MB
}

// devDomain is the domain of a relay in --dev mode. Its names are loopback for every
// browser, and the local CA may sign them.
const devDomain = "share.localhost"

func newRelayCmd(s *streams) *cobra.Command {
	var opts relayOptions
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "run the public side of shares on your own server",
		Long: `Runs the server that shares go through: visitors and agents on one port.

The domain and everything below it (t.example.com, *.t.example.com) must lead to this server, and the certificate must
cover both. All hosts of a share are below that wildcard. Only a share with cookies = "shared" needs another one for its
zone (*.ZONE.DOMAIN, or *.NAME.DOMAIN): repeat --cert and --key.
Agents are admitted by their key, from --authorized-keys, or enrol once with the --token.

--dev needs nothing: domain ` + devDomain + `, a free port of this machine, the local CA, every key.

SIGHUP starts the program again, as it is on disk now, and hands the sockets over: no request fails, and requests in
progress go on in the old process for up to an hour. SIGTERM finishes within 30 s.

--authorized-keys is checked every 2 s, certificates every 10 s. A key after the word "revoked" is refused from the
next check on. A key that was removed from the file is refused from the second check on, since a file may be read while
it is written.

Requests and events are logged on standard error, as JSON. So are refused agents and failed TLS handshakes, with their
addresses. --json prints one object per line: ready, handover, stopped, failed.`,
		Example: `  devproxy relay --dev
  devproxy relay --domain t.example.com --cert wildcard.pem --key wildcard.key --authorized-keys keys
  DEVPROXY_RELAY_TOKEN=… devproxy relay --domain t.example.com --cert t.pem --key t.key --admin :9090`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := opts.check(cmd.Flags().Changed("http"))
			if err != nil {
				return err
			}
			return runRelay(cmd.Context(), s, cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.domain, "domain", "", "the parent of all links: t.example.com (--dev: "+devDomain+")")
	flags.StringVar(&opts.listen, "listen", "", "address for visitors and agents (default :443; --dev: a free port of 127.0.0.1)")
	flags.IntVar(&opts.publicPort, "public-port", 0, "port in links and redirects, if a port mapping leads from it to --listen (default: the port of --listen)")
	flags.StringSliceVar(&opts.balancers, "proxy-protocol", nil, "addresses (`CIDR`) of balancers that put a PROXY protocol header, v1 or v2, before each connection; can be repeated")
	flags.StringSliceVar(&opts.proxies, "trusted-proxies", nil, "addresses (`CIDR`) of proxies that end TLS in front of the relay and name the visitor in X-Forwarded-For; agents cannot come through them")
	flags.StringVar(&opts.http, "http", ":80", "address that redirects plain HTTP, or none (--dev: none)")
	flags.StringArrayVar(&opts.certs, "cert", nil, "file with the certificate chain, PEM; with --key, and repeated for further names")
	flags.StringArrayVar(&opts.keys, "key", nil, "file with its private key, PEM")
	flags.StringVar(&opts.authorizedKeys, "authorized-keys", "", "file with the agents' keys, one per line")
	flags.StringVar(&opts.token, "token", "", "token that enrols a key, 16 random characters or more (default: $"+credentials.TokenVariable+", which other users cannot see)")
	flags.IntVar(&opts.namesPerKey, "names-per-key", 10, "how many plain names one key may have")
	flags.StringArrayVar(&opts.allowNames, "allow-name", nil, "a reserved plain name, such as admin, that agents may have; can be repeated")
	flags.StringVar(&opts.admin, "admin", "", "address for /healthz and /metrics; a port alone is loopback")
	flags.BoolVar(&opts.dev, "dev", false, "try it on this machine")
	flags.StringVar(&opts.state, "state", "", "file for names and keys (default relay.db in $DEVPROXY_HOME)")
	flags.StringVar(&opts.congestion, "congestion", "bbr", "congestion control for agents: bbr if the system has it, or system")
	flags.IntVar(&opts.memory, "memory", relay.DefaultMemory>>20, "MB that visitors and agents can make the relay hold")
	flags.StringVar(&opts.logLevel, "log-level", "", "what is logged: debug, info, warn or error (default info; --dev without --json: warn)")
	flags.BoolVar(&opts.json, "json", false, "print events as JSON, one per line")
	cmd.AddCommand(newRelayLoginCmd(s), newRelayReleaseCmd(s), newRelayKeysCmd(s))
	return cmd
}
