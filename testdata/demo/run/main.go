// Command run is `make demo`: it builds the demo's API, starts it and Vite on
// free ports, and a relay beside them, and runs `devproxy up --share` in front
// of all until that ends. With --once it asks for every page instead, at the
// local address and through the link, and exits.
//
//	go run ./testdata/demo/run --devproxy bin/devproxy [--once] [-- FLAGS OF UP]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() {
	// On Linux a child is told when the thread that started it ends; this one
	// lasts as long as the program.
	runtime.LockOSThread()
	var d demo
	flag.StringVar(&d.devproxy, "devproxy", "bin/devproxy", "the devproxy to run")
	flag.StringVar(&d.dir, "dir", filepath.Join("testdata", "demo"), "the demo's folder")
	flag.BoolVar(&d.noNode, "no-node", false, "do as if Node were not installed")
	flag.BoolVar(&d.noShare, "no-share", false, "run no relay and share nothing")
	once := flag.Bool("once", false, "ask for every page once through devproxy, then exit")
	flag.Parse()
	d.upFlags = flag.Args()

	err := d.run(*once)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 && !*once {
		os.Exit(exit.ExitCode()) // devproxy has said why
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is what runs for one `make demo`.
type demo struct {
	devproxy, dir string
	noNode        bool
	noShare       bool
	upFlags       []string

	tmp      string // for the API's binary and the logs; removed at the end
	home     string // DEVPROXY_HOME; empty leaves it unchanged
	children []*child
	web, api uint16 // ports; web is 0 without Vite

	relay     string // "share.localhost:41234"; empty without one
	relayAddr string // its address for dialling
}

func (d *demo) run(once bool) (err error) {
	keys, stopKeys := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stopKeys()
	ctx, stop := signal.NotifyContext(keys, syscall.SIGTERM)
	defer stop()
	ctx, orphaned := context.WithCancel(ctx)
	defer orphaned()
	go watchParent(ctx, orphaned)
	ctx, hungUp := context.WithCancelCause(ctx)
	defer hungUp(nil)
	go watchTerminal(ctx, hungUp)
	// A closed pipe is no reason to leave servers and files behind.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)

	if d.devproxy, err = filepath.Abs(d.devproxy); err != nil {
		return err
	}
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	if d.tmp, err = os.MkdirTemp("", "devproxy-demo-"); err != nil {
		return err
	}
	defer os.RemoveAll(d.tmp)
	defer d.stopChildren()

	if err := d.startAPI(ctx); err != nil {
		return err
	}
	if err := d.startWeb(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		say("Node: %v", err)
		say("The page is served from files instead: everything works but hot module replacement.")
	}
	if once && os.Getenv("DEVPROXY_HOME") == "" {
		d.home = filepath.Join(d.tmp, "home")
	}
	if !d.noShare {
		if err := d.startRelay(ctx); err != nil {
			return err
		}
	}
	if once {
		return d.once(ctx)
	}
	return d.up(ctx, keys)
}

// proxyfile is the demo's, or the one for when Vite does not run.
func (d *demo) proxyfile() string {
	if d.web == 0 {
		return filepath.Join(d.dir, "nonode", "Proxyfile")
	}
	return filepath.Join(d.dir, "Proxyfile")
}

// command is devproxy with the environment variables that the Proxyfile needs.
func (d *demo) command(flags ...string) *exec.Cmd {
	arguments := append([]string{"up", "-f", d.proxyfile()}, flags...)
	if d.relay != "" {
		arguments = append(arguments, "--share", "--relay", d.relay)
	}
	cmd := exec.Command(d.devproxy, append(arguments, d.upFlags...)...)
	cmd.Env = append(d.environment(), fmt.Sprintf("DEMO_WEB_PORT=%d", d.web), fmt.Sprintf("DEMO_API_PORT=%d", d.api))
	cmd.Stderr = os.Stderr
	return cmd
}

// environment is ours, with the DEVPROXY_HOME of --once.
func (d *demo) environment() []string {
	if d.home == "" {
		return os.Environ()
	}
	return append(os.Environ(), "DEVPROXY_HOME="+d.home)
}

// watchParent ends the demo when the program that started it has ended: a
// killed `go run` leaves us running without a terminal to stop us from.
func watchParent(ctx context.Context, orphaned func()) {
	parent := os.Getppid()
	for ctx.Err() == nil {
		if os.Getppid() != parent {
			orphaned()
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// errHungUp is the cause of an end because the terminal was closed.
var errHungUp = errors.New("the terminal was closed")

// watchTerminal ends the demo when its terminal is closed. The kernel and the shell
// both say so: the second time must not end the demo before it has tidied up.
func watchTerminal(ctx context.Context, hungUp context.CancelCauseFunc) {
	closed := make(chan os.Signal, 1)
	signal.Notify(closed, syscall.SIGHUP)
	select {
	case <-closed:
		hungUp(errHungUp)
	case <-ctx.Done():
	}
}

func say(format string, values ...any) { fmt.Fprintf(os.Stderr, format+"\n", values...) }
