package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/localca/trust"
)

// trustRun is one run over the stores.
type trustRun struct {
	*streams
	opts    trustOptions
	results []trust.Result
	// skipFor is the user whose browsers are skipped; empty skips none.
	skipFor string
}

// each does one thing to every store, even if it fails for one.
func (t *trustRun) each(ctx context.Context, stores []trust.Store, do func(trust.Store, context.Context) trust.Result) {
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
}

// asRoot shows the command that a store needs root for, asks, and runs it. Then the
// store is done again, which gives its state after that.
func (t *trustRun) asRoot(ctx context.Context, result trust.Result, again func() trust.Result) trust.Result {
	needs := capital(result.Store) + " store needs root"
	if rootProgram() == "" {
		needs += ", and none of " + strings.Join(rootPrograms, ", ") + " is installed. Run as root"
	}
	fmt.Fprintf(t.Err, "%s:\n  %s\n", needs, t.bold(result.Fix))
	if rootProgram() == "" || !t.mayRun(ctx) {
		return result
	}
	if err := runAttached(ctx, t.streams, result.AsRoot, nil); err != nil {
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

// result is exit code 1 if a store failed or still needs root, or with --check does
// not trust the CA.
func (t *trustRun) result() error {
	for _, r := range t.results {
		if r.State == trust.Failed || r.State == trust.NeedsRoot || t.opts.check && r.State == trust.Untrusted {
			return exit(exitFailed)
		}
	}
	return nil
}

// sudoUser returns the user that runs devproxy through sudo or doas; empty if none
// does.
func sudoUser() string {
	if user := cmp.Or(os.Getenv("SUDO_USER"), os.Getenv("DOAS_USER")); os.Geteuid() == 0 && user != "root" {
		return user
	}
	return ""
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
			_ = t.json(r) // as every print
			continue
		}
		if r.State == trust.NeedsRoot && t.OutTTY && !t.opts.check {
			r.Detail, r.Fix = "not changed: see above", "" // where asRoot has shown it
		}
		t.printResult(r)
	}
	if len(t.opts.stores) == 0 && !t.opts.json {
		command := "per shell: " + typed(`eval "$(devproxy env)"`)
		if columns := t.columns(); columns > 0 && len("  Node, Python    ")+len(command) > columns {
			command = "\n    " + command
		}
		fmt.Fprintf(t.Out, "  %-15s %s\n", "Node, Python", command)
	}
}

// printResult prints the state of a store in columns, or with the rest below it if
// the terminal is too narrow.
func (t *trustRun) printResult(r trust.Result) {
	const wide, narrow = len("  Node, Python    needs root  "), len("    ")
	columns := t.columns()
	line := fmt.Sprintf("  %-15s %s", title(r.Store), t.stateText(r.State))
	indent := wide
	if columns > 0 && columns-wide < 2*minText {
		indent = narrow
		fmt.Fprintln(t.Out, line)
		t.indented(indent, r.Detail)
	} else {
		t.hang(t.Out, line+"  ", indent, r.Detail)
	}
	if r.Fix == "" {
		return
	}
	if columns > 0 && indent+shownWidth(r.Fix) > columns {
		indent = narrow
	}
	fmt.Fprintf(t.Out, "%*s%s\n", indent, "", t.bold(r.Fix))
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
