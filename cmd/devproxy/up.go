package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// upOptions are the flags of up.
type upOptions struct {
	file           fileFlags
	https, http    string
	standalone     bool // with ports of its own
	yes            bool // run the command that allows port 443
	json           bool
	verbose, quiet bool
	allow, partial bool // what happens to effects without consent

	detach bool // in the background
	// ready is the number of the file by which the process in the background says that
	// it serves; 0 in any other process.
	ready int

	share bool // from the start
	// shareOnly is true for `devproxy share`: without a share, nothing is served.
	shareOnly bool
	shareFlags
	shareHosts []string // none: those of the Proxyfile
}

func newUpCmd(s *streams) *cobra.Command {
	var opts upOptions
	cmd := &cobra.Command{
		Use:   "up [PORT]",
		Short: "serve the Proxyfile; every save applies",
		Long: `Serves the Proxyfile of this folder, or of the nearest above it, on loopback; watches it and applies every save.
Ctrl-C stops it: requests in flight finish, and a second Ctrl-C cuts them off. Closing the terminal stops it too, unless
nohup runs it, and so does closing the pipe that it prints to. Ctrl-Z suspends it; after bg it serves again.

-d puts it in the background, where closing the terminal does not stop it. The command returns when it serves, or with
its error. devproxy logs shows its output and devproxy down stops it.

A second up in the same folder, on a terminal, shows the output of the first until Ctrl-C. Otherwise it exits 1.

With a PORT it needs no Proxyfile: https://FOLDER.localhost goes to that port. The URL http://localhost:5173/ works too.

--share also publishes it under a link, as devproxy share does.

If Linux does not allow port 443, up shows the command that allows it and, on a terminal, offers once to run it. --yes runs
it without asking. Sockets that systemd passes (LISTEN_FDS) are used in place of the default ports.

What a Proxyfile does outside its project needs your consent once. On a terminal, up lists it and asks. Otherwise it
prints the list and exits 1, unless --allow or --partial is given; see devproxy allow.

--json prints one event per line: ready, applied, rejected, consent_needed, state, service, output, shared, failed and others.`,
		Example: `  devproxy up
  devproxy up --share
  devproxy up 5173
  devproxy up -d
  devproxy up --https :8443 --http :8080
  devproxy up --json`,
		SuggestFor: []string{"run", "start", "serve"},
		Args:       atMostOneArg("port", "devproxy up 5173"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if opts.detach && opts.ready == 0 {
				return startInBackground(cmd, s, opts, args)
			}
			if opts.ready != 0 {
				s = s.ignoringClosedPipes()
			}
			ctx, own, release := attended(cmd.Context(), s)
			defer release()
			return runUp(ctx, own, opts, args)
		},
	}
	addOwnUpFlags(cmd, &opts)
	addUpFlags(cmd, &opts)
	return cmd
}

// addOwnUpFlags adds the flags that only up has.
func addOwnUpFlags(cmd *cobra.Command, opts *upOptions) {
	flags := cmd.Flags()
	flags.BoolVar(&opts.share, "share", false, "publish it under a link")
	flags.BoolVarP(&opts.detach, "detach", "d", false, "run in the background; return when it serves")
	flags.IntVar(&opts.ready, readyFlag, 0, "the file that the background process reports to")
	_ = flags.MarkHidden(readyFlag) // the flag exists
}

// addUpFlags adds the flags of the verbs that may serve a Proxyfile.
func addUpFlags(cmd *cobra.Command, opts *upOptions) {
	addFileFlags(cmd, &opts.file)
	flags := cmd.Flags()
	flags.StringVar(&opts.https, "https", "", "address for HTTPS, never replaced by another: :8443, 127.0.0.1:8443, :0")
	flags.StringVar(&opts.http, "http", "", "address for plain HTTP")
	flags.BoolVar(&opts.standalone, "standalone", false, "do not share the ports with other projects")
	flags.BoolVarP(&opts.yes, "yes", "y", false, "if this machine does not allow port 443, allow it without asking")
	flags.BoolVar(&opts.json, "json", false, "print events as JSON, one per line")
	flags.BoolVarP(&opts.verbose, "verbose", "v", false, "print every request")
	flags.BoolVar(&opts.allow, "allow", false, "allow what the Proxyfile does outside its project, for this run")
	flags.BoolVar(&opts.partial, "partial", false, "serve what needs no consent; the other routes say why they are not served")
	flags.BoolVarP(&opts.quiet, "quiet", "q", false, "print no requests")
	addShareFlags(cmd, &opts.shareFlags)
}

func (o upOptions) check() error {
	if !o.share && (o.relay != "" || o.lasts != 0 || o.key != "") {
		return usagef("devproxy up --share", "--relay, --for and --key need --share")
	}
	if err := o.shareFlags.check(); err != nil {
		return err
	}
	if o.allow && o.partial {
		return usagef("devproxy up --allow, or devproxy up --partial", "--allow and --partial exclude each other")
	}
	return nil
}

// find checks the options, and returns what to serve with a client of the devproxy that
// serves that folder already; nil if none does.
func (o upOptions) find(args []string) (source, *control.Client, error) {
	if err := o.check(); err != nil {
		return source{}, nil, err
	}
	src, err := findSource(o, args)
	if err != nil {
		return source{}, nil, err
	}
	client, err := runningIn(src.folder)
	return src, client, err
}

func runUp(ctx context.Context, s *streams, opts upOptions, args []string) error {
	limitMemory(devproxy.BodyMemory + agent.Memory)
	passed, err := inheritSockets() // before anything is run that would inherit them too
	if err != nil {
		return err
	}
	src, client, err := opts.find(args)
	if err != nil {
		return err
	}
	switch {
	case client != nil && opts.ready != 0:
		return leaveToOther(opts)
	case client != nil:
		return attachTo(ctx, s, client, opts, src, args)
	}
	if err := opts.chooseRelay(ctx, s, src); err != nil {
		return err
	}
	open := openInstance
	if opts.ready != 0 {
		open = openInBackground
	}
	in, err := open(ctx, s, opts, src)
	if err != nil {
		return err
	}
	defer in.close()
	in.passed = passed
	err = in.serve(ctx)
	in.report.end(err)
	return err
}

// serve applies the first plan and serves until ctx ends.
func (in *instance) serve(ctx context.Context) error {
	first := in.project.Apply()
	in.conceal(first)
	if first.Rejected() {
		return in.firstRejected(first)
	}
	in.consent.applied(first)
	return in.run(ctx, first)
}

// chooseRelay asks for the relay of --share if none is configured. A share that is
// declined is left out.
func (o *upOptions) chooseRelay(ctx context.Context, s *streams, src source) error {
	if !o.share {
		return nil
	}
	relay, err := offerRelay(ctx, s, *o, src)
	switch {
	case err != nil && o.shareOnly:
		return err
	case errors.Is(err, errDeclined):
		o.share = false
	case relay != "":
		o.relay = relay
	}
	return nil
}

// firstRejected ends an `up` whose file cannot be served.
func (in *instance) firstRejected(save devproxy.Save) error {
	if needed, ok := errors.AsType[*consentError](save.Err); ok {
		if !needed.refused {
			in.report.emit(newConsentEvent(needed.effects, servingNothing))
		}
		return failf(consentFix, "%w", save.Err)
	}
	if save.Err != nil {
		return save.Err
	}
	in.report.emit(newRejected(save, false))
	return &exitError{code: exitProxyfile, err: errProxyfile, quiet: !in.opts.json}
}

// errProxyfile is a Proxyfile that cannot be served. Its diagnostics have been
// printed.
var errProxyfile = failf("devproxy check shows the mistakes again", "the Proxyfile has errors")

// source is where the plan of a project comes from: a Proxyfile, or a port.
type source struct {
	folder string
	name   string // of the file that is watched: "Proxyfile"; empty for a port
	// load reads it; httpsPort is the port that is bound, 0 before.
	load  func(httpsPort uint16) (*hcl.File, hcl.Diagnostics, error)
	ports *servicePorts
}

// findSource returns what `up` serves with these arguments.
func findSource(opts upOptions, args []string) (source, error) {
	if len(args) > 0 {
		return portSource(opts, args[0])
	}
	path, workDir, err := opts.file.find()
	if err != nil {
		return source{}, err
	}
	src := source{folder: filepath.Dir(path), name: filepath.Base(path), ports: newServicePorts(filepath.Dir(path), true)}
	src.load = func(httpsPort uint16) (*hcl.File, hcl.Diagnostics, error) {
		if opts.file.File != "" {
			return loadPath(path, workDir, httpsPort, src.ports)
		}
		return loadFolder(src.folder, path, workDir, httpsPort, src.ports)
	}
	return src, nil
}

func portSource(opts upOptions, arg string) (source, error) {
	port, _, err := portArgument(arg)
	if err != nil {
		if _, noFile := os.Stat(arg); noFile == nil {
			return source{}, usagef("devproxy up -f "+arg, "up takes a port, not a file")
		}
		return source{}, err
	}
	folder, err := workingFolder(opts.file.Dir)
	return source{folder: folder, ports: newServicePorts(folder, true), load: func(uint16) (*hcl.File, hcl.Diagnostics, error) {
		return hcl.ForPort(port, hostOfFolder(folder)), nil, nil
	}}, err
}
