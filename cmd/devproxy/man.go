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

// newManCmd is the verb that packages are built with. It is hidden because a package
// installs the pages. After `go install`, the user can run it.
func newManCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "write the manual pages to a folder",
		Example: "  devproxy man ~/.local/share/man/man1",
		Hidden:  true,
		Args:    oneArg("folder", "devproxy man ~/.local/share/man/man1"),
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

// manPages returns a page of section 1 for root and for every visible command below
// it, by file name: "devproxy-up.1".
func manPages(root *cobra.Command, build buildInfo) map[string]string {
	pages := map[string]string{manName(root) + ".1": manRoot(root, build)}
	var add func(parent *cobra.Command)
	add = func(parent *cobra.Command) {
		for _, cmd := range parent.Commands() {
			if cmd.IsAvailableCommand() { // false for help and for hidden commands
				pages[manName(cmd)+".1"] = manVerb(cmd, build)
				add(cmd)
			}
		}
	}
	add(root)
	return pages
}

// manName returns a command's name in the manual: "devproxy-relay-login".
func manName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// manRoot returns devproxy(1), with everything that the verbs have in common.
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

// manVerb returns the page of a verb, which says the same as its --help.
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

// sentence makes a sentence of a command's short description.
func sentence(short string) string {
	return strings.ToUpper(short[:1]) + strings.TrimSuffix(short[1:], ".") + "."
}

// manReference refers to another page, as manuals do.
func manReference(cmd *cobra.Command) string {
	return bold(manName(cmd)) + "(1)"
}

// manDescription is the description in devproxy(1).
const manDescription = "`devproxy` serves the development servers of a project under one trusted HTTPS origin, such as " +
	`https://shop.localhost.
A file in the project, the Proxyfile, says which path goes to which server.
` + "`devproxy up`" + ` serves it, watches it, and applies every save without closing connections of routes that did not change.

    host "shop.localhost" {
      upstream = 5173

      route "/api" { upstream = 3000 }
    }

` + "`devproxy trust`" + ` makes the browsers and programs of this machine trust the certificates.
` + "`devproxy share`" + ` publishes the project under a link, through a relay.

It listens on loopback addresses only, and needs no root.`

// manSections are the further sections of devproxy(1). An item is a term and its
// description.
var manSections = []struct {
	heading, text string
	items         [][2]string
}{
	{"EXAMPLES", `Serve what listens on port 5173 as https://FOLDER.localhost, without a Proxyfile:

    devproxy up 5173

Write a Proxyfile from the configuration of the project's tools, and serve it:

    devproxy init
    devproxy up

Make the browsers of this machine trust it, once:

    devproxy trust

Publish it for two hours:

    devproxy share --for 2h

See which route answers a URL, without sending anything:

    devproxy explain https://shop.localhost/api/users`, nil},
	{"FILES", "", [][2]string{
		{"Proxyfile", "The project's file, in this folder or the nearest above it. It may be called `Proxyfile.hcl` too."},
		{"Proxyfile.local", "Settings of this machine, next to the Proxyfile, which are merged over it. Do not commit it."},
		{"~/.local/share/devproxy/", "The state of a user: the local CA, the keys of shares, consent, and the last relay. " +
			"It is below `$XDG_DATA_HOME` if that is set. " +
			"On macOS it is `~/Library/Application Support/devproxy/`, on Windows `%LocalAppData%\\devproxy\\`."},
		{"~/.local/share/devproxy/root.pem", "The certificate of the CA. Its key is next to it and signs localhost names and loopback addresses only."},
		{"~/.local/share/devproxy/relay.db", "The names and keys of a relay that runs here, unless `devproxy relay --state` names another file."},
		{"$XDG_RUNTIME_DIR/devproxy/", "The sockets and locks of running instances. If the variable is not set, they are in the user's folder below the folder of temporary files."},
	}},
	{"ENVIRONMENT", "", [][2]string{
		{"DEVPROXY_HOME", "The folder of the state, an absolute path."},
		{"DEVPROXY_RELAY", "The relay of `devproxy share` if neither --relay nor the Proxyfile names one."},
		{"DEVPROXY_RELAY_TOKEN", "The token of `devproxy relay` and `devproxy relay login`. Other users can see arguments, but not this."},
		{"NO_COLOR", "If it is not empty, there are no colours."},
		{"HTTPS_PROXY, ALL_PROXY, NO_PROXY", "The proxy for connections to a relay."},
		{"SSL_CERT_FILE", "The public roots to which `devproxy env` adds the CA."},
		{"JAVA_HOME", "The Java whose trust store `devproxy trust` changes."},
	}},
	{"EXIT STATUS", "", [][2]string{
		{"0", "Done."},
		{"1", "Failed, or a check found something."},
		{"2", "Wrong usage."},
		{"3", "The Proxyfile has errors."},
		{"4", "A port is taken or may not be bound."},
	}},
}
