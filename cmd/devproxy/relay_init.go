package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/tunnel/neterror"
	"github.com/devproxy/devproxy/tunnel/relay/delegation"
	"github.com/devproxy/devproxy/tunnel/relay/zone"
)

// delegationPoll is how often missing records are looked for.
const delegationPoll = 10 * time.Second

// relayInit is one `devproxy relay init`.
type relayInit struct {
	*streams
	relay                       relayOptions
	check, container, json, yes bool
	unit                        string // the file to write

	plan    delegation.Plan
	checker delegation.Checker
	poll    time.Duration
}

func newRelayInitCmd(s *streams) *cobra.Command {
	init := &relayInit{streams: s, poll: delegationPoll}
	cmd := &cobra.Command{
		Use:   "init DOMAIN",
		Short: "show and check the DNS records of your own relay, and write its systemd unit",
		Long: `Shows the DNS records that lead to a relay on this server, asks the servers of the parent domain whether they have them,
and waits until they do. Then it answers DNS queries itself for a moment, to see that a firewall lets them in. At the end
it writes a systemd unit, or with --container shows the command that starts the relay in a container.

Most domains need two records: one that delegates the domain to this server, and one with the address of its DNS server.
Where your DNS provider can't delegate a domain, --static keeps its addresses there and delegates only _acme-challenge.
Then shares with cookies = "shared" are refused, since each needs a certificate of its own.

Register a domain for the relay alone if you can. For browsers, all names below a registered domain are one site, so
the pages of a share can set cookies for your other names below it.`,
		Example: `  devproxy relay init t.example.com --acme-email you@example.com
  devproxy relay init t.example.com --address 203.0.113.7 --container
  devproxy relay init t.example.com --check`,
		Args: oneArg("domain", "devproxy relay init t.example.com"),
		RunE: interruptible(func(ctx context.Context, args []string) error {
			init.relay.domain = args[0]
			return init.run(ctx)
		}),
	}
	flags := cmd.Flags()
	init.relay.zone.addFlags(flags)
	flags.BoolVar(&init.check, "check", false, "check the records once; exit 1 if one is missing")
	flags.BoolVar(&init.container, "container", false, "show the command for a container instead of a systemd unit")
	flags.StringVar(&init.unit, "unit", "/etc/systemd/system/devproxy-relay.service", "`FILE` to write the systemd unit to")
	flags.BoolVar(&init.yes, "yes", false, "write the unit without asking")
	flags.BoolVar(&init.json, "json", false, "with --check: print one object per record")
	return cmd
}

func (i *relayInit) run(ctx context.Context) error {
	if err := i.relay.checkDomain(); err != nil {
		return err
	}
	if err := i.relay.zone.check(); err != nil {
		return err
	}
	if i.json && !i.check {
		return usagef("devproxy relay init "+i.relay.domain+" --check --json", "--json needs --check")
	}
	i.plan = delegation.Plan{Domain: i.relay.domain, Addresses: i.relay.zone.publicAddresses, Static: i.relay.zone.static}
	i.detectStatic(ctx)
	if !i.check {
		i.printRecords()
	}
	parent, err := i.checker.Parent(ctx, i.plan)
	if err != nil {
		return failf("make sure that this server can resolve names, and that the parent of "+i.relay.domain+" is registered", "%w", err)
	}
	if i.check {
		return i.checkOnce(ctx, parent)
	}
	i.note("asking the servers of " + parent.Zone + ": " + strings.Join(parent.Servers, ", "))
	if !i.plan.Static && !strings.Contains(parent.Zone, ".") {
		i.note("at the registrar of " + i.plan.Domain + " these are its name server, and the address (glue, or host record) of that")
	}
	if err := i.await(ctx, func() string { return i.missing(ctx, parent) }, "the records are there"); err != nil {
		return err
	}
	if err := i.awaitQueries(ctx); err != nil {
		return err
	}
	if i.container {
		i.printContainer()
		return nil
	}
	return i.writeUnit(ctx)
}

// detectStatic sets --static when exactly its records are there already.
func (i *relayInit) detectStatic(ctx context.Context) {
	static := i.plan
	static.Static = true
	parent, err := i.checker.Parent(ctx, static)
	if i.plan.Static || err != nil {
		return
	}
	for _, f := range i.checker.Check(ctx, static, parent) {
		if f.State != delegation.Present {
			return
		}
	}
	i.note("only _acme-challenge." + i.plan.Domain + " is delegated, as for --static")
	i.plan, i.relay.zone.static = static, true
}

// checkOnce prints the state of each record, and fails if one is missing.
func (i *relayInit) checkOnce(ctx context.Context, parent delegation.Parent) error {
	findings := i.checker.Check(ctx, i.plan, parent)
	bad := 0
	table := tabwriter.NewWriter(i.Out, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		if f.State != delegation.Present {
			bad++
		}
		if i.json {
			if err := i.streams.json(f); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Name, f.Type, f.Value, describe(f))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if bad > 0 {
		return failf("change them where "+parent.Zone+" is managed", "%d of %s of %s are not as they should be", bad, count(len(findings), "record"), i.relay.domain)
	}
	if err := i.checker.Reach(ctx, i.plan); err != nil {
		return failf(i.openPort(), "the records are there, but no answer of the relay's DNS server arrives: %w", err)
	}
	if !i.json {
		fmt.Fprintln(i.Out, "DNS queries reach the relay")
	}
	return nil
}

// describe says what the parent's servers have.
func describe(f delegation.Finding) string {
	if f.Detail == "" {
		return string(f.State)
	}
	return string(f.State) + ": " + f.Detail
}

// printRecords prints what to make in the parent zone.
func (i *relayInit) printRecords() {
	i.paragraph("Make these DNS records where the parent of " + i.plan.Domain + " is managed:")
	table := tabwriter.NewWriter(i.Out, 0, 0, 2, ' ', 0)
	for _, r := range i.plan.Records() {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", r.Name, r.Type, r.Value)
	}
	_ = table.Flush() // print errors are ignored
}

// missing says which records are not there; empty if all are.
func (i *relayInit) missing(ctx context.Context, parent delegation.Parent) string {
	var texts []string
	for _, f := range i.checker.Check(ctx, i.plan, parent) {
		switch f.State {
		case delegation.Missing:
			texts = append(texts, f.Name+" "+f.Type+" is missing")
		case delegation.Wrong:
			texts = append(texts, f.Name+" "+f.Type+" is wrong: "+f.Detail)
		case delegation.Unknown:
			return f.Detail
		}
	}
	return strings.Join(texts, "; ")
}

// await waits until problem returns nothing. It prints each new problem once.
func (i *relayInit) await(ctx context.Context, problem func() string, done string) error {
	last := ""
	for {
		text := problem()
		switch {
		case ctx.Err() != nil:
			return failf("devproxy relay init "+i.relay.domain+" continues the wait", "stopped while the relay's domain does not lead here: %s", last)
		case text == "":
			i.event(time.Now(), done)
			return nil
		case text != last:
			i.event(time.Now(), "waiting: "+text)
			last = text
		}
		timer := time.NewTimer(i.poll)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// awaitQueries waits until a resolver gets an answer from this server. When no relay
// runs here yet, it answers itself meanwhile.
func (i *relayInit) awaitQueries(ctx context.Context) error {
	stop, err := i.answer(ctx)
	switch {
	case err == nil:
		defer stop()
	case neterror.Taken(err): // by a relay that runs, or by another program, which await reports
	default:
		i.note("not checked whether DNS queries reach this server: " + err.Error())
		return nil
	}
	return i.await(ctx, func() string {
		err := i.checker.Reach(ctx, i.plan)
		var failure *net.DNSError
		switch {
		case err == nil:
			return ""
		case errors.As(err, &failure) && failure.IsNotFound:
			return "this machine's resolver does not know the records yet"
		}
		return "DNS queries don't reach this server (" + err.Error() + "); " + i.openPort()
	}, "DNS queries reach this server")
}

// openPort says how to let queries in.
func (i *relayInit) openPort() string {
	var addresses []string
	for _, address := range i.plan.Addresses {
		addresses = append(addresses, address.String())
	}
	return "open port 53, UDP and TCP, of " + strings.Join(addresses, " and ") + " in every firewall"
}

// answer answers DNS queries until stop is called.
func (i *relayInit) answer(ctx context.Context) (stop func(), err error) {
	records, err := zone.New(zone.Options{Domain: i.relay.domain, Addresses: i.plan.Addresses})
	if err != nil {
		return nil, err
	}
	var sockets zone.Sockets
	closeAll := func() {
		for _, ln := range sockets.Listeners {
			ln.Close()
		}
		for _, conn := range sockets.Packets {
			conn.Close()
		}
	}
	for _, at := range i.relay.zone.dnsAt {
		streams, packets, err := openDNS(ctx, at)
		if err != nil {
			closeAll()
			return nil, err
		}
		sockets.Listeners = append(sockets.Listeners, streams)
		sockets.Packets = append(sockets.Packets, packets)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- zone.NewServer(records, slog.New(slog.DiscardHandler)).Serve(ctx, sockets) }()
	return func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			i.note(err.Error())
		}
		closeAll()
	}, nil
}

// arguments returns the arguments of the relay that is set up.
func (i *relayInit) arguments() []string {
	z := i.relay.zone
	args := []string{"--domain", i.relay.domain}
	for _, address := range z.addresses {
		args = append(args, "--address", address)
	}
	for _, address := range z.dns {
		args = append(args, "--dns", address)
	}
	if z.static {
		args = append(args, "--static")
	}
	if z.email != "" {
		args = append(args, "--acme-email", z.email)
	}
	switch {
	case z.staging:
		args = append(args, "--acme-staging")
	case z.rehearsal == "": // not the default
		args = append(args, "--acme-ca", z.authority)
	}
	return slices.Clip(args)
}
