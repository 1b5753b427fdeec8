package hcl

import (
	"regexp"
	"slices"
	"strings"
)

// statementScanner follows which lines of a text begin a statement: an
// attribute or a block, and not a part of a value, a comment or a heredoc.
type statementScanner struct {
	// open has the word of each open block, outermost first; empty for a
	// bracket of a value.
	open    []string
	comment bool   // in /* … */
	heredoc string // the end mark of an open one
}

// atStatement reports whether the next line begins a statement.
func (s *statementScanner) atStatement() bool {
	return !s.comment && s.heredoc == "" && !slices.Contains(s.open, "")
}

// inside returns the word of the innermost block; empty at the top level.
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

// line reads one line, without its end.
func (s *statementScanner) line(text string) {
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
		case quoted:
			quoted = c != '"'
		case c == '"':
			quoted = true
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

// oneLine matches a block of one line, with what is in it.
var oneLine = regexp.MustCompile(`^[ \t]*(host|route|service|locals|listen|share)(?:[ \t]+"[^"{}]*")?[ \t]*\{(.*)\}[ \t]*$`)

// reportForeign reports the statements of other tools in the chunk of r, each once,
// and overwrites them. It is for a chunk with a syntax error. Statements that parse
// are left to the reader, which reports unknown attributes and blocks.
func (r *repairer) reportForeign() {
	var s statementScanner
	for at := 0; at < len(r.work) && len(r.diags) < maxRepairs && r.text.scanned < maxScanned; {
		end := len(r.work)
		if i := strings.IndexByte(string(r.work[at:min(len(r.work), at+maxHabit)]), '\n'); i >= 0 {
			end = at + i
		} else if len(r.work)-at > maxHabit {
			return // not a line that a person wrote
		}
		r.text.scanned += end - at + 1
		if s.atStatement() {
			if next := r.reportHabit(at, end, s.inside()); next > 0 {
				at = next
				continue
			}
		}
		s.line(string(r.work[at:end]))
		at = end + 1
	}
}

const (
	// maxHabit and maxHabitBlock bound the length in bytes of a line and of a block
	// that are looked at, and maxScanned that of all lines of a file.
	maxHabit      = 1000
	maxHabitBlock = 8 << 10
	maxScanned    = 256 << 10
)

// reportHabit reports the statement that begins on work[start:end], in a block of
// that kind, if it is one of another tool. It returns where the next line
// begins; 0 when there is nothing to report.
func (r *repairer) reportHabit(start, end int, inside string) int {
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
	if h, found := valueHabit(string(r.work[from:to])); found {
		r.report(from+h.start, from+h.end, h.summary, h.detail)
		r.fill(from+h.start, from+h.end, filler)
		if h.colon > 0 {
			r.work[from+h.colon] = '='
		}
		return 0
	}
	stop := to
	if strings.HasSuffix(code, "{") {
		stop = max(to, valueEnd(r.work[:min(len(r.work), from+maxHabitBlock)], from, to))
	}
	h, found := statementHabit(string(r.work[from:to]), string(r.work[from:stop]), inside)
	if !found {
		return 0
	}
	r.report(from, to, h.summary, h.detail)
	r.fill(from, stop, ' ')
	if stop > end {
		end = stop
	}
	return end + 1
}
