package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// loginTimeout bounds the test whether a provider can be reached.
	loginTimeout = 10 * time.Second
	// releaseTimeout bounds the request with one key.
	releaseTimeout = 20 * time.Second
	// probeTimeout bounds the test of each provider.
	probeTimeout = 3 * time.Second
)

// loginOptions are the flags of `relay login`.
type loginOptions struct {
	file              fileFlags
	relay, token, pin string
}

func newRelayLoginCmd(s *streams) *cobra.Command {
	var opts loginOptions
	cmd := &cobra.Command{
		Use:   "login HOST",
		Short: "share through this relay from now on",
		Long: `Remembers a relay for further shares, with the token that admits your folders, and tests it with the key of this
folder.

Each folder has its own key, which presents the token at its first share, so one login is enough for all of them.
A relay that lists keys (--authorized-keys) needs no token.

Instead of a relay's HOST, give a provider, which carries shares without a server of yours and can read them:
cloudflare, localhost.run, pinggy, or ssh://HOST. It needs no login and is only remembered.

The token comes from --token, or from $` + credentials.TokenVariable + `, which other users cannot see. Otherwise it is asked for.`,
		Example: `  devproxy relay login t.example.com
  devproxy relay login cloudflare
  devproxy relay login share.localhost:41234`,
		Args: oneArg("relay", "devproxy relay login t.example.com"),
		RunE: interruptible(func(ctx context.Context, args []string) error {
			opts.relay = credentials.RelayName(args[0])
			return runRelayLogin(ctx, s, opts)
		}),
	}
	addFileFlags(cmd, &opts.file)
	cmd.Flags().StringVar(&opts.token, "token", "", "the token from the relay's operator (default: $"+credentials.TokenVariable+")")
	cmd.Flags().StringVar(&opts.pin, "pin", "", "the only key that its certificate may have, sha256/BASE64, for a certificate that no authority has signed")
	return cmd
}

func runRelayLogin(ctx context.Context, s *streams, opts loginOptions) error {
	store, err := openStore()
	if err != nil {
		return err
	}
	if p, err := provider.Find(opts.relay); !errors.Is(err, provider.ErrUnknown) {
		return loginProvider(ctx, s, store, p, err)
	}
	all, err := store.Logins()
	if err != nil {
		return err
	}
	login := credentials.Find(all, opts.relay)
	login.Relay = strings.ToLower(opts.relay)
	login.Token = cmp.Or(opts.token, os.Getenv(credentials.TokenVariable), login.Token)
	login.Pin = cmp.Or(opts.pin, login.Pin)
	key, folder, err := openLoginKey(ctx, store, opts.file)
	if err != nil {
		return err
	}
	options, err := agentOptions(store, login)
	if err != nil {
		return err
	}
	options.Key = key.Private
	options.Claim = tunnel.Claim{Enrol: login.Token, Project: tunnel.Label(filepath.Base(folder))}
	err = agent.Enrol(ctx, options)
	if mayAsk(s, opts, err) {
		if login.Token, err = askToken(s, login.Relay); err != nil {
			return err
		}
		options.Claim.Enrol = login.Token
		err = agent.Enrol(ctx, options)
	}
	if err != nil {
		return err
	}
	if err := store.Remember(login); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "shares now go through %s\n  devproxy share\n", login.Relay)
	return nil
}

// loginProvider remembers a provider if it can be reached. A provider needs no
// login.
func loginProvider(ctx context.Context, s *streams, store credentials.Store, p provider.Provider, err error) error {
	if err != nil {
		return err
	}
	if err := store.MakeHome(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	if err := p.Probe(ctx, provider.Options{Home: store.Home, Getenv: programEnv()}); err != nil {
		return err
	}
	if err := store.Remember(credentials.Login{Relay: p.Name}); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "shares now go through %s\n", p.Name)
	s.paragraph(providerText(p))
	fmt.Fprintln(s.Out, "  devproxy share")
	return nil
}

// openLoginKey opens the key of a folder. It refuses one that is being shared: its
// session and ours would have the same key, and the newer session replaces the older.
func openLoginKey(ctx context.Context, store credentials.Store, file fileFlags) (key *credentials.Key, folder string, err error) {
	client, folder, _, err := findInstance(file)
	if err == nil {
		now, err := client.Share(ctx, control.ShareRequest{Op: control.OpLook})
		if err == nil && !devproxy.IsShareOver(now.State) {
			return nil, "", failf("devproxy down first, or devproxy relay login in another folder", "%s is being shared, and logging in would end that", folder)
		}
	} else if !errors.Is(err, control.ErrNotRunning) {
		return nil, "", err
	}
	key, err = store.OpenKey(folder, "")
	return key, folder, err
}

// agentOptions are the options that an agent needs to reach a relay. Key and
// claim are left out.
func agentOptions(store credentials.Store, login credentials.Login) (agent.Options, error) {
	options := agent.Options{Relay: login.Relay, Pin: login.Pin, Getenv: os.Getenv}
	if !isLocalName(login.Relay) {
		return options, nil
	}
	ca, err := localca.Load(store.Home)
	if errors.Is(err, localca.ErrNoCA) {
		return options, failf("start one in another terminal: devproxy relay --dev", "%s is a relay on this machine, where none has ever run", login.Relay)
	}
	if err == nil {
		options.Roots = relayRoots(login.Relay, ca)
	}
	return options, err
}

// mayAsk reports whether another token could help, and a person can give one.
func mayAsk(s *streams, opts loginOptions, err error) bool {
	e, ok := errors.AsType[*agent.Error](err)
	return ok && (e.Reason == agent.ReasonUnknownKey || e.Reason == agent.ReasonBadToken) && opts.token == "" && s.InTTY
}

// askToken asks for a token on the terminal, which does not show it.
func askToken(s *streams, relay string) (string, error) {
	terminal, ok := s.In.(*os.File)
	if !ok {
		return "", usagef("--token TOKEN, or $"+credentials.TokenVariable, "cannot ask for the token of %s without a terminal", relay)
	}
	token, err := readHidden(s, terminal, "token of "+relay+": ")
	return strings.TrimSpace(string(token)), err
}

func newRelayReleaseCmd(s *streams) *cobra.Command {
	var relay string
	cmd := &cobra.Command{
		Use:   "release NAME",
		Short: "give up a name that a folder of yours has at a relay",
		Long: `Gives up a plain name, share { name = "NAME" }, so that another folder can have it: this one after it was renamed or
cloned again, or one on another machine. A relay gives a name to the key that claims it first.

Run it on the machine that had the name, in any folder: it finds the key among all keys of this user.`,
		Example: `  devproxy relay release shop
  devproxy relay release shop --relay t.example.com`,
		Args: oneArg("name", "devproxy relay release shop"),
		RunE: interruptible(func(ctx context.Context, args []string) error {
			return runRelayRelease(ctx, s, relay, args[0])
		}),
	}
	cmd.Flags().StringVar(&relay, "relay", "", "`RELAY` that has the name (default: $"+credentials.RelayVariable+", the last relay login)")
	return cmd
}

func runRelayRelease(ctx context.Context, s *streams, flag, name string) error {
	store, err := openStore()
	if err != nil {
		return err
	}
	relays, err := store.Relays(flag, nil)
	if err != nil {
		return err
	}
	relay := relays[0]
	if _, err := provider.Find(relay.Relay); !errors.Is(err, provider.ErrUnknown) || relay.Relay == devWord {
		return usagef("devproxy relay release "+name+" --relay t.example.com", "%s has no names of your choice", relay.Relay)
	}
	options, err := agentOptions(store, relay)
	if err != nil {
		return err
	}
	keys, err := store.Keys()
	if err != nil {
		return err
	}
	label, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(name, "https://")), ".")
	for _, key := range keys {
		options.Key = key.Private
		bounded, cancel := context.WithTimeout(ctx, releaseTimeout)
		released, err := agent.Release(bounded, options, label)
		cancel()
		if err == nil {
			fmt.Fprintf(s.Out, "%s is free now; %s had it\n", released, key.Folder)
			return nil
		}
		if !mayBelongToOther(err) {
			return err
		}
	}
	return failf("on the machine that shared it: devproxy relay release "+label+"\nor choose another name; the relay frees it after 90 days without use",
		"none of this user's %d keys has the name %s at %s", len(keys), label, relay.Relay)
}

// mayBelongToOther reports whether another key could have the name.
func mayBelongToOther(err error) bool {
	e, ok := errors.AsType[*agent.Error](err)
	return ok && (e.Reason == agent.ReasonNameTaken || e.Reason == agent.ReasonUnknownKey || e.Reason == agent.ReasonRevoked)
}

// checkRelay fails if `up --share` has no relay, before anything is made or served.
// Mistakes in the Proxyfile are reported later, all at once.
func checkRelay(store credentials.Store, opts upOptions, src source) error {
	var named []string
	if file, _, err := src.load(0); err == nil && file.Share != nil {
		for _, relay := range file.Share.Relays {
			named = append(named, relay.Value)
		}
	}
	_, err := store.Relays(opts.relay, named)
	return err
}

// errDeclined means that the user declined the offer of a provider.
var errDeclined = errors.New("nothing is shared, since no relay is configured")

// offerRelay asks a person who shares without a relay which provider may carry
// the link, and remembers a provider. relay is set if this share goes through
// something that is not remembered. The error is that of a missing relay if no
// one can be asked, and errDeclined if the user declines.
func offerRelay(ctx context.Context, s *streams, opts upOptions, src source) (relay string, err error) {
	store, err := openStore()
	if err != nil {
		return "", err
	}
	missing := checkRelay(store, opts, src)
	if !errors.Is(missing, credentials.ErrNoRelay) || !canAsk(s, opts.json) {
		return "", missing
	}
	p, found := firstProvider(ctx, store.Home)
	switch answer := askProvider(ctx, s, p, found); {
	case answer == "d":
		return devWord, nil
	case found && (answer == "y" || answer == "yes"):
		return "", store.Remember(credentials.Login{Relay: p.Name})
	}
	return "", credentials.NoRelay(errDeclined)
}

// firstProvider returns the first provider that can be reached.
func firstProvider(ctx context.Context, home string) (provider.Provider, bool) {
	for _, name := range provider.Names() {
		p, err := provider.Find(name)
		if err != nil {
			continue // the start of a URL
		}
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		err = p.Probe(ctx, provider.Options{Home: home, Getenv: programEnv()})
		cancel()
		if err == nil {
			return p, true
		}
	}
	return provider.Provider{}, false
}

// askProvider lists the providers that can carry the link, and explains a share
// through p.
func askProvider(ctx context.Context, s *streams, p provider.Provider, found bool) (answer string) {
	to := *s
	to.Out = s.Err // a question is not a result
	to.paragraph("No relay is configured, and a link needs one.")
	question := "Share? [d/N] "
	if found {
		to.row("y", 1, fmt.Sprintf("share through %s from now on. No account is needed. %s", s.bold(p.Name), providerText(p)))
		question = "Share? [y/d/N] "
	}
	to.row("d", 1, "try the link on this machine only")
	to.row("n", 1, "do not share. To use your own server: devproxy relay login HOST")
	answer, _ = prompt(ctx, s, question)
	return answer
}

// providerText describes a provider to a person before the first share through it.
func providerText(p provider.Provider) string {
	return p.Operator + " can read the traffic." + when(len(p.Cannot) > 0, " It does not carry "+strings.Join(p.Cannot, "; ")+".")
}

// relayRoots returns the roots that verify the certificate of a relay: the CA
// of this user for a relay on this machine, else nil, the system's.
func relayRoots(relay string, ca *localca.CA) *x509.CertPool {
	if !isLocalName(relay) {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Root())
	return roots
}

// isLocalName reports whether the name of a relay means this machine (RFC 6761
// section 6.3).
func isLocalName(relay string) bool {
	host := relay
	if h, _, err := net.SplitHostPort(relay); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// openStore returns the keys and logins below $DEVPROXY_HOME.
func openStore() (credentials.Store, error) {
	home, err := localca.Home(os.Getenv)
	return credentials.Store{Home: home, Getenv: programEnv()}, err
}
