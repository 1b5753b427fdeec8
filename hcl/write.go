package hcl

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Write writes ds as people read them, in the order of ds: place and summary,
// the line quoted, the place underlined, and beside it what to write. Lines of
// sources that src lacks are not quoted. The error is w's.
//
// Control characters of the text, which could rewrite a terminal, are written
// as escapes. color adds colour by SGR sequences (ECMA-48 section 8.3.117).
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
	first, more, _ := strings.Cut(d.Detail, "\n")
	detail := printable(first)
	defer p.printMore(more)
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

// printMore prints the lines of a detail after its first: what to write where
// that takes several.
func (p printer) printMore(lines string) {
	if lines == "" {
		return
	}
	for line := range strings.SplitSeq(lines, "\n") {
		fmt.Fprintf(p.out, "%s\n", strings.TrimRight("  "+printable(line), " "))
	}
}

// maxQuoted is how many columns of a line are quoted; it leaves room for the
// gutter and the detail in terminals of today.
const maxQuoted = 100

// lead is how much of a long line stays before the underlined place.
const lead = 40

// maxLooked is how many bytes on either side of a place can matter to what is
// quoted: a character is some bytes, and may join several.
const maxLooked = 20 * maxQuoted

// quote is the line that r begins on, and below it as many "^" as it takes to
// mark r up to the end of that line.
func quote(text []byte, r Range) (line, underline string) {
	start := bytes.LastIndexByte(text[:r.Start.Byte], '\n') + 1
	end := len(text)
	if i := bytes.IndexByte(text[r.Start.Byte:], '\n'); i >= 0 {
		end = r.Start.Byte + i
	}
	end = start + len(bytes.TrimRight(text[start:end], "\r"))
	markStart := min(r.Start.Byte, end)
	markEnd := min(max(r.End.Byte, markStart), end)
	// Lines can be as long as the file; what is not shown is not looked at.
	near := max(start, markStart-maxLooked)
	before := cells(bytes.ToValidUTF8(text[near:markStart], nil))
	if near == start {
		before = cells(text[start:markStart])
	}
	marked := cells(text[markStart:min(markEnd, markStart+maxLooked)])
	after := cells(text[markEnd:min(end, markEnd+maxLooked)])

	cut := ""
	if width(before)+width(marked)+width(after) > maxQuoted {
		if width(before) > lead {
			before, cut = lastColumns(before, lead), "…"
		}
		marked = firstColumns(marked, maxQuoted-lead)
		if rest := maxQuoted - width(before) - width(marked); width(after) > rest {
			after = append(firstColumns(after, max(rest, 0)), cell{"…", 1})
		}
	}
	line = cut + join(before) + join(marked) + join(after)
	return line, strings.Repeat(" ", len([]rune(cut))) + blanks(before) + strings.Repeat("^", max(1, width(marked)))
}
