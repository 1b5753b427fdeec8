package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// checker is the check verb.
type checker struct {
	*streams
	json bool
	file fileFlags
}

func newCheckCmd(s *streams) *cobra.Command {
	c := &checker{streams: s}
	cmd := &cobra.Command{
		Use:        "check [FILE]",
		Short:      "report every mistake in the Proxyfile",
		SuggestFor: []string{"validate", "lint", "test"},
		Long: `Reports every mistake in the Proxyfile, each with the line and what to write
instead. Exits 3 when there is one; warnings alone exit 0.`,
		Example: "  devproxy check\n  devproxy check staging.hcl --json",
		Args:    atMostOneArg("file", "devproxy check FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && c.file.File != "" {
				return usagef("devproxy check "+args[0], "check takes a file as an argument or with -f, not both")
			}
			if len(args) == 1 {
				c.file.File = args[0]
			}
			return c.run()
		},
	}
	cmd.Flags().BoolVar(&c.json, "json", false, "print one JSON object a diagnostic, and one at the end")
	addFileFlags(cmd, &c.file)
	return cmd
}

func (c *checker) run() error {
	loaded, known, err := loadProject(c.file)
	if err != nil {
		return err
	}
	file, diags, effects := loaded.File, loaded.Diagnostics, loaded.Plan.Effects()
	if diags.HasErrors() {
		effects = nil
	}
	allowed := known.allowed(effects)
	if c.json {
		err = c.printJSON(file, diags, effects, allowed)
	} else {
		err = c.print(file, diags, effects, allowed)
	}
	if err == nil && diags.HasErrors() {
		err = exit(exitProxyfile)
	}
	return err
}

// print writes the diagnostics to Err, and what needs consent and the result to
// Out.
func (c *checker) print(file *hcl.File, diags hcl.Diagnostics, effects []*plan.Effect, allowed func(*plan.Effect) bool) error {
	if err := diags.Write(c.Err, file.Sources, c.Color); err != nil {
		return fmt.Errorf("cannot write the diagnostics: %w", err)
	}
	n := newTally(file, diags)
	if n.Errors > 0 {
		fmt.Fprintln(c.Err, mistakes(n))
		return nil
	}
	if len(effects) > 0 {
		fmt.Fprintln(c.Out, effectsTitle)
		listEffects(c.Out, effects, func(e *plan.Effect) string {
			if allowed(e) {
				return " (allowed)"
			}
			return " (needs " + allowCommand + ")"
		})
	}
	text := fmt.Sprintf("%s is valid: %s, %s", n.File, count(n.Hosts, "host"), count(n.Routes, "route"))
	if n.Warnings > 0 {
		text += ", " + count(n.Warnings, "warning")
	}
	fmt.Fprintln(c.Out, text)
	return nil
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

func newTally(file *hcl.File, diags hcl.Diagnostics) tally {
	n := tally{Event: "checked", File: shownName(file), Hosts: len(file.Hosts)}
	for _, d := range diags {
		if d.Severity == hcl.Error {
			n.Errors++
		} else {
			n.Warnings++
		}
	}
	for _, h := range file.Hosts {
		n.Routes += len(h.Routes)
		// A host's own answer is its route "/".
		if h.Upstream != nil || h.Files != nil || h.Redirect != nil || h.Respond != nil {
			n.Routes++
		}
	}
	n.Valid = n.Errors == 0
	return n
}

// shownName is the name of the Proxyfile as its ranges have it.
func shownName(file *hcl.File) string {
	for name := range file.Sources {
		if !strings.HasSuffix(name, hcl.LocalName) || strings.HasSuffix(file.Path, hcl.LocalName) {
			return name
		}
	}
	return file.Path
}

// mistakes is the line below diagnostics with an error: "2 errors, 1 warning".
func mistakes(n tally) string {
	text := count(n.Errors, "error")
	if n.Warnings > 0 {
		text += ", " + count(n.Warnings, "warning")
	}
	return text
}

func (c *checker) printJSON(file *hcl.File, diags hcl.Diagnostics, effects []*plan.Effect, allowed func(*plan.Effect) bool) error {
	out := json.NewEncoder(c.Out)
	out.SetEscapeHTML(false)
	for _, d := range diags {
		if err := out.Encode(d); err != nil {
			return fmt.Errorf("cannot write the diagnostics: %w", err)
		}
	}
	if len(effects) > 0 {
		event := struct {
			Event   string       `json:"event"`
			Effects []effectJSON `json:"effects"`
		}{"effects", effectsJSON(effects, allowed)}
		if err := out.Encode(event); err != nil {
			return fmt.Errorf("cannot write the effects: %w", err)
		}
	}
	return out.Encode(newTally(file, diags))
}
