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
		fmt.Fprintf(t.streams.Out, "  %-15s %s  %s\n", title(r.Store), t.state(r.State), r.Detail)
		if r.Fix != "" {
			fmt.Fprintf(t.streams.Out, "  %-15s %-10s  %s\n", "", "", t.streams.bold(r.Fix))
		}
	}
	if len(t.opts.stores) == 0 {
		fmt.Fprintf(t.streams.Out, "  %-15s per shell: eval \"$(devproxy env)\"\n", "Node, Python")
	}
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
