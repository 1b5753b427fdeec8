package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/machine"
)

// browserPatience is how long the desktop may take to report that it found no browser.
const browserPatience = 3 * time.Second

// openPatience bounds the query of all instances: one of them may have been stopped.
const openPatience = 2 * time.Second

// openOptions are the flags of open.
type openOptions struct{ json, print bool }

// openResult is what `devproxy open --json` prints.
type openResult struct {
	URL     string    `json:"url"`     // with the key
	Expires time.Time `json:"expires"` // of the key
}

func newOpenCmd(s *streams) *cobra.Command {
	var opts openOptions
	cmd := &cobra.Command{
		Use:   "open",
		Short: "show all projects of this machine in the browser",
		Long: `Opens https://devproxy.localhost, the page of all your projects that run on this machine, with their hosts, routes and shares.
The page opens only with a key, which open makes: a key works once, within a minute. The browser can then show the page for 12 hours.
Without a browser, open prints the address. So do --print, and --json as one object.
Exits 1 if none of your projects is running.`,
		Example: "  devproxy open\n  devproxy open --print",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return openPage(cmd.Context(), s, opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one JSON object instead of opening a browser")
	cmd.Flags().BoolVar(&opts.print, "print", false, "print the address instead of opening a browser")
	return cmd
}

func openPage(ctx context.Context, s *streams, opts openOptions) error {
	running, runtimeDir, err := askAll(ctx, openPatience)
	if err != nil {
		return err
	}
	port, err := pagePort(running)
	if err != nil {
		return err
	}
	key, expires, err := machine.NewKey(runtimeDir)
	if err != nil {
		return err
	}
	url := machine.URL(port)
	withKey := url + "/#" + key
	if opts.json {
		return s.json(openResult{withKey, expires.UTC().Truncate(time.Second)})
	}
	if !opts.print && hasBrowser() {
		ctx, cancel := context.WithTimeout(ctx, browserPatience)
		defer cancel()
		err := openBrowser(ctx, withKey)
		if err == nil {
			fmt.Fprintf(s.Err, "opened %s in the browser\n", url)
			return nil
		}
		fmt.Fprintln(s.Err, err.Error())
	}
	fmt.Fprintln(s.Out, withKey)
	fmt.Fprintf(s.Err, "the address works once, until %s\n", clock(expires.Local()))
	return nil
}

// pagePort is the port that projects share; if none shares it, that of the first
// project that answers.
func pagePort(running []control.Answer) (uint16, error) {
	if len(running) == 0 {
		return 0, failf("to start one: devproxy up", noProject)
	}
	answering := slices.DeleteFunc(slices.Clone(running), func(a control.Answer) bool { return a.Err != nil })
	if len(answering) == 0 {
		return 0, fmt.Errorf("no devproxy answers: %w", running[0].Err)
	}
	chosen := answering[max(0, slices.IndexFunc(answering, func(a control.Answer) bool { return a.Status.Shared }))]
	address, err := netip.ParseAddrPort(chosen.Status.HTTPS)
	if err != nil {
		return 0, fmt.Errorf("the devproxy in %s has an unknown port: %w", devproxy.Home(chosen.Holder.Folder), err)
	}
	return address.Port(), nil
}

// hasBrowser reports whether a browser can be opened here. On a server, xdg-open would
// start one in the terminal.
func hasBrowser() bool {
	switch runtime.GOOS {
	case "windows":
		return true
	case "darwin":
		return os.Getenv("SSH_CONNECTION") == ""
	}
	return cmp.Or(os.Getenv("DISPLAY"), os.Getenv("WAYLAND_DISPLAY"), os.Getenv("BROWSER")) != ""
}
