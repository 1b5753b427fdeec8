package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/programs"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

const (
	// storeTimeout bounds the programs that are run for one store. A person who
	// answers a question or types a password has as much time as needed.
	storeTimeout = time.Minute
	// browserTimeout bounds the check of the browsers' stores before the banner ends.
	browserTimeout = time.Second
)

// trustOptions are the flags of trust and untrust.
type trustOptions struct {
	check, json, yes bool
	stores           []string
	domain           string // empty for the CA of localhost
}

func newTrustCmd(s *streams) *cobra.Command {
	var opts trustOptions
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "make this machine's browsers accept devproxy's certificates",
		Long: `Installs devproxy's CA in every trust store of this machine: the system's, Chromium's, Firefox's, Java's.
The CA can sign localhost names and loopback addresses, nothing else. If one store fails, the others are still done.

For a store that needs root, the command is shown and confirmed first; without a terminal it is only shown. Exits 1 if a
store is not done.

--domain makes a second CA for a name outside of .localhost, as some sign-in providers require one. It can sign that name
and those below it, nothing else: test, internal, home.arpa or a name below these, or one below a registered name such as
dev.example.com, which is confirmed first.

--check changes nothing, tests each store and exits 1 if one does not trust a CA. It tests those of domains too.
--json prints one object per store: {"store","state","detail","fix","places","domain"}.`,
		Example: `  devproxy trust
  devproxy trust --check
  devproxy trust --domain shop.test
  devproxy trust --store chromium,firefox`,
		Args:    noArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return checkDomainFlag(cmd) },
		RunE:    func(cmd *cobra.Command, _ []string) error { return runTrust(cmd.Context(), s, opts) },
	}
	addTrustFlags(cmd, &opts)
	cmd.Flags().BoolVar(&opts.check, "check", false, "test each store, change nothing, exit 1 if one does not trust the CA")
	return cmd
}

func newUntrustCmd(s *streams) *cobra.Command {
	var opts trustOptions
	cmd := &cobra.Command{
		Use:   "untrust",
		Short: "remove the CA from the trust stores",
		Long: `Removes devproxy's CA, and older CAs of devproxy, from every trust store they are in.
The CA itself stays in $DEVPROXY_HOME.

--domain removes the CA of that domain instead, and deletes it.
--json prints one object per store: {"store","state","detail","fix","places","domain"}.`,
		Example: "  devproxy untrust\n  devproxy untrust --store java\n  devproxy untrust --domain shop.test",
		Args:    noArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return checkDomainFlag(cmd) },
		RunE:    func(cmd *cobra.Command, _ []string) error { return runUntrust(cmd.Context(), s, opts) },
	}
	addTrustFlags(cmd, &opts)
	return cmd
}

func addTrustFlags(cmd *cobra.Command, opts *trustOptions) {
	cmd.Flags().StringSliceVar(&opts.stores, "store", nil, "only these stores: system, chromium, firefox, java (and windows, inside WSL)")
	cmd.Flags().StringVar(&opts.domain, "domain", "", "the CA of this `DOMAIN`, such as shop.test, instead of that of localhost")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one JSON object per store")
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "answer every question with yes, also before commands that need root")
}

// checkDomainFlag refuses an empty --domain, as a script with an unset variable passes
// it: without a domain, the verbs change the CA of localhost.
func checkDomainFlag(cmd *cobra.Command) error {
	if flag := cmd.Flags().Lookup("domain"); flag.Changed && flag.Value.String() == "" {
		return usagef("devproxy "+cmd.Name()+" --domain shop.test", "--domain is empty")
	}
	return nil
}

func runTrust(ctx context.Context, s *streams, opts trustOptions) error {
	if err := checkStores(opts.stores); err != nil {
		return err // before a CA is made
	}
	t := &trustRun{streams: s, opts: opts}
	if opts.domain != "" {
		return t.trustDomain(ctx)
	}
	ca, err := trustCA(opts.check)
	if err != nil {
		return err
	}
	if opts.check {
		err := t.run(ctx, ca, trust.Store.Check)
		return cmp.Or(t.checkDomains(ctx), err)
	}
	s.line("This CA can sign localhost names and loopback addresses, nothing else.")
	err = t.run(ctx, ca, trust.Store.Install)
	t.printUnchanged(trust.Trusted, "Nothing was changed: this machine already trusts the CA.")
	if !opts.json {
		fmt.Fprintln(s.Out, typed("Undo: devproxy untrust"))
	}
	return err
}

// runUntrust works without a CA too: stores may still trust one that was lost.
func runUntrust(ctx context.Context, s *streams, opts trustOptions) error {
	if err := checkStores(opts.stores); err != nil {
		return err
	}
	t := &trustRun{streams: s, opts: opts}
	if opts.domain != "" {
		return t.untrustDomain(ctx)
	}
	ca, err := trustCA(true)
	if errors.Is(err, localca.ErrNoCA) {
		fmt.Fprintln(s.Err, "no CA found; removing what devproxy has put into the stores before")
		ca, err = nil, nil
	}
	if err != nil {
		return err
	}
	err = t.run(ctx, ca, trust.Store.Uninstall)
	t.printUnchanged(trust.Untrusted, "Nothing was changed: no store on this machine has the CA.")
	for _, domain := range trustedDomains() {
		fmt.Fprintln(s.Err, typed("The CA of "+domain+" was not removed: devproxy untrust --domain "+domain))
	}
	return err
}

// trustCA returns the CA. It makes a missing one, unless nothing may be changed, or
// sudo runs devproxy: the user could not use what root makes in their folder, and the
// CA of root's own folder is not the one that serves.
func trustCA(readOnly bool) (*localca.CA, error) {
	user := sudoUser()
	if !readOnly && user == "" {
		return openCA()
	}
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	ca, err := localca.Load(store.Home)
	if errors.Is(err, localca.ErrNoCA) {
		fix := "devproxy trust"
		if user != "" {
			fix = "devproxy trust, as " + user + " without sudo: it shows the command that needs root"
		}
		return nil, failf(fix, "%w", err)
	}
	return ca, err
}

// pickStores returns the stores of a machine with these names; all for none. If ca is nil
// they can only remove older roots of domain.
func pickStores(machine trust.Machine, ca *localca.CA, domain string, names []string) []trust.Store {
	root := trust.Root{Domain: domain}
	machine.SystemCommand = func(verb string) []string { return rootCommand(verb, "system", domain) }
	machine.JavaCommand = func(verb, home string) []string { return rootCommand(verb, "java", domain, "JAVA_HOME="+home) }
	if ca != nil {
		machine.Handshake = func(context.Context) (string, func(), error) { return listenWithLeaf(ca) }
		root.Cert, root.File = ca.Root(), ca.RootFile()
	}
	return slices.DeleteFunc(trust.Stores(machine, root), func(store trust.Store) bool {
		return len(names) > 0 && !slices.Contains(names, store.Name())
	})
}

// storeNames returns the names of all stores of this machine.
func storeNames() []string {
	return each(trust.Stores(trust.Here(programPath()), trust.Root{}), trust.Store.Name)
}

// checkStores refuses names that no store of this machine has.
func checkStores(wanted []string) error {
	names := storeNames()
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return usagef("stores: "+strings.Join(names, ", "), "unknown store %q", name)
		}
	}
	return nil
}

// browsersTrust reports whether the browsers of this machine accept the CA, as far as
// their stores say. On Linux browsers have their own stores; elsewhere they read the
// system's.
func browsersTrust(ctx context.Context, ca *localca.CA) bool {
	ctx, cancel := context.WithTimeout(ctx, browserTimeout)
	defer cancel()
	wanted := []string{"chromium", "firefox"}
	if runtime.GOOS != "linux" {
		wanted = []string{"system"}
	}
	trusted := false
	for _, store := range pickStores(trust.Here(programPath()), ca, "", wanted) {
		switch store.Check(ctx).State {
		case trust.Trusted:
			trusted = true
		case trust.Untrusted:
			return false
		}
	}
	return trusted
}

// listenWithLeaf serves one line over HTTPS on loopback with a leaf for localhost, or for
// the CA's domain.
// Clients of a store are tested with it.
func listenWithLeaf(ca *localca.CA) (addr string, stop func(), err error) {
	leaf, err := ca.Issue(cmp.Or(ca.Domain(), "localhost"))
	if err != nil {
		return "", nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("cannot listen on loopback for the test: %w", err)
	}
	srv := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // a failed handshake is a result
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{*leaf}, MinVersion: tls.VersionTLS12})) // ended by stop
	}()
	return ln.Addr().String(), func() { srv.Close(); <-done }, nil
}

// trustRun is one run over the stores.
type trustRun struct {
	*streams
	opts    trustOptions
	results []trust.Result
	// skipFor is the user whose browsers are skipped; empty skips none.
	skipFor string
}

// run does one thing to every store, even if it fails for one, and prints the results.
func (t *trustRun) run(ctx context.Context, ca *localca.CA, do func(trust.Store, context.Context) trust.Result) error {
	stores := pickStores(trust.Here(programPath()), ca, t.opts.domain, t.opts.stores)
	if !t.opts.check {
		t.noteSudo(stores)
	}
	for _, store := range stores {
		if t.skipFor != "" && isBrowser(store) {
			t.results = append(t.results, trust.Result{Store: store.Name(), State: trust.Skipped, Detail: "it is " + t.skipFor + "'s: leave out sudo"})
			continue
		}
		once := func() trust.Result {
			bounded, cancel := context.WithTimeout(ctx, storeTimeout)
			defer cancel()
			return do(store, bounded)
		}
		result := once()
		if result.State == trust.NeedsRoot {
			result = t.asRoot(ctx, result, once)
		}
		t.results = append(t.results, result)
	}
	t.print()
	return t.failed()
}

// asRoot shows the command that a store needs root for, asks, and runs it. Then the
// store is done again, which gives its state after that.
func (t *trustRun) asRoot(ctx context.Context, result trust.Result, again func() trust.Result) trust.Result {
	path := programPath()
	rootless := path.RootProgram() == ""
	missing := when(rootless, ", and none of "+strings.Join(programs.RootPrograms, ", ")+" is installed. Run as root")
	fmt.Fprintf(t.Err, "%s store needs root%s:\n  %s\n", capital(result.Store), missing, t.bold(result.Fix))
	if rootless || !t.mayRun(ctx) {
		return result
	}
	if err := runAsRoot(ctx, t.streams, path, result.AsRoot); err != nil {
		result.State, result.Detail = trust.Failed, "as root: "+err.Error()
		return result
	}
	next := again()
	if next.State == trust.NeedsRoot && next.Fix != result.Fix {
		return t.asRoot(ctx, next, again) // another root needs another command
	}
	next.Changed = true
	return next
}

// mayRun asks on a terminal; elsewhere only --yes is yes. Enter alone does not run a
// command as root.
func (t *trustRun) mayRun(ctx context.Context) bool {
	return t.opts.yes || t.InTTY && confirm(ctx, t.streams, "Run it? [y/N] ")
}

// failed is exit code 1 if a store failed or still needs root, or with --check does
// not trust the CA.
func (t *trustRun) failed() error {
	for _, r := range t.results {
		if r.State == trust.Failed || r.State == trust.NeedsRoot || t.opts.check && r.State == trust.Untrusted {
			return exit(exitFailed)
		}
	}
	return nil
}

// noteSudo says whose browsers are meant if sudo runs devproxy. Those of the user are
// skipped: files of root in the user's home would lock the browser out.
func (t *trustRun) noteSudo(stores []trust.Store) {
	user := sudoUser()
	if user == "" || !slices.ContainsFunc(stores, isBrowser) {
		return
	}
	if home, err := os.UserHomeDir(); err == nil && belongsToOther(home) {
		t.skipFor = user
		return
	}
	fmt.Fprintf(t.Err, "sudo: these are root's browsers; for those of %s run it without sudo\n", user)
}

// isBrowser reports whether a store is below a user's home.
func isBrowser(store trust.Store) bool {
	return store.Name() == "chromium" || store.Name() == "firefox"
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
	for _, r := range t.results {
		if t.opts.json {
			_ = t.json(r) // print errors are ignored
			continue
		}
		if r.State == trust.NeedsRoot && t.OutTTY && !t.opts.check {
			r.Detail, r.Fix = "not changed: see above", "" // where asRoot has shown it
		}
		t.printResult(r)
	}
	if len(t.opts.stores) == 0 && !t.opts.json && t.opts.domain == "" {
		command := "per shell: " + typed(`eval "$(devproxy env)"`)
		if columns := t.columns(); columns > 0 && len("  Node, Python    ")+len(command) > columns {
			command = "\n    " + command
		}
		fmt.Fprintf(t.Out, "  %-15s %s\n", "Node, Python", command)
	}
}

// printResult prints the state of a store.
func (t *trustRun) printResult(r trust.Result) {
	const indent = len("  Node, Python    needs root  ")
	t.result(fmt.Sprintf("  %-15s %s  ", title(r.Store), t.stateText(r.State)), indent, r.Detail, r.Fix)
}

func (t *trustRun) stateText(state trust.State) string {
	text := fmt.Sprintf("%-10s", state)
	switch state {
	case trust.Trusted:
		return t.green(text)
	case trust.Failed:
		return t.red(text)
	case trust.Untrusted, trust.NeedsRoot:
		return t.yellow(text)
	}
	return text
}

// printUnchanged prints text if at least one store is in the wanted state, and all
// existing ones were before.
func (t *trustRun) printUnchanged(wanted trust.State, text string) {
	found := false
	for _, r := range t.results {
		if r.Changed || r.State != wanted && r.State != trust.Skipped {
			return
		}
		found = found || r.State == wanted
	}
	if found {
		fmt.Fprintln(t.Err, text)
	}
}
