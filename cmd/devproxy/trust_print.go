package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/devproxy/devproxy/localca/trust"
)

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
		if r.State == trust.NeedsRoot && t.streams.OutTTY && !t.opts.check {
			r.Detail, r.Fix = "not changed: see above", "" // where withRoot has shown it
		}
		t.printResult(r)
	}
	if len(t.opts.stores) == 0 {
		command := "per shell: " + typed(`eval "$(devproxy env)"`)
		if columns, _ := t.streams.size(); columns > 0 && len("  Node, Python    ")+len(command) > columns {
			command = "\n    " + command
		}
		fmt.Fprintf(t.streams.Out, "  %-15s %s\n", "Node, Python", command)
	}
}

// printResult prints what became of a store: in columns, or below its name where a
// terminal has no room.
func (t *trustRun) printResult(r trust.Result) {
	const wide, narrow = len("  Node, Python    needs root  "), len("    ")
	columns, _ := t.streams.size()
	fmt.Fprintf(t.streams.Out, "  %-15s %s", title(r.Store), t.state(r.State))
	indent := wide
	if columns > 0 && columns-wide < 2*minText {
		indent = narrow
		fmt.Fprintln(t.streams.Out)
	} else {
		fmt.Fprint(t.streams.Out, "  ")
	}
	for i, line := range wrapped(r.Detail, columns-indent) {
		if i > 0 || indent == narrow {
			line = strings.Repeat(" ", indent) + line
		}
		fmt.Fprintln(t.streams.Out, line)
	}
	if r.Fix == "" {
		return
	}
	if columns > 0 && indent+shownWidth(r.Fix) > columns {
		indent = narrow
	}
	fmt.Fprintf(t.streams.Out, "%*s%s\n", indent, "", t.streams.bold(r.Fix))
}

// sayUnchanged says text when some store is in the wanted state, and all that
// are here were so before.
func (t *trustRun) sayUnchanged(wanted trust.State, text string) {
	here := 0
	for _, r := range t.results {
		switch {
		case r.Changed || r.State != wanted && r.State != trust.Skipped:
			return
		case r.State == wanted:
			here++
		}
	}
	if here > 0 {
		fmt.Fprintln(t.streams.Err, text)
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
