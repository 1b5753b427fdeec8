package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newManCmd is the verb that packages are built with. It is hidden because a
// package installs the pages; with `go install` it is the way to have them.
func newManCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "write the manual pages to a folder",
		Example: "  devproxy man ~/.local/share/man/man1",
		Hidden:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("devproxy man ~/.local/share/man/man1", "man takes one folder")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("cannot write the manual pages: %w", err)
			}
			for name, page := range manPages(root, thisBuild()) {
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(page), 0o644); err != nil {
					return fmt.Errorf("cannot write the manual pages: %w", err)
				}
			}
			return nil
		},
	}
}

// manPages returns a page of section 1 for root and for every command below it
// that is not hidden, by file name: "devproxy-up.1".
func manPages(root *cobra.Command, build buildInfo) map[string]string {
	pages := map[string]string{manName(root) + ".1": manRoot(root, build)}
	var add func(parent *cobra.Command)
	add = func(parent *cobra.Command) {
		for _, cmd := range parent.Commands() {
			if cmd.IsAvailableCommand() { // false for help and for what is hidden
				pages[manName(cmd)+".1"] = manVerb(cmd, build)
				add(cmd)
			}
		}
	}
	add(root)
	return pages
}

// manName is a command's name in the manual: "devproxy-relay-login".
func manName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// manRoot is devproxy(1), which has what all verbs share.
func manRoot(root *cobra.Command, build buildInfo) string {
	p := newManPage(manName(root), root.Short, build)
	p.heading("SYNOPSIS")
	p.raw(`\fBdevproxy\fR \fICOMMAND\fR [\fIARGUMENT\fR...]`)
	p.heading("DESCRIPTION")
	p.text(manDescription)
	p.heading("COMMANDS")
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			p.item(manReference(cmd), sentence(cmd.Short))
		}
	}
	for _, section := range manSections {
		p.heading(section.heading)
		p.text(section.text)
		for _, item := range section.items {
			p.item(bold(item[0]), item[1])
		}
	}
	p.heading("SEE ALSO")
	p.text("The language of the Proxyfile, and everything else: https://github.com/devproxy/devproxy")
	return p.String()
}

// manVerb is the page of one verb: what its --help says.
func manVerb(cmd *cobra.Command, build buildInfo) string {
	p := newManPage(manName(cmd), cmd.Short, build)
	p.heading("SYNOPSIS")
	p.raw(bold(cmd.CommandPath()) + roff(strings.TrimPrefix(cmd.UseLine(), cmd.CommandPath())))
	p.heading("DESCRIPTION")
	p.text(cmp.Or(cmd.Long, sentence(cmd.Short)))
	cmd.InitDefaultHelpFlag()
	p.heading("OPTIONS")
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden && flag.Deprecated == "" {
			p.option(flag)
		}
	})
	if cmd.Example != "" {
		p.heading("EXAMPLES")
		p.literal(cmd.Example)
	}
	p.heading("EXIT STATUS")
	p.text("See devproxy(1), which also has the files and the environment.")
	p.heading("SEE ALSO")
	references := []string{manReference(cmd.Parent())}
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() {
			references = append(references, manReference(child))
		}
	}
	p.raw(strings.Join(references, ", "))
	return p.String()
}

// sentence makes one of a command's short description.
func sentence(short string) string {
	return strings.ToUpper(short[:1]) + strings.TrimSuffix(short[1:], ".") + "."
}

// manReference names another page, as manuals do.
func manReference(cmd *cobra.Command) string {
	return bold(manName(cmd)) + "(1)"
}
