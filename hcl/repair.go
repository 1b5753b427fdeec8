package hcl

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// repairer turns the parser's first error into a diagnostic that helps, and
// overwrites its cause in work so that the parser gets past it.
//
// Overwriting keeps the length and the lines: places found later hold for the
// text as it was read.
type repairer struct {
	text  *text
	chunk chunk
	work  []byte // the chunk as the parser sees it
	diags Diagnostics

	closed bool // a missing brace was reported
}

// filler is a name that nothing has, at the length of what it stands for.
const filler = '_'

func (r *repairer) repair(problem *hcl.Diagnostic) {
	at := min(max(problem.Subject.Start.Byte-r.chunk.start, 0), len(r.work))
	if problem.Summary == "Unclosed configuration block" {
		r.closeBlock()
		return
	}
	// A mistake at the very end of a line is of that line.
	start := bytes.LastIndexByte(r.work[:at], '\n') + 1
	end := len(r.work)
	if i := bytes.IndexByte(r.work[at:], '\n'); i >= 0 {
		end = at + i
	}
	l := line{repairer: r, start: start, end: end, at: at, text: string(r.work[start:end])}
	for _, slip := range slips() {
		if slip(&l, problem) {
			return
		}
	}
	r.unknown(&l, problem)
}

// report adds an error about work[start:end].
func (r *repairer) report(start, end int, summary, detail string) {
	r.diags = append(r.diags, r.text.errorAt(r.chunk.start+start, r.chunk.start+end, summary, detail))
}

// fill overwrites work[start:end], whose mistake has been reported, with c.
func (r *repairer) fill(start, end int, c byte) {
	for i := start; i < end; i++ {
		if r.work[i] != '\n' {
			r.work[i] = c
		}
	}
	r.text.holes = append(r.text.holes, r.text.span(r.chunk.start+start, r.chunk.start+end))
}

// line is the line that a mistake is on.
type line struct {
	*repairer
	start, end int // in work
	at         int // where the parser stopped, in work
	text       string
}

// word is the bounds in work of the run of characters around at that an
// unquoted value has.
func (l *line) word() (start, end int) {
	const ends = " \t\r\n,[](){}\"=#;"
	start, end = l.at, l.at
	for start > l.start && strings.IndexByte(ends, l.work[start-1]) < 0 {
		start--
	}
	for end < l.end && strings.IndexByte(ends, l.work[end]) < 0 {
		end++
	}
	return start, end
}

var assignment = regexp.MustCompile(`(?:^|[{\s])([A-Za-z_][\w-]*)[ \t]*=[ \t]*`)

// value is the bounds in work of the value that the line gives to an
// attribute, without a comment behind it or the brace that ends a block of one
// line. It is empty where the line has none.
func (l *line) value() (start, end int) {
	found := assignment.FindAllStringIndex(l.text, -1)
	if found == nil {
		return l.at, l.at
	}
	first := found[0]
	for _, f := range found {
		if l.start+f[1] <= l.at {
			first = f
		}
	}
	start = l.start + first[1]
	rest := l.work[start:max(start, l.start+codeEnd(l.text))]
	rest = bytes.TrimRight(rest, " \t\r")
	if strings.Contains(l.text[:first[0]+1], "{") {
		rest = bytes.TrimRight(bytes.TrimSuffix(rest, []byte("}")), " \t")
	}
	return start, start + len(rest)
}

// codeEnd is where the comment of a line begins, or its end.
func codeEnd(text string) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '#', c == '/' && strings.HasPrefix(text[i:], "//"):
			return i
		}
	}
	return len(text)
}

// unknown reports what no slip is known for, in the parser's words, and gives
// the attribute or the line up.
func (r *repairer) unknown(l *line, problem *hcl.Diagnostic) {
	end := min(problem.Subject.End.Byte-r.chunk.start, l.end)
	summary, detail := r.translate(l, problem)
	r.report(l.at, max(end, l.at), summary, detail)
	start, end := l.value()
	if start == end {
		code := l.text[:codeEnd(l.text)]
		open, shut := strings.IndexByte(code, '{'), strings.LastIndexByte(code, '}')
		switch {
		case open < 0 && shut < 0:
			r.fill(l.start, l.end, ' ')
		case open >= 0 && open < shut:
			r.fill(l.start+open+1, l.start+shut, ' ')
		}
		// Without its braces the rest would mean something else: it is given up.
		return
	}
	if end = valueEnd(r.work, start, end); end > start {
		r.fill(start, end, filler)
		for i := start; i < end; i++ {
			// A value over several lines becomes one: the line ends in it
			// would end the attribute.
			if r.work[i] == '\n' {
				r.fill(i+1, end, ' ')
				break
			}
		}
	}
}

// valueEnd is where the value that begins at start ends: at end, its line's,
// unless a bracket is open there. Then it is where that is closed; start when
// it never is.
func valueEnd(src []byte, start, end int) int {
	depth, quoted := 0, false
	for i := start; i < len(src); i++ {
		if i >= end && depth == 0 {
			return end
		}
		switch c := src[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '\n':
			quoted = false // a string ends on its line
		case quoted:
		case strings.IndexByte("[({", c) >= 0:
			depth++
		case strings.IndexByte("])}", c) >= 0:
			if depth--; depth == 0 && i >= end {
				return i + 1
			}
		}
	}
	if depth <= 0 {
		return end
	}
	return start
}

// closeBlock reports the block that has no end, and gives the parser one.
func (r *repairer) closeBlock() {
	if !r.closed {
		start, end := unclosed(r.work)
		r.report(start, end, "this block is never closed", `write "}" where it ends`)
		r.closed = true
		r.text.holes = append(r.text.holes, r.text.span(r.chunk.end, r.chunk.end))
	}
	r.work = append(r.work, "\n}\n"...)
}

// unclosed is the line of the block that misses its brace. The parser blames
// the outermost; indentation tells better which.
func unclosed(src []byte) (start, end int) {
	type header struct{ start, end, indent int }
	var open []header
	at := 0
	for text := range bytes.Lines(src) {
		trimmed := bytes.TrimSpace(text[:codeEnd(string(text))])
		indent := len(text) - len(bytes.TrimLeft(text, " \t"))
		switch {
		case bytes.HasPrefix(trimmed, []byte("}")) && len(open) > 0:
			top := open[len(open)-1]
			if indent < top.indent {
				return top.start, top.end
			}
			open = open[:len(open)-1]
		case bytes.HasSuffix(trimmed, []byte("{")):
			if len(open) > 0 && indent <= open[len(open)-1].indent && indent > 0 {
				top := open[len(open)-1]
				return top.start, top.end
			}
			open = append(open, header{at + indent, at + indent + len(trimmed), indent})
		}
		at += len(text)
	}
	if len(open) > 0 {
		return open[len(open)-1].start, open[len(open)-1].end
	}
	return 0, len(bytes.TrimRight(src[:max(bytes.IndexByte(src, '\n'), 0)], " \r"))
}
