package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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

A store that needs root shows the command and asks; without a terminal it is only shown. Exits 1 when a store is left.

--check changes nothing, proves each store and exits 1 when one does not trust the CA.
--json prints one object a store: {"store","state","detail","fix","places"}.`,
		Example: `  devproxy trust
  devproxy trust --check
  devproxy trust --store chromium,firefox`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTrust(cmd.Context(), s, opts) },
	}
	addTrustFlags(cmd, &opts)
	cmd.Flags().BoolVar(&opts.check, "check", false, "prove each store, change nothing, exit 1 if one does not trust the CA")
	return cmd
}

func addTrustFlags(cmd *cobra.Command, opts *trustOptions) {
	cmd.Flags().StringSliceVar(&opts.stores, "store", nil, "only these stores: system, chromium, firefox, java (and windows, inside WSL)")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one JSON object a store")
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "run the commands that need root without asking")
}

func runTrust(ctx context.Context, s *streams, opts trustOptions) error {
	if err := checkStores(opts.stores); err != nil {
		return err // before a CA is made
	}
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
	for _, line := range s.hanging(0, 0, "This CA can sign localhost names and loopback addresses, nothing else.") {
		fmt.Fprintln(s.Err, line)
	}
	t.noteSudo(stores)
	t.each(ctx, stores, trust.Store.Install)
	t.print()
	t.sayUnchanged(trust.Trusted, "Nothing was changed: what is here trusts the CA already.")
	if !opts.json {
		fmt.Fprintln(s.Out, typed("Undo: devproxy untrust"))
	}
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

// pickStores are the stores to work on. Without a CA, which is nil, they can
// only take older roots out.
func pickStores(ca *localca.CA, opts trustOptions) ([]trust.Store, error) {
	if err := checkStores(opts.stores); err != nil {
		return nil, err
	}
	machine, root := trust.Here(), trust.Root{}
	machine.SystemCommand = func(verb string) []string { return rootArgv(verb, "system") }
	machine.JavaCommand = func(verb, home string) []string { return rootArgv(verb, "java", "JAVA_HOME="+home) }
	if ca != nil {
		machine.Handshake = func(context.Context) (string, func(), error) { return listenWithLeaf(ca) }
		root = trust.Root{Cert: ca.Root(), File: ca.RootFile()}
	}
	stores := trust.Stores(machine, root)
	if len(opts.stores) == 0 {
		return stores, nil
	}
	return slices.DeleteFunc(stores, func(store trust.Store) bool { return !slices.Contains(opts.stores, store.Name()) }), nil
}

// checkStores is a usage failure for names that no store here has.
func checkStores(wanted []string) error {
	var names []string
	for _, store := range trust.Stores(trust.Here(), trust.Root{}) {
		names = append(names, store.Name())
	}
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return usagef("stores: "+strings.Join(names, ", "), "unknown store %q", name)
		}
	}
	return nil
}

// becomers are the programs that run a command as root, in the order of
// preference. su takes it as one text.
var becomers = []string{"sudo", "doas", "run0", "su"}

// becomer is the one of them that is here; empty for none.
func becomer() string {
	for _, name := range becomers {
		if _, err := exec.LookPath(name); err == nil {
			return name
		}
	}
	return ""
}

// rootArgv does a verb to a store as root: this very program, with this user's
// CA and the variables of env, which sudo would drop. Where no program becomes
// root, it is the command for a shell of root's.
func rootArgv(verb, store string, env ...string) []string {
	program, err := os.Executable()
	if err != nil {
		program = "devproxy"
	}
	var argv []string
	if home, err := localca.Home(os.Getenv); err == nil { // else there would be no CA
		env = append([]string{localca.HomeVariable + "=" + home}, env...)
	}
	if len(env) > 0 {
		argv = append(append(argv, "env"), env...)
	}
	argv = append(argv, program, verb, "--store", store)
	switch name := becomer(); name {
	case "":
		return argv
	case "su":
		return []string{name, "-c", trust.ShellLine(argv)}
	default:
		return append([]string{name}, argv...)
	}
}

// trustRun is one run over the stores.
type trustRun struct {
	streams *streams
	opts    trustOptions
	results []trust.Result
	// alone is the user whose browsers are left alone; empty leaves nobody's.
	alone string
}

// each does one thing to every store. One that fails never stops the others.
func (t *trustRun) each(ctx context.Context, stores []trust.Store, do func(trust.Store, context.Context) trust.Result) {
	for _, store := range stores {
		if t.alone != "" && isBrowser(store) {
			t.results = append(t.results, trust.Result{Store: store.Name(), State: trust.Skipped, Detail: "it is " + t.alone + "'s: leave out sudo"})
			continue
		}
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
	needs := capital(result.Store) + " store needs root"
	if becomer() == "" {
		needs += ", and none of " + strings.Join(becomers, ", ") + " is installed. Run as root"
	}
	fmt.Fprintf(t.streams.Err, "%s:\n  %s\n", needs, t.streams.bold(result.Fix))
	if becomer() == "" || !t.confirm() {
		return result
	}
	if err := runAttached(ctx, t.streams, result.AsRoot, nil); err != nil {
		result.State, result.Detail = trust.Failed, "as root: "+err.Error()
		return result
	}
	next := again()
	if next.State == trust.NeedsRoot && next.Fix != result.Fix {
		return t.withRoot(ctx, next, again) // another root, with a command of its own
	}
	next.Changed = true
	return next
}

// confirm asks on a terminal; elsewhere the answer is that of --yes. Enter alone
// does not run a command as root.
func (t *trustRun) confirm() bool {
	if t.opts.yes || !t.streams.InTTY {
		return t.opts.yes
	}
	fmt.Fprint(t.streams.Err, "Run it? [y/N] ")
	answer, err := bufio.NewReader(t.streams.In).ReadString('\n')
	if err != nil {
		fmt.Fprintln(t.streams.Err) // the terminal shows no end of line at the end of the input
		return false
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// verdict is the exit code: 1 when a store failed or still needs root, or, looking
// only, when one does not trust the CA.
func (t *trustRun) verdict(check bool) error {
	for _, r := range t.results {
		if r.State == trust.Failed || r.State == trust.NeedsRoot || check && r.State == trust.Untrusted {
			return exit(exitFailed)
		}
	}
	return nil
}
