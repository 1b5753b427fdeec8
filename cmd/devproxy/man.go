package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

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
			err := os.MkdirAll(args[0], 0o755)
			if err == nil {
				err = writeManual(args[0], root)
			}
			if err != nil {
				return fmt.Errorf("cannot write the manual pages: %w", err)
			}
			return nil
		},
	}
}

// writeManual writes a page of section 1 for cmd and for every visible command below
// it: "devproxy-up.1".
func writeManual(dir string, cmd *cobra.Command) error {
	p := newManPage(cmd)
	if cmd.HasParent() {
		p.verb(cmd)
	} else {
		p.root(cmd)
	}
	if err := os.WriteFile(filepath.Join(dir, manName(cmd)+".1"), []byte(p.String()), 0o644); err != nil {
		return err
	}
	for _, child := range visible(cmd) {
		if err := writeManual(dir, child); err != nil {
			return err
		}
	}
	return nil
}

// visible returns the commands below cmd without help and the hidden ones.
func visible(cmd *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(cmd.Commands()), func(child *cobra.Command) bool { return !child.IsAvailableCommand() })
}

// manName returns a command's name in the manual: "devproxy-relay-login".
func manName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// root writes devproxy(1), with everything that the verbs have in common.
func (p *manPage) root(root *cobra.Command) {
	p.raw(`\fBdevproxy\fR \fICOMMAND\fR [\fIARGUMENT\fR...]`)
	p.heading("DESCRIPTION")
	p.text(manDescription)
	p.heading("COMMANDS")
	for _, cmd := range visible(root) {
		p.item(manReference(cmd), sentence(cmd.Short))
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
}

// verb writes the page of a verb, which says the same as its --help.
func (p *manPage) verb(cmd *cobra.Command) {
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
		p.text(cmd.Example)
	}
	p.heading("EXIT STATUS")
	p.text("See devproxy(1), which also has the files and the environment.")
	p.heading("SEE ALSO")
	references := manReference(cmd.Parent())
	for _, child := range visible(cmd) {
		references += ", " + manReference(child)
	}
	p.raw(references)
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
		{"~/.local/share/devproxy/domains/", "The CAs of `devproxy trust --domain`, a folder for each domain."},
		{"~/.local/share/devproxy/relay.db", "The names and keys of a relay that runs here, unless `devproxy relay --state` names another file."},
		{"~/.local/share/devproxy/relay-certificates/", "The certificates of a relay that runs here, with their private keys, and its account at the authority. It is next to the file of --state."},
		{"$XDG_RUNTIME_DIR/devproxy/", "The sockets and locks of running instances. If the variable is not set, they are in the user's folder below the folder of temporary files."},
	}},
	{"ENVIRONMENT", "", [][2]string{
		{"DEVPROXY_HOME", "The folder of the state, an absolute path."},
		{"DEVPROXY_RELAY", "The relay of `devproxy share` if neither --relay nor the Proxyfile names one."},
		{"DEVPROXY_RELAY_TOKEN", "The token of `devproxy relay` and `devproxy relay login`. Other users can see arguments, but not this."},
		{"NO_COLOR", "If it is not empty, output has no colours."},
		{"HTTPS_PROXY, ALL_PROXY, NO_PROXY", "The proxy for connections to a relay."},
		{"SSL_CERT_FILE", "The public roots to which `devproxy env` adds the CA."},
		{"JAVA_HOME", "The Java whose trust store `devproxy trust` changes."},
	}},
	{"EXIT STATUS", "", [][2]string{
		{"0", "Done."},
		{"1", "Failed, or a check found something."},
		{"2", "Wrong usage."},
		{"3", "The Proxyfile has errors."},
		{"4", "A port is in use or not allowed."},
	}},
}

// manPage is a page in the language of man(7), which man-db, mandoc and macOS read.
type manPage struct{ strings.Builder }

// newManPage starts a page, up to its synopsis. Its date is that of the commit, so that
// builds of a release are equal byte by byte.
func newManPage(cmd *cobra.Command) *manPage {
	date, build, name := "", thisBuild(), manName(cmd)
	if at, err := time.Parse(time.RFC3339, build.Time); err == nil {
		date = at.UTC().Format(time.DateOnly)
	}
	p := &manPage{}
	fmt.Fprintf(p, ".TH \"%s\" 1 \"%s\" \"devproxy %s\" \"devproxy manual\"\n", roff(strings.ToUpper(name)), date, roff(build.Version))
	// Left-aligned without hyphenation: paths and commands stay whole.
	p.raw(".nh\n.ad l")
	p.heading("NAME")
	p.raw(roff(name) + ` \- ` + roff(strings.TrimSuffix(cmd.Short, ".")))
	p.heading("SYNOPSIS")
	return p
}

func (p *manPage) heading(text string) { p.raw(".SH " + text) }

// raw writes a line of roff.
func (p *manPage) raw(line string) { p.WriteString(line + "\n") }

// text writes plain text as --help shows it. An empty line ends a paragraph, the lines
// of an indented one stay unchanged, and text in `backquotes` is bold.
func (p *manPage) text(text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		switch {
		case paragraph == "":
		case strings.HasPrefix(paragraph, " "):
			p.raw(".PP\n.nf")
			p.lines(paragraph)
			p.raw(".fi")
		default:
			p.raw(".PP")
			p.lines(paragraph)
		}
	}
}

// item writes a term, in roff, and its description below it.
func (p *manPage) item(term, text string) {
	p.raw(".TP\n" + term)
	p.lines(text)
}

func (p *manPage) lines(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		p.raw(prose(line))
	}
}

// option writes a flag with its value and its default, as --help does.
func (p *manPage) option(flag *pflag.Flag) {
	value, usage := pflag.UnquoteUsage(flag)
	term := when(flag.Shorthand != "", bold("-"+flag.Shorthand)+", ") + bold("--"+flag.Name) +
		when(value != "", ` \fI`+roff(value)+`\fR`)
	// By default flags are off, empty or zero.
	if unset := []string{"", "0", "0s", "false", "[]"}; !slices.Contains(unset, flag.DefValue) && !strings.Contains(usage, "default") {
		usage += " (default " + flag.DefValue + ")"
	}
	p.item(term, usage)
}

// prose returns a line of text as roff, with `code` in bold.
func prose(line string) string { return backquoted.ReplaceAllString(roff(line), `\fB$1\fR`) }

// backquoted matches text in backquotes, after escape.
var backquoted = regexp.MustCompile(`\\\(ga(.+?)\\\(ga`)

func bold(text string) string { return `\fB` + escape(text) + `\fR` }

// roff returns a line of text as roff. It keeps the line from being read as a request,
// which starts with a dot.
func roff(line string) string {
	if strings.HasPrefix(line, ".") {
		return `\&` + escape(line)
	}
	return escape(line)
}

// escape escapes what roff would interpret or typeset: "-" stays a hyphen-minus, and
// "'", "^", "~" and "`" stay ASCII, so that examples can be copied (groff_char(7)).
// Characters outside of ASCII become numbers, since roff's input encoding depends on
// the reader's locale.
func escape(text string) string {
	return notASCII.ReplaceAllStringFunc(escapes.Replace(text), func(char string) string {
		return fmt.Sprintf(`\[u%04X]`, []rune(char)[0])
	})
}

var (
	escapes  = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, `"`, `\(dq`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`)
	notASCII = regexp.MustCompile(`[^\x00-~]`)
)
