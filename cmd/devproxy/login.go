package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// tokenVariable holds a relay's enrolment token: other users see a command
// line, but not this.
const tokenVariable = "DEVPROXY_RELAY_TOKEN"

// loginOptions are what `relay login` takes.
type loginOptions struct {
	file       fileFlags
	relay      string
	token, pin string
}

func newRelayLoginCmd(s *streams) *cobra.Command {
	var opts loginOptions
	cmd := &cobra.Command{
		Use:   "login HOST",
		Short: "share through this relay from now on",
		Long: `Remembers a relay as the one for further shares, with the token that makes it admit your folders, and tries it with the key of this folder.

Each folder has a key of its own: its first share presents the token, so one login does for all of them.
A relay that lists keys (--authorized-keys) needs no token.

In place of a relay's HOST it takes a provider, who carries shares without a server of yours and can read them:
cloudflare, localhost.run, pinggy, or ssh://HOST. There is nothing to log in to; it is remembered.

The token comes from --token, from $` + tokenVariable + `, which other users cannot see, or is asked for.`,
		Example: `  devproxy relay login t.example.com
  devproxy relay login cloudflare
  devproxy relay login share.localhost:41234`,
		Args: oneArg("relay", "devproxy relay login t.example.com"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals()...)
			defer stop()
			opts.relay = relayArgument(args[0])
			return runRelayLogin(ctx, s, opts)
		},
	}
	addFileFlags(cmd, &opts.file)
	cmd.Flags().StringVar(&opts.token, "token", "", "what whoever runs the relay gave you (default: $"+tokenVariable+")")
	cmd.Flags().StringVar(&opts.pin, "pin", "", "the only key its certificate may have, sha256/BASE64, for a certificate that no authority has signed")
	return cmd
}

func runRelayLogin(ctx context.Context, s *streams, opts loginOptions) error {
	home, err := localca.Home(os.Getenv)
	if err != nil {
		return err
	}
	if p, err := provider.Find(opts.relay); !errors.Is(err, provider.ErrUnknown) {
		return loginProvider(ctx, s, home, p, err)
	}
	relay, err := relayToTry(home, opts)
	if err != nil {
		return err
	}
	try, err := newLoginAttempt(ctx, home, opts.file)
	if err != nil {
		return err
	}
	err = try.enrol(ctx, relay)
	if mayAsk(s, opts, err) {
		if relay.Token, err = askToken(s, relay.Relay); err != nil {
			return err
		}
		err = try.enrol(ctx, relay)
	}
	if err != nil {
		return shareFailure(err)
	}
	if err := relay.remember(home); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "shares go through %s now\n  devproxy share\n", relay.Relay)
	return nil
}

// loginProvider remembers a provider, which has nothing to log in to, if it can be
// used from here.
func loginProvider(ctx context.Context, s *streams, home string, p provider.Provider, err error) error {
	if err != nil {
		return shareFailure(err)
	}
	if err := privateHome(home); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, loginPatience)
	defer cancel()
	if err := p.Probe(ctx, provider.Options{Home: home, Getenv: os.Getenv}); err != nil {
		return shareFailure(err)
	}
	if err := (rememberedRelay{Relay: p.Name}).remember(home); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "shares go through %s now\n", p.Name)
	s.paragraph(providerText(p))
	fmt.Fprintln(s.Out, "  devproxy share")
	return nil
}

// loginPatience bounds the look whether a provider can be reached.
const loginPatience = 10 * time.Second

// relayToTry is what the command line says, with what was remembered of the
// same relay.
func relayToTry(home string, opts loginOptions) (rememberedRelay, error) {
	relay := rememberedRelay{Relay: strings.ToLower(opts.relay), Token: firstOf(opts.token, os.Getenv(tokenVariable)), Pin: opts.pin}
	all, err := readRelays(home)
	if err != nil {
		return relay, err
	}
	before := loginOf(all, relay.Relay)
	relay.Token, relay.Pin = firstOf(relay.Token, before.Token), firstOf(relay.Pin, before.Pin)
	return relay, nil
}

// loginAttempt tries relays with the key of a folder.
type loginAttempt struct {
	key    *shareKey
	folder string
	home   string
}

// newLoginAttempt refuses a folder that is being shared: its session and ours
// would have the same key, and the newer one takes over.
func newLoginAttempt(ctx context.Context, home string, file fileFlags) (*loginAttempt, error) {
	client, folder, _, err := findInstance(file)
	if err == nil {
		now, err := client.Share(ctx, control.ShareRequest{Op: control.OpLook})
		if err == nil && !isOver(now.State) {
			return nil, failf("devproxy down first, or devproxy relay login in another folder", "%s is being shared, and would not be any more", folder)
		}
	} else if !errors.Is(err, control.ErrNotRunning) {
		return nil, err
	}
	key, err := openShareKey(home, folder)
	if err != nil {
		return nil, err
	}
	return &loginAttempt{key, folder, home}, nil
}

func (l *loginAttempt) enrol(ctx context.Context, relay rememberedRelay) error {
	options, err := agentOptions(l.home, relay)
	if err != nil {
		return err
	}
	options.Key = l.key.Key
	options.Claim = tunnel.Claim{Enrol: relay.Token, Project: tunnel.Label(filepath.Base(l.folder))}
	return agent.Enrol(ctx, options)
}

// agentOptions are what reaches a relay, but for the key and what is claimed.
func agentOptions(home string, relay rememberedRelay) (agent.Options, error) {
	options := agent.Options{Relay: relay.Relay, Pin: relay.Pin, Getenv: os.Getenv}
	if !isLocalName(relay.Relay) {
		return options, nil
	}
	ca, err := localca.Load(home)
	if errors.Is(err, localca.ErrNoCA) {
		return options, failf("start one on this machine in another terminal: devproxy relay --dev", "%s is a relay on this machine, and none was ever started here", relay.Relay)
	}
	if err == nil {
		options.Roots = relayRoots(relay.Relay, ca)
	}
	return options, err
}

// mayAsk reports whether another token could help, and somebody can give it.
func mayAsk(s *streams, opts loginOptions, err error) bool {
	var e *agent.Error
	return errors.As(err, &e) && (e.Reason == agent.ReasonUnknownKey || e.Reason == agent.ReasonBadToken) && opts.token == "" && s.InTTY
}

// askToken asks for a token on the terminal, which does not show it.
func askToken(s *streams, relay string) (string, error) {
	terminal, ok := s.In.(*os.File)
	if !ok {
		return "", usagef("--token TOKEN, or $"+tokenVariable, "there is no terminal to ask for the token of %s on", relay)
	}
	fmt.Fprintf(s.Err, "token of %s: ", relay)
	token, err := readHidden(terminal)
	fmt.Fprintln(s.Err)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(token)), nil
}
