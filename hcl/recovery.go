package hcl

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// repairer turns the parser's first error into a helpful diagnostic. Then it
// overwrites the cause in work, so that the parser gets past it.
//
// Overwriting keeps the length and the lines, so that places found later are also
// those of the original text.
type repairer struct {
	text  *text
	chunk chunk
	work  []byte // the chunk as the parser sees it
	diags Diagnostics

	closed bool // a missing brace was reported
}

// filler overwrites what should be a value or a label. The result is a name that
// does not exist.
const filler = '_'

// line is the line with the mistake.
type line struct {
	*repairer
	start, end int // in work
	at         int // where the parser stopped, in work
	text       string
	problem    string // the parser's summary
}

func (r *repairer) repair(problem *hcl.Diagnostic) {
	at := min(max(problem.Subject.Start.Byte-r.chunk.start, 0), len(r.work))
	if problem.Summary == "Unclosed configuration block" {
		r.closeBlock()
		return
	}
	// A mistake at the end of a line belongs to that line.
	start := bytes.LastIndexByte(r.work[:at], '\n') + 1
	rest, _, _ := bytes.Cut(r.work[at:], []byte("\n"))
	end := at + len(rest)
	l := &line{repairer: r, start: start, end: end, at: at, text: string(r.work[start:end]), problem: problem.Summary}
	for _, m := range mistakes() {
		groups := m.pattern.FindStringSubmatchIndex(l.text)
		if groups != nil && (m.problems == nil || slices.Contains(m.problems, l.problem)) && m.repair(l, groups) {
			return
		}
	}
	l.repairUnknown(problem)
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
	r.text.repaired = append(r.text.repaired, r.text.span(r.chunk.start+start, r.chunk.start+end))
}

// replace reports and overwrites work[start:end].
func (r *repairer) replace(start, end int, c byte, summary, detail string) bool {
	r.report(start, end, summary, detail)
	r.fill(start, end, c)
	return true
}

// change reports the character at work[at], and puts c in its place. Other mistakes
// around it are still reported.
func (r *repairer) change(at int, c byte, summary, detail string) bool {
	r.report(at, at+1, summary, detail)
	r.work[at] = c
	return true
}

// word returns the bounds in work of the characters around at that an unquoted
// value has.
func (l *line) word() (start, end int) {
	const ends = " \t\r\n,[](){}\"=#;"
	start = l.start + bytes.LastIndexAny(l.work[l.start:l.at], ends) + 1
	end = l.end
	if i := bytes.IndexAny(l.work[l.at:l.end], ends); i >= 0 {
		end = l.at + i
	}
	return start, end
}

var assignment = regexp.MustCompile(`(?:^|[{\s])([A-Za-z_][\w-]*)[ \t]*=[ \t]*`)

// value returns the bounds in work of the value that the line gives to an
// attribute, without a comment after it or the brace that ends a block on one
// line. They are equal if the line has none.
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

// codeEnd returns where the comment of a line begins, or its end.
func codeEnd(text string) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case !quoted && beginsComment(text, i):
			return i
		}
	}
	return len(text)
}

// beginsComment reports a comment at text[i:], outside of quotes. The "//" of a
// URL without quotes is not one.
func beginsComment(text string, i int) bool {
	return text[i] == '#' || strings.HasPrefix(text[i:], "//") && (i == 0 || strings.IndexByte(" \t;{}", text[i-1]) >= 0)
}

// valueEnd returns the end of the value that begins at start. That is end, its
// line's, unless a bracket is open there: then it is where that is closed, or
// start if it never is.
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

// repairUnknown reports a mistake that is not in the table, in the parser's words,
// and overwrites the value or the line.
func (l *line) repairUnknown(problem *hcl.Diagnostic) {
	end := min(problem.Subject.End.Byte-l.chunk.start, l.end)
	summary, detail := l.translate(problem)
	l.report(l.at, max(end, l.at), summary, detail)
	start, end := l.value()
	if start == end {
		code := l.text[:codeEnd(l.text)]
		open, shut := strings.IndexByte(code, '{'), strings.LastIndexByte(code, '}')
		switch {
		case open < 0 && shut < 0:
			l.fill(l.start, l.end, ' ')
		case open >= 0 && open < shut:
			l.fill(l.start+open+1, l.start+shut, ' ')
		}
		// A single brace stays: without it the rest would mean something else.
		return
	}
	if end = valueEnd(l.work, start, end); end > start {
		l.fill(start, end, filler)
		// A value on several lines becomes one line: a line end would end the
		// attribute.
		if i := bytes.IndexByte(l.work[start:end], '\n'); i >= 0 {
			l.fill(start+i+1, end, ' ')
		}
	}
}

// strayStatement is the summary for a line that is neither attribute nor block.
const strayStatement = "this is neither an attribute nor a block"

// translate explains a syntax error without the grammar's own words.
func (l *line) translate(problem *hcl.Diagnostic) (summary, detail string) {
	switch problem.Summary {
	case "Argument or block definition required", "Invalid block definition":
		return strayStatement, `write NAME = VALUE, or TYPE "NAME" { … }`
	case "Unexpected comma after argument":
		return "unexpected ',' after an attribute", "put each attribute on a separate line"
	case lineEndNeeded:
		return "unexpected text after this value", "a string needs quotes; each attribute needs its own line"
	case "Missing newline after block definition":
		return "unexpected text after this block", "put it on a separate line"
	case "Invalid expression", "Missing expression":
		return "a value is missing here", l.unclosedBracket(`write one, like 3000 or "text"`)
	case "Missing item separator", "Missing attribute separator":
		return "a comma is missing here", l.unclosedBracket("write one, or close the bracket")
	case "Unclosed template interpolation sequence":
		return `this "${" is not closed`, `write "}" after the expression, or "$${" for the characters "${"`
	case "Invalid character":
		if l.at < l.end && l.work[l.at] == '$' {
			return `unexpected "$"`, `for a variable of the environment, write env("NAME")`
		}
		return "unexpected character", sentence(problem.Detail)
	}
	return sentence(problem.Summary), sentence(problem.Detail)
}

// unclosedBracket names the bracket that is still open on an earlier line. It
// returns detail if there is none.
func (l *line) unclosedBracket(detail string) string {
	var open []int
	quoted := false
	for i, c := range l.work[:l.start] {
		switch {
		case c == '"' && (i == 0 || l.work[i-1] != '\\'):
			quoted = !quoted
		case c == '\n':
			quoted = false
		case quoted:
		case c == '[' || c == '(' || c == '{':
			open = append(open, i)
		case (c == ']' || c == ')' || c == '}') && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 || l.work[open[len(open)-1]] == '{' {
		return detail
	}
	at := open[len(open)-1]
	return fmt.Sprintf("the %q on line %d is not closed", string(l.work[at]), l.repairer.text.pos(l.chunk.start+at).Line)
}

// closeBlock reports the block that has no end, and adds one for the parser.
func (r *repairer) closeBlock() {
	if !r.closed {
		start, end := unclosed(r.work)
		r.report(start, end, "this block is not closed", `write "}" where it ends`)
		r.closed = true
		r.text.repaired = append(r.text.repaired, r.text.span(r.chunk.end, r.chunk.end))
	}
	r.work = append(r.work, "\n}\n"...)
}

// unclosed returns the header of the block that lacks its brace. The parser blames
// the outermost one; indentation is a better hint.
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

const (
	// maxStatement and maxStatementBlock bound the length in bytes of a line and of
	// a block that are searched for another tool's statements, and maxScanned that
	// of all lines of a file.
	maxStatement      = 1000
	maxStatementBlock = 8 << 10
	maxScanned        = 256 << 10
)

// reportForeign reports each statement of another tool in the chunk of r, which
// has a syntax error, and overwrites it. Statements that parse are left to the
// reader, which reports unknown attributes and blocks.
func (r *repairer) reportForeign() {
	var s statementScanner
	for at := 0; at < len(r.work) && len(r.diags) < maxRepairs && r.text.scanned < maxScanned; {
		line := lineOf(string(r.work[at:min(len(r.work), at+maxStatement)]))
		end := at + len(line)
		if len(line) == maxStatement && end < len(r.work) {
			return // people do not write such lines
		}
		r.text.scanned += len(line) + 1
		if s.atStatement() {
			if next := r.reportStatement(at, end, s.inside()); next > 0 {
				at = next
				continue
			}
		}
		s.scan(line)
		at = end + 1
	}
}

// oneLine matches a block on one line, with its contents.
var oneLine = regexp.MustCompile(`^[ \t]*(host|route|service|locals|listen|share)(?:[ \t]+"[^"{}]*")?[ \t]*\{(.*)\}[ \t]*$`)

// reportStatement reports the statement that begins on work[start:end], in a
// block of the kind inside, if it is another tool's. It returns where the next
// line begins, or 0 if the line is left unchanged.
func (r *repairer) reportStatement(start, end int, inside string) int {
	line := string(r.work[start:end])
	code := strings.TrimRight(line[:codeEnd(line)], " \t\r")
	from, to := start+len(code)-len(strings.TrimLeft(code, " \t")), start+len(code)
	if m := oneLine.FindStringSubmatchIndex(code); m != nil {
		inner := code[m[4]:m[5]]
		from, to = start+m[4]+len(inner)-len(strings.TrimLeft(inner, " \t")), start+m[4]+len(strings.TrimRight(inner, " \t"))
		inside = code[m[2]:m[3]]
	}
	if from >= to {
		return 0
	}
	first := string(r.work[from:to])
	if r.reportValue(from, first) {
		return 0
	}
	stop := to
	if strings.HasSuffix(code, "{") {
		stop = max(to, valueEnd(r.work[:min(len(r.work), from+maxStatementBlock)], from, to))
	}
	found := foreignStatement{first, string(r.work[from:stop]), inside}.finding()
	if found.summary == "" {
		return 0
	}
	r.report(from, to, found.summary, found.detail)
	r.fill(from, stop, ' ')
	return max(end, stop) + 1
}

// statementScanner finds the lines of a text that begin a statement: an attribute
// or a block, and not a part of a value, a comment or a heredoc.
type statementScanner struct {
	// open has the first word of each open block, outermost first; "" for a bracket
	// of a value.
	open    []string
	comment bool   // in /* … */
	heredoc string // the end mark of an open one
}

// atStatement reports whether the next line begins a statement.
func (s *statementScanner) atStatement() bool {
	return !s.comment && s.heredoc == "" && !slices.Contains(s.open, "")
}

// inside returns the first word of the innermost block; "" at the top level.
func (s *statementScanner) inside() string {
	if len(s.open) == 0 {
		return ""
	}
	return s.open[len(s.open)-1]
}

var (
	firstWord    = regexp.MustCompile(`^[ \t]*([A-Za-z_][\w-]*)`)
	heredocStart = regexp.MustCompile(`<<-?([A-Za-z_][\w-]*)[ \t\r]*$`)
)

// scan reads one line.
func (s *statementScanner) scan(text string) {
	if s.heredoc != "" {
		if strings.TrimSpace(text) == s.heredoc {
			s.heredoc = ""
		}
		return
	}
	word := "block"
	if m := firstWord.FindStringSubmatch(text); m != nil {
		word = m[1]
	}
	assigned, quoted := false, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case s.comment:
			if strings.HasPrefix(text[i:], "*/") {
				s.comment = false
				i++
			}
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case beginsComment(text, i):
			return
		case strings.HasPrefix(text[i:], "/*"):
			s.comment = true
			i++
		case c == '=':
			assigned = true
		case c == '{' && !assigned && !slices.Contains(s.open, ""):
			s.open = append(s.open, word)
			if m := firstWord.FindStringSubmatch(text[i+1:]); m != nil {
				word = m[1]
			}
		case c == '{' || c == '[' || c == '(':
			s.open = append(s.open, "")
		case (c == '}' || c == ']' || c == ')') && len(s.open) > 0:
			s.open = s.open[:len(s.open)-1]
		}
	}
	if m := heredocStart.FindStringSubmatch(text); m != nil && !s.comment {
		s.heredoc = m[1]
	}
}
