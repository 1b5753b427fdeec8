package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// upOptions are the flags of up.
type upOptions struct {
	file           fileFlags
	https, http    string
	json           bool
	verbose, quiet bool
	allow, partial bool // what becomes of effects without consent

	share bool // from the beginning
	// shareOnly is that sharing is all that was asked for: without it, nothing is
	// served either.
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
Ctrl-C stops: requests in flight finish, a second Ctrl-C cuts them off. So does closing the terminal, unless nohup runs it,
or the pipe that it prints to. Ctrl-Z stops it for a while; after bg it goes on serving.

With a PORT it needs no Proxyfile: https://FOLDER.localhost goes to that port. Its URL, http://localhost:5173/, will do too.

--share publishes it under a link too, as devproxy share does.

What a Proxyfile does outside its project needs your consent once: on a terminal up lists it and asks.
Otherwise it prints it and exits 1, unless --allow or --partial says what to do; see devproxy allow.

--json prints one object a line: ready, applied, rejected, consent_needed, shared, unshared, failed, stopped.`,
		Example: `  devproxy up
  devproxy up --share
  devproxy up 5173
  devproxy up --https :8443 --http :8080
  devproxy up --json`,
		SuggestFor: []string{"run", "start", "serve"},
		Args:       atMostOneArg("port", "devproxy up 5173"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, own, release := attended(cmd.Context(), s)
			defer release()
			return runUp(ctx, own, opts, args)
		},
	}
	cmd.Flags().BoolVar(&opts.share, "share", false, "publish it under a link")
	addUpFlags(cmd, &opts)
	return cmd
}

// addUpFlags are the flags of whatever may serve a Proxyfile.
func addUpFlags(cmd *cobra.Command, opts *upOptions) {
	addFileFlags(cmd, &opts.file)
	flags := cmd.Flags()
	flags.StringVar(&opts.https, "https", "", "address for HTTPS, never replaced by another: :8443, 127.0.0.1:8443, :0")
	flags.StringVar(&opts.http, "http", "", "address for plain HTTP")
	flags.BoolVar(&opts.json, "json", false, "print events as JSON, one a line")
	flags.BoolVarP(&opts.verbose, "verbose", "v", false, "print every request")
	flags.BoolVar(&opts.allow, "allow", false, "allow what the Proxyfile does outside its project, for this run")
	flags.BoolVar(&opts.partial, "partial", false, "serve what needs no consent; the other routes say why they are not served")
	flags.BoolVarP(&opts.quiet, "quiet", "q", false, "print no requests")
	addShareFlags(cmd, &opts.shareFlags)
}

// source is where a project's plan comes from: a Proxyfile, or a port.
type source struct {
	folder string
	name   string // what is watched: "Proxyfile"; empty for a port
	// load reads it; httpsPort is the port that is bound, 0 before.
	load func(httpsPort uint16) (*hcl.File, hcl.Diagnostics, error)
}

// findSource is what `up` with these arguments serves.
func findSource(opts upOptions, args []string) (source, error) {
	if len(args) == 0 {
		path, workDir, err := opts.file.find()
		if err != nil {
			return source{}, err
		}
		src := source{folder: filepath.Dir(path), name: filepath.Base(path)}
		src.load = func(httpsPort uint16) (*hcl.File, hcl.Diagnostics, error) { return loadPath(path, workDir, httpsPort) }
		if opts.file.File == "" {
			src.load = func(httpsPort uint16) (*hcl.File, hcl.Diagnostics, error) {
				return loadFolder(src.folder, path, workDir, httpsPort)
			}
		}
		return src, nil
	}
	port, _, err := portArgument(args[0])
	if err != nil {
		if _, noFile := os.Stat(args[0]); noFile == nil {
			return source{}, usagef("devproxy up -f "+args[0], "up takes a port, not a file")
		}
		return source{}, err
	}
	folder, err := filepath.Abs(opts.file.Dir)
	if err != nil {
		return source{}, failf("cd to a folder that exists", "cannot tell the working directory: %w", err)
	}
	load := func(uint16) (*hcl.File, hcl.Diagnostics, error) {
		return hcl.ForPort(port, hostOfFolder(folder)), nil, nil
	}
	return source{folder: folder, load: load}, nil
}

func runUp(ctx context.Context, s *streams, opts upOptions, args []string) error {
	limitMemory(devproxy.BodyMemory + agent.Memory)
	if !opts.share && (opts.relay != "" || opts.lasts != 0 || opts.key != "") {
		return usagef("devproxy up --share", "--relay, --for and --key are about a share, and none is asked for")
	}
	if err := opts.check(); err != nil {
		return err
	}
	if opts.allow && opts.partial {
		return usagef("devproxy up --allow, or devproxy up --partial", "--allow serves all and --partial only a part")
	}
	src, err := findSource(opts, args)
	if err != nil {
		return err
	}
	if opts.share {
		relay, err := offerRelay(ctx, s, opts, src)
		switch {
		case err != nil && opts.shareOnly:
			return err
		case errors.Is(err, errDeclined):
			opts.share = false
		case relay != "":
			opts.relay = relay
		}
	}
	in, err := openInstance(ctx, s, opts, src)
	if err != nil {
		return err
	}
	defer in.close()
	first := in.project.Apply()
	in.concealed(first)
	if first.Rejected() {
		return in.firstRejected(first)
	}
	in.consent.applied(first)
	return in.run(ctx, first)
}

// firstRejected is the end of an `up` whose file cannot be served.
func (in *instance) firstRejected(save devproxy.Save) error {
	var needed *consentError
	if errors.As(save.Err, &needed) {
		if !needed.refused {
			in.report.consent(needed.effects, consentBefore)
		}
		return failf(consentFix, "%w", save.Err)
	}
	if save.Err != nil {
		return save.Err
	}
	in.report.rejected(save, false)
	return &exitError{code: exitProxyfile, err: errProxyfile, fix: "devproxy check shows the mistakes again", quiet: !in.opts.json}
}
