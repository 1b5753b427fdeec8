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

// newManPage starts a page of section 1. Its date is that of the commit, so that builds
// of a release are equal byte by byte.
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

// raw writes a line of roff.
func (p *manPage) raw(line string) { p.WriteString(line + "\n") }

// text writes plain text as --help shows it. An empty line ends a paragraph, indented
// lines stay as they are, and text in `backquotes` is bold.
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

// literal writes lines as they are, such as examples, without the indentation of the
// first.
func (p *manPage) literal(text string) {
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	p.WriteString(".PP\n.RS 4\n.nf\n")
	for line := range strings.Lines(text) {
		p.raw(roff(strings.TrimRight(strings.TrimPrefix(line, indent), "\n")))
	}
	p.WriteString(".fi\n.RE\n")
}

// item writes a term, in roff, and its description below it.
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
	// By default flags are off, empty or zero.
	if unset := []string{"", "0", "0s", "false", "[]"}; !slices.Contains(unset, flag.DefValue) && !strings.Contains(usage, "default") {
		usage += " (default " + flag.DefValue + ")"
	}
	p.item(term, usage)
}

var backquoted = regexp.MustCompile("`[^`]+`")

// prose returns a line of text as roff, with `code` in bold.
func prose(line string) string {
	text, last := "", 0
	for _, at := range backquoted.FindAllStringIndex(line, -1) {
		text += escape(line[last:at[0]]) + bold(line[at[0]+1:at[1]-1])
		last = at[1]
	}
	return guard(text + escape(line[last:]))
}

func bold(text string) string { return `\fB` + escape(text) + `\fR` }

// roff returns a line of text as roff.
func roff(line string) string { return guard(escape(line)) }

// escape escapes what roff would interpret or typeset: "-" stays a hyphen-minus, and
// "'", "^", "~" and "`" stay ASCII, so that examples can be copied (groff_char(7)).
// Characters outside of ASCII become numbers, since roff's input encoding depends on
// the reader's locale.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		name, escaped := escapes[r]
		switch {
		case escaped:
			b.WriteString(name)
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

var escapes = map[rune]string{
	'\\': `\e`, '-': `\-`, '\'': `\(aq`, '"': `\(dq`, '^': `\(ha`, '~': `\(ti`, '`': `\(ga`,
}

// guard keeps a line from being read as a request, which starts with a dot.
func guard(line string) string {
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}
