package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// manPage is a page in the language of man(7), which man-db, mandoc and macOS read.
type manPage struct{ strings.Builder }

// newManPage begins a page of section 1. Its date is the commit's, so that a
// release can be built again byte by byte.
func newManPage(name, short string, build buildInfo) *manPage {
	date := ""
	if at, err := time.Parse(time.RFC3339, build.Time); err == nil {
		date = at.UTC().Format(time.DateOnly)
	}
	p := &manPage{}
	fmt.Fprintf(p, ".TH \"%s\" 1 \"%s\" \"devproxy %s\" \"devproxy manual\"\n", roff(strings.ToUpper(name)), date, roff(build.Version))
	// Left-aligned without hyphenation: paths and commands stay whole.
	p.WriteString(".nh\n.ad l\n")
	p.heading("NAME")
	p.raw(roff(name) + ` \- ` + roff(strings.TrimSuffix(short, ".")))
	return p
}

func (p *manPage) heading(text string) { fmt.Fprintf(p, ".SH %s\n", text) }

// raw writes a line that is in roff's language already.
func (p *manPage) raw(line string) { p.WriteString(line + "\n") }

// text writes plain text as --help shows it. An empty line ends a paragraph,
// indented lines are kept as they are, and what is in `backquotes` is bold.
func (p *manPage) text(text string) {
	indented := func(paragraph string) bool {
		return strings.HasPrefix(paragraph, "\t") || strings.HasPrefix(paragraph, "  ")
	}
	paragraphs := strings.Split(strings.Trim(text, "\n"), "\n\n")
	for i := 0; i < len(paragraphs); i++ {
		paragraph := paragraphs[i]
		if indented(paragraph) {
			for ; i+1 < len(paragraphs) && indented(paragraphs[i+1]); i++ {
				paragraph += "\n\n" + paragraphs[i+1]
			}
			p.literal(paragraph)
		} else if paragraph != "" {
			p.WriteString(".PP\n")
			for line := range strings.Lines(paragraph) {
				p.raw(prose(strings.TrimSpace(line)))
			}
		}
	}
}

// literal writes lines as they are, such as examples, less the indentation of
// the first.
func (p *manPage) literal(text string) {
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	p.WriteString(".PP\n.RS 4\n.nf\n")
	for line := range strings.Lines(text) {
		p.raw(roff(strings.TrimRight(strings.TrimPrefix(line, indent), "\n")))
	}
	p.WriteString(".fi\n.RE\n")
}

// item writes a term, in roff's language, and below it the text about it.
func (p *manPage) item(term, text string) {
	fmt.Fprintf(p, ".TP\n%s\n", term)
	for line := range strings.Lines(text) {
		p.raw(prose(strings.TrimSpace(line)))
	}
}

// option writes a flag with its value and its default, as --help does.
func (p *manPage) option(flag *pflag.Flag) {
	value, usage := pflag.UnquoteUsage(flag)
	term := bold("--" + flag.Name)
	if flag.Shorthand != "" {
		term = bold("-"+flag.Shorthand) + ", " + term
	}
	if value != "" {
		term += ` \fI` + roff(value) + `\fR`
	}
	// Flags are off, empty or zero by default, unless they say otherwise.
	if unset := []string{"", "0", "0s", "false", "[]"}; !slices.Contains(unset, flag.DefValue) && !strings.Contains(usage, "default") {
		usage += " (default " + flag.DefValue + ")"
	}
	p.item(term, usage)
}

var backquoted = regexp.MustCompile("`[^`]+`")

// prose is a line of text in roff's language, with `code` in bold.
func prose(line string) string {
	text, last := "", 0
	for _, at := range backquoted.FindAllStringIndex(line, -1) {
		text += escape(line[last:at[0]]) + bold(line[at[0]+1:at[1]-1])
		last = at[1]
	}
	return guard(text + escape(line[last:]))
}

func bold(text string) string { return `\fB` + escape(text) + `\fR` }

// roff is a line of text in roff's language.
func roff(line string) string { return guard(escape(line)) }

// escape keeps what roff would read as an escape or typeset: "-" stays the one
// of commands, and "'", "^", "~" and "`" stay ASCII, so that examples can be
// copied (groff_char(7)). Other characters than ASCII have numbers, since roff's
// input encoding depends on the reader's locale.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '"':
			b.WriteString(`\(dq`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// guard keeps a line from being read as a request, which begins with a dot.
func guard(line string) string {
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}
