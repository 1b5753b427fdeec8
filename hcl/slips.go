package hcl

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A slip is a way of writing that newcomers bring along from other languages.
// It looks at the line on which the parser stopped; true means that it was
// this slip, which it has reported and repaired.
type slip func(l *line, problem *hcl.Diagnostic) bool

// slips are tried in this order; the first that knows the mistake has it.
func slips() []slip {
	return []slip{
		slipMerge, slipColon, slipNoEquals, slipSeparator, slipQuotedName, slipTemplateLabel, slipUnquotedLabel, slipBlockEquals,
		slipQuotes, slipUnquoted, slipOpenBrace, slipOneLine, slipExtraBrace, slipCloseBehind, slipOpenString, slipHeredoc,
	}
}

var mergeMark = regexp.MustCompile(`^(<<<<<<<|=======|>>>>>>>|\|\|\|\|\|\|\|)`)

// slipMerge knows the marks that git leaves where two changes met.
func slipMerge(l *line, _ *hcl.Diagnostic) bool {
	if !mergeMark.MatchString(l.text) {
		return false
	}
	l.report(l.start, l.end, "a merge conflict is left here", "keep one of the two versions, and remove the marks")
	l.fill(l.start, l.end, ' ')
	return true
}

var colon = regexp.MustCompile(`(?:^|\{)[ \t]*([A-Za-z_][\w-]*)[ \t]*(:)[ \t]*()`)

// slipColon knows `upstream: 3000`.
func slipColon(l *line, _ *hcl.Diagnostic) bool {
	m := colon.FindStringSubmatchIndex(l.text)
	if m == nil || l.at < l.start+m[2] || l.start+m[4] < l.at {
		return false
	}
	name, value := l.text[m[2]:m[3]], strings.TrimRight(l.text[m[6]:max(m[6], codeEnd(l.text))], ",} \t\r")
	l.report(l.start+m[4], l.start+m[5], `an attribute takes "=" instead of ":"`, fmt.Sprintf("write %s = %s", name, value))
	l.work[l.start+m[4]] = '='
	return true
}

var noEquals = regexp.MustCompile(`(?:^|\{)[ \t]*([a-z_]+)([ \t]+)[^\s={]`)

// slipNoEquals knows `upstream 3000`.
func slipNoEquals(l *line, _ *hcl.Diagnostic) bool {
	for _, m := range noEquals.FindAllStringSubmatchIndex(l.text, -1) {
		name := l.text[m[2]:m[3]]
		if !isAttribute(name) || l.at < l.start+m[2] {
			continue
		}
		value := strings.TrimRight(l.text[m[5]:max(m[5], codeEnd(l.text))], "} \t\r;,")
		advice := fmt.Sprintf("write %s = %s", name, value)
		words := strings.Fields(value)
		whole := isExpression(value) && (len(words) == 1 || name != "redirect" && name != "respond")
		switch {
		case whole:
		case name == "redirect" || name == "respond":
			advice = answerAdvice(words)
		case (name == "upstream" || name == "fallback") && len(words) > 0:
			form, _ := upstreamsForm(words)
			advice = "write " + name + " = " + form
		default:
			advice = "write " + name + " = " + Quote(value)
		}
		l.report(l.start+m[2], l.start+m[3], `an attribute takes "="`, advice)
		l.work[l.start+m[4]] = '='
		if !whole {
			l.fill(l.start+m[5], l.start+m[5]+len(value), filler)
		}
		return true
	}
	return false
}

var plainWord = regexp.MustCompile(`^[A-Za-z][\w-]*$`)

// isExpression reports text that can be the value of an attribute as it is. A
// word alone is a string without its quotes.
func isExpression(text string) bool {
	if plainWord.MatchString(text) && text != "true" && text != "false" && text != "null" {
		return false
	}
	_, problems := hclsyntax.ParseExpression([]byte(text), "", hcl.InitialPos)
	return !problems.HasErrors()
}

// slipSeparator knows the comma or semicolon behind an attribute.
func slipSeparator(l *line, problem *hcl.Diagnostic) bool {
	if l.at >= l.end || problem.Summary == "Invalid single-argument block definition" {
		return false
	}
	c := l.work[l.at]
	rest := strings.TrimSpace(l.text[l.at+1-l.start:])
	if c != ';' && c != ',' || rest != "" && rest[0] != '#' && !strings.HasPrefix(rest, "//") {
		return false
	}
	l.report(l.at, l.at+1, fmt.Sprintf("no %q behind an attribute", c), "remove it: the end of the line is enough")
	l.work[l.at] = ' '
	return true
}

// slipQuotedName knows `"upstream" = 3000`.
func slipQuotedName(l *line, problem *hcl.Diagnostic) bool {
	if problem.Summary != "Invalid argument name" {
		return false
	}
	size := bytes.IndexByte(l.work[l.at+1:l.end], '"')
	if size < 1 {
		return false
	}
	l.report(l.at, l.at+size+2, "a name is not quoted", "write "+string(l.work[l.at+1:l.at+1+size]))
	l.work[l.at], l.work[l.at+1+size] = ' ', ' '
	return true
}

var unquotedLabel = regexp.MustCompile(`^[ \t]*(host|route|service|tcp|udp)[ \t]+([^\s"{]+|"[^\s"{]+|[^\s"{]+")[ \t\r]*(\{|$)`)

var templateLabel = regexp.MustCompile(`^[ \t]*(host|route|service|tcp|udp)[ \t]+"([^"]*[$%]\{.*\}[^"]*)"`)

// slipTemplateLabel knows `host "${local.name}.localhost" {`.
func slipTemplateLabel(l *line, _ *hcl.Diagnostic) bool {
	m := templateLabel.FindStringSubmatchIndex(l.text)
	if m == nil {
		return false
	}
	l.report(l.start+m[4], l.start+m[5], "a label is plain text", "write it out: it is what the block is known by")
	l.fill(l.start+m[4], l.start+m[5], filler)
	return true
}

// slipUnquotedLabel knows `host shop.localhost {`, and a quote at one end.
func slipUnquotedLabel(l *line, _ *hcl.Diagnostic) bool {
	m := unquotedLabel.FindStringSubmatchIndex(l.text)
	if m == nil {
		return false
	}
	start, end := l.start+m[4], l.start+m[5]
	name := strings.Trim(l.text[m[4]:m[5]], `"'`)
	if plain := pathPrefix(name); plain != "" && strings.ContainsAny(name, "*^(") {
		name = plain
	}
	l.report(start, end, unquotedSummary(l.text[m[2]:m[3]]), quotef("write %s", name))
	l.fill(start, end, filler)
	return true
}

func unquotedSummary(block string) string {
	what := "name"
	if block == "route" {
		what = "path"
	}
	return fmt.Sprintf("a %s's %s is a string", block, what)
}

var blockEquals = regexp.MustCompile(`^[ \t]*(?:host|route|service|tcp|udp|listen|locals|share)[ \t]+(?:"[^"]*"[ \t]*)?([=:])[ \t]*\{`)

// slipBlockEquals knows `host "shop.localhost" = {`.
func slipBlockEquals(l *line, _ *hcl.Diagnostic) bool {
	m := blockEquals.FindStringSubmatchIndex(l.text)
	if m == nil {
		return false
	}
	l.report(l.start+m[2], l.start+m[3], fmt.Sprintf(`no "%s" before the "{" of a block`, l.text[m[2]:m[3]]), "remove it")
	l.work[l.start+m[2]] = ' '
	return true
}

var headerAlone = regexp.MustCompile(`^[ \t]*([a-z]+(?:[ \t]+"[^"]*")?)[ \t\r]*(?:$|#|//)`)

// slipOpenBrace knows a "{" on the line below its block's name.
func slipOpenBrace(l *line, problem *hcl.Diagnostic) bool {
	m := headerAlone.FindStringSubmatchIndex(l.text)
	if m == nil || problem.Summary != "Invalid block definition" {
		return false
	}
	l.report(l.start+m[2], l.start+m[3], `a block has its "{" on the line of its name`, "write "+l.text[m[2]:m[3]]+" {")
	// What is inside cannot be told from what is outside without the brace.
	end := l.end
	if brace := end + len(l.work[end:]) - len(bytes.TrimLeft(l.work[end:], " \t\r\n")); brace < len(l.work) && l.work[brace] == '{' {
		end = max(end, valueEnd(l.work, l.start, brace+1))
	} else if i := bytes.Index(l.work[end:], []byte("\n"+l.text[:m[2]]+"}")); i >= 0 {
		end += i + 1 + m[2] + 1
	}
	l.fill(l.start, end, ' ')
	return true
}

// slipOneLine knows several things in a block of one line.
func slipOneLine(l *line, problem *hcl.Diagnostic) bool {
	if problem.Summary != "Invalid single-argument block definition" && problem.Summary != "Argument definition required" {
		return false
	}
	code := l.text[:codeEnd(l.text)]
	open, end := strings.IndexByte(code, '{'), strings.LastIndexByte(code, '}')
	if open < 0 {
		return false
	}
	if l.at >= l.start+codeEnd(l.text) && end < open {
		start := l.start + open + 1
		l.report(start, l.end, "a block on one line also ends on it", "put its contents on lines of their own")
		l.fill(start, l.end, ' ')
		return true
	}
	if end < open || l.start+end <= l.at {
		return false
	}
	l.report(l.at, l.start+end, "a block on one line has one attribute", "put each on a line of its own")
	if problem.Summary == "Argument definition required" {
		// Nothing before the place is whole.
		l.fill(l.start+open+1, l.start+end, ' ')
		return true
	}
	l.fill(l.at, l.start+end, ' ')
	return true
}

// slipExtraBrace knows a "}" too many.
func slipExtraBrace(l *line, problem *hcl.Diagnostic) bool {
	if l.at >= l.end || l.work[l.at] != '}' || problem.Summary != "Argument or block definition required" {
		return false
	}
	l.report(l.at, l.at+1, `this "}" closes nothing`, "remove it, or look for the one that is too much above")
	l.work[l.at] = ' '
	return true
}

// slipCloseBehind knows a "}" behind the last attribute of a block.
func slipCloseBehind(l *line, problem *hcl.Diagnostic) bool {
	if l.at >= l.end || l.work[l.at] != '}' || problem.Summary != "Missing newline after argument" {
		return false
	}
	l.report(l.at, l.at+1, `the "}" of a block of several lines has its own`, "put it on the next line")
	l.fill(l.at, l.at+1, ' ')
	l.closed = true // the end of the chunk closes the block instead
	return true
}

var heredoc = regexp.MustCompile(`<<-?([A-Za-z_][\w-]*)[ \t\r]*\n`)

// slipHeredoc knows a heredoc without its end mark.
func slipHeredoc(l *line, problem *hcl.Diagnostic) bool {
	all := heredoc.FindAllSubmatchIndex(l.work[:l.at], -1)
	if problem.Summary != "Unterminated template string" || all == nil {
		return false
	}
	m := all[len(all)-1]
	l.report(m[0], m[3], "this text has no end", fmt.Sprintf("write %s on a line of its own where it ends", l.work[m[2]:m[3]]))
	l.fill(m[0], m[3], filler)
	l.fill(m[3], len(l.work), ' ')
	l.closed = true // its end is inside of the text
	return true
}

// slipOpenString knows a string without its closing quote.
func slipOpenString(l *line, problem *hcl.Diagnostic) bool {
	switch problem.Summary {
	case "Invalid multi-line string", "Unterminated template string", "Unterminated string literal":
	default:
		return false
	}
	start, end := l.value()
	if start == end {
		if start = l.start + strings.LastIndexByte(l.text, '"'); start < l.start {
			return false
		}
		end = l.end
	}
	// A label of a block whose "{" the string has swallowed.
	if brace := bytes.LastIndexByte(l.work[start:end], '{'); brace >= 0 && !bytes.Contains(l.work[start:end], []byte("${")) {
		end = start + brace
	}
	end = start + len(bytes.TrimRight(l.work[start:end], " \t\r"))
	if end == start {
		return false
	}
	l.report(start, end, "this string has no end", `write the closing "`)
	l.fill(start, end, filler)
	return true
}

var otherQuotes = regexp.MustCompile("'([^']*)'|`([^`]*)`|[“”„‟]([^“”„‟\"]*)[“”„‟]")

// slipQuotes knows quotes that make no string here.
func slipQuotes(l *line, _ *hcl.Diagnostic) bool {
	for _, m := range otherQuotes.FindAllStringSubmatchIndex(l.text, -1) {
		if l.at < l.start+m[0] || l.start+m[1] <= l.at {
			continue
		}
		inside := ""
		for i := 2; i < len(m); i += 2 {
			if m[i] >= 0 {
				inside = l.text[m[i]:m[i+1]]
			}
		}
		l.report(l.start+m[0], l.start+m[1], `a string has double quotes`, quotef("write %s", inside))
		l.fill(l.start+m[0], l.start+m[1], filler)
		return true
	}
	return false
}

// form is what a value looks like that has to be a string, and what it is.
type form struct {
	pattern *regexp.Regexp
	is      string
}

func unquotedForms() []form {
	return []form{
		{regexp.MustCompile(`^[0-9.]+(ns|us|µs|ms|s|sec|secs|m|min|h|d)([0-9].*)?$`), "a duration is a string"},
		{regexp.MustCompile(`(?i)^[0-9.]+[kmg]i?b$`), "a size is a string"},
		{regexp.MustCompile(`^[0-9.]+%$`), "a percentage is a string"},
		{regexp.MustCompile(`^[a-z][a-z0-9+.-]*://`), "a URL is a string"},
		{regexp.MustCompile(`^unix:`), "a socket's address is a string"},
		{regexp.MustCompile(`^[\w.-]+:[0-9]+$`), "an address is a string"},
		{regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`), "an address is a string"},
		{regexp.MustCompile(`^(\.{0,2}/|~/|~$|\.{1,2}$)`), "a path is a string"},
		{regexp.MustCompile(`^\*\.`), "a name is a string"},
		{regexp.MustCompile(`^[a-z][\w-]*(/[\w.-]+)+/?$`), "a path is a string"},
	}
}

var colonPort = regexp.MustCompile(`^:[0-9]+$`)

// slipUnquoted knows values without their quotes: `30s`, `http://…`, `:3000`.
func slipUnquoted(l *line, _ *hcl.Diagnostic) bool {
	start, end := l.word()
	if bytes.Count(l.work[l.start:start], []byte(`"`))%2 != 0 {
		return false // it has one
	}
	word := string(l.work[start:end])
	if colonPort.MatchString(word) {
		l.report(start, end, "a port has no colon", "write "+word[1:])
		l.fill(start, end, filler)
		return true
	}
	for _, f := range unquotedForms() {
		if f.pattern.MatchString(word) {
			l.report(start, end, f.is, quotef("write %s", word))
			l.fill(start, end, filler)
			return true
		}
	}
	return false
}
