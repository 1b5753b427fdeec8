package hcl

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// Pos is a position in a file. Line and Column count from 1, Column in user
// characters (grapheme clusters). Byte counts from 0.
type Pos struct {
	Line, Column, Byte int
}

// Range is a part of a file; End is exclusive. The zero value means nowhere
// in a file.
type Range struct {
	// File is the file name that people see: relative to the working directory
	// if that is shorter. It is the key of Sources.
	File       string
	Start, End Pos
}

// line returns the place for use in a sentence: "Proxyfile:3".
func (r Range) line() string { return fmt.Sprintf("%s:%d", r.File, r.Start.Line) }

// Sources are the contents of files by the name used in ranges.
type Sources map[string][]byte

// Severity of a diagnostic.
type Severity string

// The severities. A file with an error is not served; one with a warning is.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is a mistake in a Proxyfile: what, where, and what to write.
type Diagnostic struct {
	Severity Severity
	// Summary describes the mistake, in one lower-case line without a full
	// stop.
	Summary string
	// Detail says what to write. It is printed next to the underline and may be
	// empty. Lines after the first are lines of a Proxyfile.
	Detail string
	// Range is the place to underline.
	Range Range
}

// MarshalJSON writes d in the form that all verbs print. Line and column are 0
// if the mistake has no place in the text.
func (d Diagnostic) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // people read it too: "a -> b"
	err := encoder.Encode(struct {
		Severity Severity `json:"severity"`
		Summary  string   `json:"summary"`
		Detail   string   `json:"detail"`
		File     string   `json:"file"`
		Line     int      `json:"line"`
		Column   int      `json:"column"`
	}{d.Severity, d.Summary, d.Detail, d.Range.File, d.Range.Start.Line, d.Range.Start.Column})
	return out.Bytes(), err
}

// Diagnostics are all mistakes found in a file. They are values and not an
// error, because every mistake is reported in one pass.
type Diagnostics []Diagnostic

// HasErrors reports whether one of ds is an error.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// Sort sorts ds by file and place. Diagnostics of the same place keep their
// order.
func (ds Diagnostics) Sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Range.File, b.Range.File), cmp.Compare(a.Range.Start.Byte, b.Range.Start.Byte))
	})
}

// Write writes ds for people, in order: place and summary, the line, and below
// it the underline with what to write. Lines of files that src lacks are left
// out. The error is w's.
//
// Control characters of the text could change what a terminal shows, so they
// are escaped. color adds colors by SGR sequences (ECMA-48 section 8.3.117).
func (ds Diagnostics) Write(w io.Writer, src Sources, color bool) error {
	var out bytes.Buffer
	p := printer{out: &out, color: color}
	for _, d := range ds {
		p.print(d, src)
	}
	_, err := w.Write(out.Bytes())
	return err
}

type printer struct {
	out   *bytes.Buffer
	color bool
}

const (
	sgrBold   = "1"
	sgrDim    = "2"
	sgrRed    = "1;31"
	sgrYellow = "1;33"
)

func (p printer) style(sgr, text string) string {
	if !p.color || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (p printer) print(d Diagnostic, src Sources) {
	tint := sgrRed
	if d.Severity == Warning {
		tint = sgrYellow
	}
	if d.Range.File != "" {
		at := printable(d.Range.File)
		if d.Range.Start.Line > 0 {
			at += fmt.Sprintf(":%d:%d", d.Range.Start.Line, d.Range.Start.Column)
		}
		fmt.Fprintf(p.out, "%s: ", p.style(sgrBold, at))
	}
	fmt.Fprintf(p.out, "%s: %s\n", p.style(tint, string(d.Severity)), printable(d.Summary))
	lines := strings.Split(d.Detail, "\n")
	detail := printable(lines[0])
	defer p.printMore(lines[1:])
	text, known := src[d.Range.File]
	if !known || d.Range.Start.Line == 0 || d.Range.Start.Byte > len(text) {
		if detail != "" {
			fmt.Fprintf(p.out, "  %s\n", detail)
		}
		return
	}
	line, underline := quote(text, d.Range)
	number := strconv.Itoa(d.Range.Start.Line)
	gutter := strings.Repeat(" ", len(number))
	fmt.Fprintf(p.out, "  %s %s\n", p.style(sgrDim, number+" |"), line)
	blank := strings.TrimRight(underline, "^")
	marks := p.style(tint, underline[len(blank):])
	fmt.Fprintf(p.out, "  %s %s%s\n", p.style(sgrDim, gutter+" |"), blank, strings.TrimRight(marks+" "+detail, " "))
}

// printMore prints the lines of a detail after the first.
func (p printer) printMore(lines []string) {
	for _, line := range lines {
		fmt.Fprintf(p.out, "%s\n", strings.TrimRight("  "+printable(line), " "))
	}
}

const (
	// maxQuoted is how many columns of a line are quoted. It leaves space for the
	// gutter and the detail in today's terminals.
	maxQuoted = 100
	// maxBefore is how many columns of a long line stay before the underlined place.
	maxBefore = 40
	// maxLooked is how many bytes on either side of a place can matter to what is
	// quoted: a character can have several bytes and consist of several runes.
	maxLooked = 20 * maxQuoted
)

// quote returns the line that r begins on, and below it the "^" that mark r up to
// the end of that line.
func quote(text []byte, r Range) (line, underline string) {
	start := bytes.LastIndexByte(text[:r.Start.Byte], '\n') + 1
	rest, _, _ := bytes.Cut(text[r.Start.Byte:], []byte("\n"))
	end := start + len(bytes.TrimRight(text[start:r.Start.Byte+len(rest)], "\r"))
	markStart := min(r.Start.Byte, end)
	markEnd := min(max(r.End.Byte, markStart), end)
	// A line can be as long as the file. The part that is not shown is not
	// read.
	near := text[max(start, markStart-maxLooked):markStart]
	if markStart-maxLooked > start {
		near = bytes.ToValidUTF8(near, nil)
	}
	before := escape(near)
	marked := escape(text[markStart:min(markEnd, markStart+maxLooked)])
	after := escape(text[markEnd:min(end, markEnd+maxLooked)])

	cut := ""
	if displaywidth.String(before)+displaywidth.String(marked)+displaywidth.String(after) > maxQuoted {
		if displaywidth.String(before) > maxBefore {
			before, cut = lastColumns(before, maxBefore), "…"
		}
		marked = displaywidth.TruncateString(marked, maxQuoted-maxBefore, "")
		left := maxQuoted - displaywidth.String(before) - displaywidth.String(marked)
		after = displaywidth.TruncateString(after, max(left, 0)+1, "…")
	}
	marks := strings.Repeat("^", max(1, displaywidth.String(marked)))
	return cut + before + marked + after, blanks(cut+before) + marks
}

// lastColumns returns the end of text that fits into n columns.
func lastColumns(text string, n int) string {
	excess := displaywidth.String(text) - n
	characters := displaywidth.StringGraphemes(text)
	for excess > 0 && characters.Next() {
		excess -= characters.Width()
		text = text[len(characters.Value()):]
	}
	return text
}

// blanks returns white space of the same width as text in every terminal. A tab
// stays a tab, because its width depends on its column.
func blanks(text string) string {
	var out strings.Builder
	for characters := displaywidth.StringGraphemes(text); characters.Next(); {
		if characters.Value() == "\t" {
			out.WriteByte('\t')
		} else {
			out.WriteString(strings.Repeat(" ", characters.Width()))
		}
	}
	return out.String()
}

// printable returns text as one line that is safe to print.
func printable(text string) string {
	return strings.ReplaceAll(escape([]byte(text)), "\t", " ")
}

// escape replaces characters that would move the cursor, or hide or reorder
// text.
func escape(text []byte) string {
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case r != '\t' && unicode.IsControl(r):
			fmt.Fprintf(&out, `\x%02x`, r)
		case isHidden(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.Write(text[:size])
		}
		text = text[size:]
	}
	return out.String()
}

// isHidden reports invisible characters that change the visible text: those
// that reorder text, so that one line reads like another (CVE-2021-42574), line
// separators, and the byte order mark.
func isHidden(r rune) bool {
	return unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029 || r == 0xFEFF
}
