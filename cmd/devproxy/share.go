package main

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/control"
)

// shareFlags are what `share` and `up --share` take.
type shareFlags struct {
	relay string
	lasts time.Duration
	key   string // a file
	// congestion is tunnel.Tune's.
	congestion string
}

func addShareFlags(cmd *cobra.Command, f *shareFlags) {
	cmd.Flags().StringVar(&f.relay, "relay", "", "`RELAY` that carries the bytes: t.example.com, cloudflare, localhost.run, pinggy, ssh://HOST, or dev for a look on this machine; several with commas are tried in order (default: the Proxyfile's, $DEVPROXY_RELAY, the last relay login)")
	cmd.Flags().StringVar(&f.congestion, "congestion", "bbr", "congestion control towards the relay: bbr where the system has it, or system")
	cmd.Flags().Var((*keyFile)(&f.key), "key", "`FILE` with the key of the link, made when it is missing: folders and machines with the same key have the same name (default: a key of the folder's own)")
	cmd.Flags().Var((*lifetime)(&f.lasts), "for", "how long the link lasts: 90m, 2h (default: the Proxyfile's, 8h)")
}

// keyFile is the value of --key.
type keyFile string

func (f *keyFile) Type() string { return "FILE" }

func (f *keyFile) String() string { return string(*f) }

// Set refuses an empty name, such as that of a variable that is not set: the share
// would have another name than the one that was meant.
func (f *keyFile) Set(text string) error {
	if text == "" {
		return &usageError{"the name of the file is empty", "write --key FILE, or leave it out for a key of the folder's own"}
	}
	*f = keyFile(text)
	return nil
}

// request asks for hosts to be shared; none are those of the Proxyfile.
func (f shareFlags) request(hosts []string) control.ShareRequest {
	key := f.key
	if full, err := filepath.Abs(key); err == nil && key != "" {
		key = full // what runs here may run in another folder
	}
	return control.ShareRequest{Op: control.OpStart, Hosts: hosts, Relay: f.relay, For: f.lasts, Key: key}
}

func (f shareFlags) check() error {
	if f.congestion != "bbr" && f.congestion != "system" {
		return usagef("--congestion bbr, or --congestion system", "unknown congestion control %q", f.congestion)
	}
	return nil
}

func newShareCmd(s *streams) *cobra.Command {
	var opts upOptions
	cmd := &cobra.Command{
		Use:   "share [HOST... | PORT]",
		Short: "publish it under a link",
		Long: `Publishes what ` + "`devproxy up`" + ` serves here, or serves it too: every host of the Proxyfile, those named, or a PORT, which
needs no Proxyfile. Whoever has the link can open it until it expires.

Ctrl-C puts the link to sleep; the next share has the same one. x ends it for good.

--json prints one object a line: shared, relay, unshared, failed.`,
		Example: `  devproxy share
  devproxy share admin.shop.localhost --for 2h
  devproxy share 3000
  devproxy share --relay share.localhost:41234`,
		SuggestFor: []string{"http", "expose", "publish", "tunnel"},
		Args:       cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, own, release := attended(cmd.Context(), s)
			defer release()
			return runShare(ctx, own, opts, args)
		},
	}
	addUpFlags(cmd, &opts)
	return cmd
}

// runShare asks what runs here, or runs it.
func runShare(ctx context.Context, s *streams, opts upOptions, args []string) error {
	if err := opts.check(); err != nil {
		return err
	}
	port, hosts, err := shareArguments(args)
	if err != nil {
		return err
	}
	client, _, _, err := findInstance(opts.file)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		opts.share, opts.shareOnly, opts.shareHosts = true, true, hosts
		return runUp(ctx, s, opts, port)
	case err != nil:
		return err
	}
	if len(port) > 0 {
		if hosts, err = hostsOfPort(ctx, client, port[0]); err != nil {
			return err
		}
	}
	if opts.https != "" || opts.http != "" {
		return usagef("devproxy share", "--https and --http are about what runs here already")
	}
	err = attach(ctx, s, client, opts.request(hosts), opts.json)
	var refused *control.ShareError
	if !errors.As(err, &refused) || refused.Text != errNoRelay.Error() {
		return err
	}
	// What runs here has no relay. Without a Proxyfile there is nothing to look in.
	src, found := findSource(opts, nil)
	if found != nil {
		return err
	}
	if opts.relay, found = offerRelay(ctx, s, opts, src); found != nil {
		return found
	}
	return attach(ctx, s, client, opts.request(hosts), opts.json)
}

// shareArguments tells a port from hosts.
func shareArguments(args []string) (port, hosts []string, err error) {
	for _, arg := range args {
		switch number, meant, err := portArgument(arg); {
		case !meant:
			hosts = append(hosts, hostArgument(arg))
		case err != nil:
			return nil, nil, err
		default:
			port = append(port, strconv.Itoa(int(number)))
		}
	}
	if len(port) > 1 || len(port) == 1 && len(hosts) > 0 {
		return nil, nil, usagef("devproxy share 3000, or devproxy share HOST", "share takes one port, or hosts")
	}
	return port, hosts, nil
}

// hostsOfPort are the hosts that what runs here serves from a port.
func hostsOfPort(ctx context.Context, client *control.Client, port string) ([]string, error) {
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, host := range status.Hosts {
		for _, route := range host.Routes {
			if route.Path == "/" && route.Upstream == ":"+port {
				hosts = append(hosts, host.Name)
			}
		}
	}
	if len(hosts) == 0 {
		return nil, failf("devproxy share, to publish what runs here; or devproxy down first",
			"the devproxy that runs here (pid %d) serves nothing from port %s", status.PID, port)
	}
	return hosts, nil
}
