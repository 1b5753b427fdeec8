package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/journal"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// readyFlag is a hidden flag of the process in the background.
const readyFlag = "ready-file"

// What the process in the background reports, one byte.
const (
	serves      = 1
	otherServes = 2 // another process serves the folder; this one ends
)

// heldPatience is how long a process in the background waits for another one that has the
// folder and does not serve yet.
const heldPatience = 10 * time.Second

// startInBackground is `up -d`. The process that it starts has a session of its own and
// prints to this terminal until it serves. What needs an answer is asked here, before.
func startInBackground(cmd *cobra.Command, s *streams, opts upOptions, args []string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals()...)
	defer stop()
	src, client, err := opts.find(args)
	if err != nil {
		return err
	}
	if client != nil {
		return runsAlready(ctx, s, client, opts, src, args)
	}
	if err := opts.chooseRelay(ctx, s, src); err != nil {
		return err
	}
	if err := askFirst(ctx, s, opts, src); err != nil {
		return err
	}
	if err := launch(ctx, s, backgroundArgs(cmd.Flags(), opts, args)); !errors.Is(err, errOtherServes) {
		return err
	}
	if client, err = runningIn(src.folder); err != nil {
		return err
	}
	if client == nil {
		return failf("devproxy up -d", "the devproxy that served this folder has ended")
	}
	return runsAlready(ctx, s, client, opts, src, args)
}

// errOtherServes is the error of a process in the background that has found another one.
var errOtherServes = errors.New("another devproxy serves this folder")

// leaveToOther reports that another process serves the folder.
func leaveToOther(opts upOptions) error {
	report := inherited(opts.ready)
	defer report.Close()
	_, _ = report.Write([]byte{otherServes}) // the process that waits may have ended
	return exit(exitFailed)
}

// openInBackground is openInstance. While another process has the folder and does not
// serve yet, such as one that `up -d` has started at the same moment, it waits. If that
// one serves, this one leaves it to that.
func openInBackground(ctx context.Context, s *streams, opts upOptions, src source) (*instance, error) {
	for deadline := time.Now().Add(heldPatience); ; {
		in, err := openInstance(ctx, s, opts, src)
		if _, held := errors.AsType[*control.HeldError](err); !held {
			return in, err
		}
		client, unknown := runningIn(src.folder)
		if client != nil {
			return nil, leaveToOther(opts)
		}
		if unknown != nil || time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pollConnecting):
		}
	}
}

// askFirst asks for the consent that is missing. What it cannot ask for, and mistakes in
// the file, are left to the process in the background, which reports them.
func askFirst(ctx context.Context, s *streams, opts upOptions, src source) error {
	consent := &upConsent{consents: consentsFor(src.folder), ctx: ctx, streams: s, opts: opts}
	loaded, err := devproxy.Load(
		func() (*hcl.File, hcl.Diagnostics, error) { return src.load(0) },
		func(*hcl.File) plan.Env { return plan.Env{Root: consent.project.Root} })
	if err != nil || loaded.Diagnostics.HasErrors() || opts.allow {
		return nil //nolint:nilerr // see above
	}
	missing, err := consent.missingNow(loaded.Plan.Effects())
	if err == nil && len(missing) > 0 {
		_, err = consent.request(missing)
	}
	if _, refused := errors.AsType[*consentError](err); refused {
		return failf(consentFix, "%w", err)
	}
	return err
}

// backgroundArgs is the command line of the process in the background: the one given,
// with what was answered here.
func backgroundArgs(flags *pflag.FlagSet, opts upOptions, args []string) []string {
	line := []string{"up"}
	add := func(name, value string) { line = append(line, "--"+name+"="+value) }
	flags.Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "share", "relay", "key", "for":
		default:
			add(f.Name, f.Value.String())
		}
	})
	if opts.share {
		add("share", "true")
		if opts.relay != "" {
			add("relay", opts.relay)
		}
		if opts.key != "" {
			add("key", opts.key)
		}
		if opts.lasts != 0 {
			add("for", opts.lasts.String())
		}
	}
	return append(append(line, "--"), args...)
}

// launch starts this program in the background and returns when it serves, or with its
// exit code. The error is errOtherServes if another process serves the folder. Ctrl-C
// before that ends it.
func launch(ctx context.Context, s *streams, args []string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the program devproxy: %w", err)
	}
	ready, theirs, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot start a process in the background: %w", err)
	}
	defer ready.Close()
	child := exec.Command(program)
	ownSession(child)
	child.Stdout, child.Stderr = s.Out, s.Err
	number := inherit(child, theirs)
	child.Args = append([]string{os.Args[0], args[0], fmt.Sprintf("--%s=%d", readyFlag, number)}, args[1:]...)
	err = child.Start()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("cannot start a process in the background: %w", err)
	}
	reported := make(chan byte, 1)
	go func() {
		report := []byte{0}
		_, _ = ready.Read(report) // nothing when the process has ended
		reported <- report[0]
	}()
	select {
	case report := <-reported:
		switch report {
		case serves:
			return child.Process.Release()
		case otherServes:
			_ = child.Wait() // it has said all that it had to say
			return errOtherServes
		}
	case <-ctx.Done():
		terminate(child.Process)
	}
	err = child.Wait()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() > 0 {
		return exit(ended.ExitCode()) // it has said why
	}
	if err != nil {
		return failf("devproxy logs", "devproxy ended before it served: %w", err)
	}
	return failf("devproxy up -d", "devproxy was stopped before it served")
}

// runsAlready is `up -d` where devproxy runs already.
func runsAlready(ctx context.Context, s *streams, client *control.Client, opts upOptions, src source, args []string) error {
	if err := opts.checkRunning(ctx, client, src, args); err != nil {
		return err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	if opts.json {
		if err := s.json(readyEvent{Event: "ready", URLs: status.URLs, HTTPS: status.HTTPS, HTTP: status.HTTP, Hosts: status.Hosts, Worktree: status.Worktree}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.Err, "devproxy is already running here (pid %d)\n", status.PID)
		printServed(s, status)
		s.note(typed("devproxy logs -f") + " · " + typed("devproxy down"))
	}
	if !opts.share {
		return nil
	}
	a := &attached{client: client, last: control.Share{State: control.ShareNone}, report: newReporter(s, opts, source{})}
	a.report.serving, a.report.keys = false, false
	for request := opts.request(nil); ; request = (control.ShareRequest{Op: control.OpLook}) {
		if err := a.send(ctx, request); err != nil || a.last.State != control.ShareConnecting {
			return err
		}
		a.next(ctx, nil)
		if ctx.Err() != nil {
			return exit(exitFailed)
		}
	}
}

// createLog begins the log file of a folder.
func createLog(folder string) (*journal.File, error) {
	dir, name, err := logOf(folder)
	if err != nil {
		return nil, err
	}
	file, err := journal.Create(dir, name)
	if err != nil {
		return nil, failf("devproxy up runs without a log file", "%w", err)
	}
	fmt.Fprintf(file, "%s, pid %d, %s, in %s\n", versionLine(thisBuild()), os.Getpid(), time.Now().Format(time.RFC3339), printable(folder))
	return file, nil
}

// logOf returns the folder of all log files, and the name of the one of a project's
// folder.
func logOf(folder string) (dir, name string, err error) {
	store, err := openStore()
	if err != nil {
		return "", "", err
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return "", "", err
	}
	sum := sha256.Sum256([]byte(folder))
	name = strings.TrimSuffix(hostOfFolder(folder), ".localhost") + "-" + hex.EncodeToString(sum[:6])
	return filepath.Join(store.Home, "logs"), name, nil
}
