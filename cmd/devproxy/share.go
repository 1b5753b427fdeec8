package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/failure"
)

// shareFlags are the flags of `share` and `up --share`.
type shareFlags struct {
	relay      string
	lasts      time.Duration
	key        string // a file
	congestion string // as tunnel.Tune takes it
}

func addShareFlags(cmd *cobra.Command, f *shareFlags) {
	cmd.Flags().StringVar(&f.relay, "relay", "", "`RELAY` that carries the share: t.example.com, cloudflare, localhost.run, pinggy, ssh://HOST, or dev to try it on this machine; several with commas are tried in order (default: the Proxyfile's, $DEVPROXY_RELAY, the last relay login)")
	cmd.Flags().StringVar(&f.congestion, "congestion", "bbr", "congestion control towards the relay: bbr if the system has it, or system")
	cmd.Flags().Func("key", "`FILE` with the key of the link, made if it is missing: folders and machines with the same key have the same name (default: the folder's own key)", f.setKey)
	cmd.Flags().Var((*lifetime)(&f.lasts), "for", "how long the link lasts: 90m, 2h (default: the Proxyfile's, 8h)")
}

// setKey reads --key. It refuses an empty name, such as that of an unset variable: the
// share would have another name than intended.
func (f *shareFlags) setKey(file string) error {
	if file == "" {
		return failf("write --key FILE, or leave it out to use the folder's own key", "the file name is empty")
	}
	f.key = file
	return nil
}

// request asks to share hosts; none means those of the Proxyfile.
func (f shareFlags) request(hosts []string) control.ShareRequest {
	key := f.key
	if full, err := filepath.Abs(key); err == nil && key != "" {
		key = full // the running devproxy may be in another folder
	}
	return control.ShareRequest{Op: control.OpStart, Hosts: hosts, Relay: f.relay, For: f.lasts, Key: key}
}

func (f shareFlags) check() error { return checkCongestion(f.congestion) }

func checkCongestion(name string) error {
	if name != "bbr" && name != "system" {
		return usagef("--congestion bbr, or --congestion system", "unknown congestion control %q", name)
	}
	return nil
}

func newShareCmd(s *streams) *cobra.Command {
	var opts upOptions
	var check bool
	cmd := &cobra.Command{
		Use:   "share [HOST... | PORT]",
		Short: "publish it under a link",
		Long: `Publishes what ` + "`devproxy up`" + ` serves here, and serves it if nothing is running: every host of the Proxyfile, the hosts
given, or a PORT, which needs no Proxyfile. Anyone with the link can open it until it expires.

Ctrl-C pauses the link; the next share has the same one. x ends it for good.

--check opens the link of the share that is up as a visitor does: the name, the certificate, the way through the relay
and the pages. It prints a line for each, with the fix if something is wrong, changes nothing, and exits 1 then.

--json prints one object per line: shared, relay, unshared, failed. With --check, one object per line of it.`,
		Example: `  devproxy share
  devproxy share admin.shop.localhost --for 2h
  devproxy share 3000
  devproxy share --check
  devproxy share --relay share.localhost:41234`,
		SuggestFor: []string{"http", "expose", "publish", "tunnel"},
		Args:       cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, own, release := attended(cmd.Context(), s)
			defer release()
			if check {
				return runShareCheck(ctx, own, opts, args)
			}
			return runShare(ctx, own, opts, args)
		},
	}
	addUpFlags(cmd, &opts)
	cmd.Flags().BoolVar(&check, "check", false, "check the share that is up, as a visitor")
	return cmd
}

// runShare has the running devproxy share, or starts one.
func runShare(ctx context.Context, s *streams, opts upOptions, args []string) error {
	opts.share = true
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
		opts.shareOnly, opts.shareHosts = true, hosts
		return runUp(ctx, s, opts, port)
	case err != nil:
		return err
	}
	if err := checkSameFile(ctx, client, opts.file.given()); err != nil {
		return err
	}
	if len(port) > 0 {
		if hosts, err = hostsOfPort(ctx, client, port[0]); err != nil {
			return err
		}
	}
	if opts.https != "" || opts.http != "" {
		return usagef("devproxy share", "--https and --http have no effect: devproxy is already running here")
	}
	err = attach(ctx, s, client, opts, hosts)
	refused, ok := errors.AsType[*control.ShareError](err)
	if !ok || refused.Text != credentials.ErrNoRelay.Error() {
		return err
	}
	// The running devproxy has no relay. Without a Proxyfile, nothing else names one.
	src, found := findSource(opts, nil)
	if found != nil {
		return err
	}
	if opts.relay, found = offerRelay(ctx, s, opts, src); found != nil {
		return found
	}
	return attach(ctx, s, client, opts, hosts)
}

// shareArguments separates a port from hosts.
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

// hostsOfPort returns the hosts that the running devproxy serves from a port.
func hostsOfPort(ctx context.Context, client *control.Client, port string) ([]string, error) {
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, host := range status.Hosts {
		if slices.ContainsFunc(host.Routes, func(r control.Route) bool { return r.Path == "/" && r.Upstream == ":"+port }) {
			hosts = append(hosts, host.Name)
		}
	}
	if len(hosts) == 0 {
		return nil, failf("devproxy share, to publish what is running here; or devproxy down first",
			"the devproxy running here (pid %d) serves nothing from port %s", status.PID, port)
	}
	return hosts, nil
}

const (
	// pollConnecting is between queries of a share that connects, pollShared between
	// those of one that works.
	pollConnecting = 50 * time.Millisecond
	pollShared     = 500 * time.Millisecond
	// maxUnanswered is how many queries in a row may fail.
	maxUnanswered = 3
	// sleepTimeout bounds putting the link to sleep at the end.
	sleepTimeout = 10 * time.Second
	// oneMore is the time that the key e adds.
	oneMore = time.Hour
)

// attached is a `devproxy share` next to the `up` that shares.
type attached struct {
	client *control.Client
	report *reporter
	last   control.Share
}

// attach has the running instance share, and prints what happens until the link
// has ended. When ctx ends, the link goes to sleep.
func attach(ctx context.Context, s *streams, client *control.Client, opts upOptions, hosts []string) error {
	a := &attached{client: client, last: control.Share{State: control.ShareNone}, report: newReporter(s, opts, source{})}
	a.report.serving = false
	keys, restore := a.report.readKeys(func() {})
	defer restore()
	if err := a.send(ctx, opts.request(hosts)); err != nil {
		return err
	}
	return a.follow(ctx, keys)
}

// send sends a request and prints the changes.
func (a *attached) send(ctx context.Context, request control.ShareRequest) error {
	now, err := a.client.Share(ctx, request)
	if refused, ok := errors.AsType[*control.ShareError](err); ok {
		return failf(refused.Fix, "%w", err)
	}
	if err != nil {
		return err
	}
	event, changed := devproxy.CompareShare(a.last, now)
	a.last = now
	if changed && now.State == control.ShareFailed {
		return failf(now.Fix, "%s", now.Error)
	}
	if changed {
		a.report.share(event)
	}
	return nil
}

// follow queries the share until the link has ended.
func (a *attached) follow(ctx context.Context, keys <-chan byte) error {
	for unanswered := 0; !devproxy.IsShareOver(a.last.State); {
		request, pressed := a.next(ctx, keys)
		if ctx.Err() != nil {
			return a.sleep()
		}
		err := a.send(ctx, request)
		_, refused := errors.AsType[*failure.Error](err)
		switch {
		case err == nil:
			unanswered = 0
		case errors.Is(err, control.ErrNotRunning):
			a.stopped()
			return nil
		case refused && !pressed:
			return err
		case refused:
			now := a.last
			now.Error, now.Fix = devproxy.Explain(err)
			a.report.share(devproxy.ShareEvent{Kind: devproxy.ShareTrouble, Share: now})
		case ctx.Err() == nil:
			// An instance that ends breaks off its last responses.
			if unanswered++; unanswered > maxUnanswered {
				return err
			}
		}
	}
	return nil
}

// next returns the next request: that of a key that is pressed, else a query.
func (a *attached) next(ctx context.Context, keys <-chan byte) (request control.ShareRequest, pressed bool) {
	pause := pollShared
	if a.last.State == control.ShareConnecting {
		pause = pollConnecting
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-timer.C:
		case key := <-keys:
			if request, ok := shareRequestOf(key); ok {
				return request, true
			}
			continue
		}
		return control.ShareRequest{Op: control.OpLook}, false
	}
}

// shareRequests are the requests of the keys.
var shareRequests = map[rune]control.ShareRequest{
	's': {Op: control.OpStart},
	'e': {Op: control.OpExtend, For: oneMore},
	'n': {Op: control.OpNew},
	'x': {Op: control.OpEnd},
}

// shareRequestOf returns the request of a key, small or capital; false for any other
// key.
func shareRequestOf(key byte) (request control.ShareRequest, ok bool) {
	request, ok = shareRequests[unicode.ToLower(rune(key))]
	return request, ok
}

// stopped handles the end of the `up` that shared. Its link sleeps.
func (a *attached) stopped() {
	now := a.last
	now.State, now.Error, now.Fix = control.ShareAsleep, "", ""
	a.report.share(devproxy.ShareEvent{Kind: devproxy.ShareOver, Before: a.last, Share: now})
}

// sleep puts the link to sleep, since this command started it.
func (a *attached) sleep() error {
	ctx, cancel := context.WithTimeout(context.Background(), sleepTimeout)
	defer cancel()
	return a.send(ctx, control.ShareRequest{Op: control.OpSleep})
}
