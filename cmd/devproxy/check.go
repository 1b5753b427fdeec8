package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

func newCheckCmd(s *streams) *cobra.Command {
	var asJSON bool
	var file fileFlags
	cmd := &cobra.Command{
		Use:        "check [FILE]",
		Short:      "report every mistake in the Proxyfile",
		SuggestFor: []string{"validate", "lint", "test"},
		Long: `Reports every mistake in the Proxyfile, each with its line and what to write instead.
Exits 3 if there are mistakes; warnings alone exit 0.`,
		Example: "  devproxy check\n  devproxy check staging.hcl --json",
		Args:    atMostOneArg("file", "devproxy check FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && file.File != "" {
				return usagef("devproxy check "+args[0], "check takes a file as an argument or with -f, not both")
			}
			if len(args) == 1 {
				file.File = args[0]
			}
			return runCheck(s, file, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per diagnostic, and one at the end")
	addFileFlags(cmd, &file)
	return cmd
}

func runCheck(s *streams, file fileFlags, asJSON bool) error {
	loaded, known, err := loadProject(file)
	if err != nil {
		return err
	}
	var effects []*plan.Effect
	if !loaded.Diagnostics.HasErrors() {
		effects = loaded.Plan.Effects()
	}
	allowed := known.allowed(effects)
	if asJSON {
		err = printCheckJSON(s, loaded, effectsJSON(effects, allowed))
	} else {
		err = printCheck(s, loaded, effects, allowed)
	}
	if err == nil && loaded.Diagnostics.HasErrors() {
		err = exit(exitProxyfile)
	}
	return err
}

// printCheck writes the diagnostics to Err, and the effects and the result to Out.
func printCheck(s *streams, loaded devproxy.Loaded, effects []*plan.Effect, allowed func(*plan.Effect) bool) error {
	if err := loaded.Diagnostics.Write(s.Err, loaded.File.Sources, s.Color); err != nil {
		return fmt.Errorf("cannot write the diagnostics: %w", err)
	}
	n := newTally(loaded)
	warnings := when(n.Warnings > 0, ", "+count(n.Warnings, "warning"))
	if n.Errors > 0 {
		fmt.Fprintln(s.Err, count(n.Errors, "error")+warnings)
		return nil
	}
	if len(effects) > 0 {
		s.listEffects(s.Out, effects, func(e *plan.Effect) string {
			if allowed(e) {
				return "(allowed)"
			}
			return "(needs " + allowCommand + ")"
		})
	}
	fmt.Fprintf(s.Out, "%s is valid: %s, %s%s\n", n.File, count(n.Hosts, "host"), count(n.Routes, "route"), warnings)
	return nil
}

// effectsEvent: the file does something outside its project.
type effectsEvent struct {
	Event   string       `json:"event"`
	Effects []effectJSON `json:"effects"`
}

// tally is the last object of `check --json`.
type tally struct {
	Event    string `json:"event"`
	File     string `json:"file"`
	Valid    bool   `json:"valid"`
	Errors   int    `json:"errors"`
	Warnings int    `json:"warnings"`
	Hosts    int    `json:"hosts"`
	Routes   int    `json:"routes"`
}

func printCheckJSON(s *streams, loaded devproxy.Loaded, effects []effectJSON) error {
	for _, d := range loaded.Diagnostics {
		if err := s.json(d); err != nil {
			return fmt.Errorf("cannot write the diagnostics: %w", err)
		}
	}
	if len(effects) > 0 {
		if err := s.json(effectsEvent{"effects", effects}); err != nil {
			return fmt.Errorf("cannot write the effects: %w", err)
		}
	}
	return s.json(newTally(loaded))
}

func newTally(loaded devproxy.Loaded) tally {
	n := tally{Event: "checked", File: shownName(loaded.File), Hosts: len(loaded.File.Hosts)}
	n.Errors = countErrors(loaded.Diagnostics)
	n.Warnings, n.Valid = len(loaded.Diagnostics)-n.Errors, n.Errors == 0
	for _, h := range loaded.File.Hosts {
		n.Routes += len(h.Routes)
		// A host's own answer is its route "/".
		if h.Upstream != nil || h.Files != nil || h.Redirect != nil || h.Respond != nil {
			n.Routes++
		}
	}
	return n
}

func countErrors(diags hcl.Diagnostics) int {
	n := 0
	for _, d := range diags {
		if d.Severity == hcl.Error {
			n++
		}
	}
	return n
}

// shownName returns the name of the Proxyfile as diagnostics have it.
func shownName(file *hcl.File) string {
	for name := range file.Sources {
		if !strings.HasSuffix(name, hcl.LocalName) || strings.HasSuffix(file.Path, hcl.LocalName) {
			return name
		}
	}
	return file.Path
}
