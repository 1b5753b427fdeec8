package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

// trustPatience bounds the programs that are run for one store. A person who is
// asked, or who types a password, has all the time.
const trustPatience = time.Minute

// trustOptions are the flags of trust and untrust.
type trustOptions struct {
	check, json, yes bool
	stores           []string
}

func newTrustCmd(s *streams) *cobra.Command {
	var opts trustOptions
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "make this machine's browsers accept devproxy's certificates",
		Long: `Installs devproxy's CA in every trust store that is here: the system's, Chromium's, Firefox's, Java's.
The CA can sign localhost names and loopback addresses, nothing else. One failing store never stops the others.

A store that needs root shows the command and asks; without a terminal it is only shown.

--check changes nothing, proves each store and exits 1 when one does not trust the CA.
--json prints one object a store: {"store","state","detail","fix","places"}.`,
		Example: `  devproxy trust
  devproxy trust --check
  devproxy trust --store chromium,firefox`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTrust(cmd.Context(), s, opts) },
	}
	addTrustFlags(cmd, &opts)
	cmd.Flags().BoolVar(&opts.check, "check", false, "prove each store, change nothing, exit 1 if one does not trust the CA")
	return cmd
}

func newUntrustCmd(s *streams) *cobra.Command {
	var opts trustOptions
	cmd := &cobra.Command{
		Use:     "untrust",
		Short:   "take the CA out of the trust stores again",
		Long:    "Takes devproxy's CA out of every trust store it is in. The CA itself stays in $DEVPROXY_HOME.",
		Example: "  devproxy untrust\n  devproxy untrust --store java",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runUntrust(cmd.Context(), s, opts) },
	}
	addTrustFlags(cmd, &opts)
	return cmd
}

func addTrustFlags(cmd *cobra.Command, opts *trustOptions) {
	cmd.Flags().StringSliceVar(&opts.stores, "store", nil, "only these stores: system, chromium, firefox, java (and windows, inside WSL)")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one JSON object a store")
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "run the commands that need root without asking")
}

func runTrust(ctx context.Context, s *streams, opts trustOptions) error {
	ca, err := trustCA(opts.check)
	if err != nil {
		return err
	}
	stores, err := pickStores(ca, opts)
	if err != nil {
		return err
	}
	t := &trustRun{streams: s, opts: opts}
	if opts.check {
		t.each(ctx, stores, trust.Store.Check)
		t.print()
		return t.verdict(true)
	}
	fmt.Fprintln(s.Err, "This CA can sign localhost names and loopback addresses, nothing else.")
	t.warnRoot(stores)
	t.each(ctx, stores, trust.Store.Install)
	t.print()
	if !opts.json {
		fmt.Fprintln(s.Out, "Undo: devproxy untrust")
	}
	return t.verdict(false)
}

func runUntrust(ctx context.Context, s *streams, opts trustOptions) error {
	ca, err := trustCA(true)
	if errors.Is(err, localca.ErrNoCA) {
		fmt.Fprintln(s.Err, "there is no CA yet, so no store can trust it")
		return nil
	}
	if err != nil {
		return err
	}
	stores, err := pickStores(ca, opts)
	if err != nil {
		return err
	}
	t := &trustRun{streams: s, opts: opts}
	t.warnRoot(stores)
	t.each(ctx, stores, trust.Store.Uninstall)
	t.print()
	return t.verdict(false)
}

// trustCA is the CA: made if need be, unless nothing is to be changed, or sudo
// runs us. What root makes in a user's folder that user could not use, and the
// CA of root's own folder is not the one that serves.
func trustCA(readOnly bool) (*localca.CA, error) {
	user := sudoUser()
	if !readOnly && user == "" {
		return openCA()
	}
	home, err := localca.Home(os.Getenv)
	if err != nil {
		return nil, err
	}
	ca, err := localca.Load(home)
	if errors.Is(err, localca.ErrNoCA) {
		fix := "devproxy trust"
		if user != "" {
			fix = "devproxy trust, as " + user + " without sudo: it shows the command that needs root"
		}
		return nil, failf(fix, "%w", err)
	}
	return ca, err
}

// sudoUser is who runs us through sudo; empty without sudo.
func sudoUser() string {
	if user := os.Getenv("SUDO_USER"); os.Geteuid() == 0 && user != "root" {
		return user
	}
	return ""
}

func pickStores(ca *localca.CA, opts trustOptions) ([]trust.Store, error) {
	machine := trust.Here()
	machine.Handshake = func(ctx context.Context) (string, func(), error) { return listenWithLeaf(ctx, ca) }
	machine.SystemCommand = systemArgv
	all := trust.Stores(machine, trust.Root{Cert: ca.Root(), File: ca.RootFile()})
	if len(opts.stores) == 0 {
		return all, nil
	}
	var names []string
	for _, store := range all {
		names = append(names, store.Name())
	}
	for _, name := range opts.stores {
		if !slices.Contains(names, name) {
			return nil, usagef("stores: "+strings.Join(names, ", "), "there is no store %q", name)
		}
	}
	return slices.DeleteFunc(all, func(store trust.Store) bool { return !slices.Contains(opts.stores, store.Name()) }), nil
}

// listenWithLeaf answers one-line HTTP on loopback with a leaf for localhost:
// what clients prove their store against.
func listenWithLeaf(_ context.Context, ca *localca.CA) (addr string, stop func(), err error) {
	leaf, err := ca.Issue("localhost")
	if err != nil {
		return "", nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("cannot listen on loopback for the proof: %w", err)
	}
	srv := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // refusals are the result
	}
	srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{*leaf}, MinVersion: tls.VersionTLS12})) // ended by stop
	}()
	return ln.Addr().String(), func() { srv.Close(); <-done }, nil
}

// systemArgv does a verb to the system's store as root: this very program, with
// this user's CA.
func systemArgv(verb string) []string {
	program, err := os.Executable()
	if err != nil {
		program = "devproxy"
	}
	argv := []string{"sudo"}
	if home, err := localca.Home(os.Getenv); err == nil { // else there would be no CA
		argv = append(argv, "env", localca.HomeVariable+"="+home)
	}
	return append(argv, program, verb, "--store", "system")
}

// trustRun is one run over the stores.
type trustRun struct {
	streams *streams
	opts    trustOptions
	results []trust.Result
}

// each does one thing to every store. One that fails never stops the others.
func (t *trustRun) each(ctx context.Context, stores []trust.Store, do func(trust.Store, context.Context) trust.Result) {
	for _, store := range stores {
		once := func() trust.Result {
			bounded, cancel := context.WithTimeout(ctx, trustPatience)
			defer cancel()
			return do(store, bounded)
		}
		result := once()
		if result.State == trust.NeedsRoot {
			result = t.withRoot(ctx, result, once)
		}
		t.results = append(t.results, result)
	}
}

// withRoot shows the command that a store needs root for, asks, and runs it.
// Then the store is done again, and says what is so now.
func (t *trustRun) withRoot(ctx context.Context, result trust.Result, again func() trust.Result) trust.Result {
	fmt.Fprintf(t.streams.Err, "%s store needs root:  %s", capital(result.Store), t.streams.bold(result.Fix))
	if !t.confirm() {
		return result
	}
	if err := runAttached(ctx, t.streams, result.AsRoot, nil); err != nil {
		result.State, result.Detail = trust.Failed, "as root: "+err.Error()
		return result
	}
	return again()
}

// warnRoot says whose browsers are meant when sudo runs us.
func (t *trustRun) warnRoot(stores []trust.Store) {
	user := sudoUser()
	browser := func(store trust.Store) bool { return store.Name() == "chromium" || store.Name() == "firefox" }
	if user != "" && slices.ContainsFunc(stores, browser) {
		fmt.Fprintf(t.streams.Err, "sudo: these are root's browsers; for those of %s run it without sudo\n", user)
	}
}

// confirm asks on a terminal; elsewhere the answer is that of --yes.
func (t *trustRun) confirm() bool {
	if t.opts.yes || !t.streams.InTTY {
		fmt.Fprintln(t.streams.Err)
		return t.opts.yes
	}
	fmt.Fprint(t.streams.Err, "   Run it? [Y/n] ")
	answer, err := bufio.NewReader(t.streams.In).ReadString('\n')
	if err != nil {
		return false
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "" || answer == "y" || answer == "yes"
}

// title is a store's name as a person reads it.
func title(store string) string {
	if store == "system" {
		return store
	}
	return capital(store)
}

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

func (t *trustRun) print() {
	if t.opts.json {
		out := json.NewEncoder(t.streams.Out)
		for _, result := range t.results {
			_ = out.Encode(result) // as with every print
		}
		return
	}
	for _, r := range t.results {
		fmt.Fprintf(t.streams.Out, "  %-15s %s  %s\n", title(r.Store), t.state(r.State), r.Detail)
		if r.Fix != "" {
			fmt.Fprintf(t.streams.Out, "  %-15s %-10s  %s\n", "", "", t.streams.bold(r.Fix))
		}
	}
	if len(t.opts.stores) == 0 {
		fmt.Fprintf(t.streams.Out, "  %-15s per shell: eval \"$(devproxy env)\"\n", "Node, Python")
	}
}

func (t *trustRun) state(state trust.State) string {
	text := fmt.Sprintf("%-10s", state)
	switch state {
	case trust.Trusted:
		return t.streams.green(text)
	case trust.Failed:
		return t.streams.red(text)
	case trust.Untrusted, trust.NeedsRoot:
		return t.streams.yellow(text)
	}
	return text
}

// verdict is the exit code: 1 when a store failed, or, looking only, when one
// does not trust the CA.
func (t *trustRun) verdict(check bool) error {
	for _, r := range t.results {
		if r.State == trust.Failed || check && r.State == trust.Untrusted {
			return exit(exitFailed)
		}
		if r.State == trust.NeedsRoot && slices.Contains(t.opts.stores, r.Store) {
			return exit(exitFailed) // asked for by name, and not done
		}
	}
	return nil
}
