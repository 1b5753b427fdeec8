package hcl

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// mistake is a syntax error that people make who know other languages.
type mistake struct {
	// problems are the parser's messages for it; nil means any.
	problems []string
	// pattern matches the line.
	pattern *regexp.Regexp
	// repair reports the mistake and repairs the line. It returns false if the line
	// has another mistake. m are the groups of pattern, as places in the line.
	repair func(l *line, m []int) bool
}

// The parser's messages for some mistakes.
const (
	blockOnOneLine  = "Invalid single-argument block definition"
	attributeNeeded = "Argument definition required"
	lineEndNeeded   = "Missing newline after argument"
	openTemplate    = "Unterminated template string"
)

// mistakes are tried in this order.
func mistakes() []mistake {
	return []mistake{
		{nil, mergeMark, repairMergeMark},
		{nil, colon, repairColon},
		{nil, noEquals, repairNoEquals},
		{nil, anyLine, repairSeparator},
		{[]string{"Invalid argument name"}, anyLine, repairQuotedName},
		{nil, templateLabel, repairTemplateLabel},
		{nil, unquotedLabel, repairUnquotedLabel},
		{nil, blockEquals, repairBlockEquals},
		{nil, otherQuotes, repairQuotes},
		{nil, anyLine, repairUnquoted},
		{[]string{"Invalid block definition"}, headerAlone, repairOpenBrace},
		{[]string{blockOnOneLine, attributeNeeded}, anyLine, repairOneLine},
		{[]string{"Argument or block definition required", lineEndNeeded}, anyLine, repairBrace},
		{[]string{"Invalid multi-line string", openTemplate, "Unterminated string literal"}, anyLine, repairOpenString},
		{[]string{openTemplate}, anyLine, repairHeredoc},
	}
}

var (
	anyLine       = regexp.MustCompile(``)
	mergeMark     = regexp.MustCompile(`^(<<<<<<<|=======|>>>>>>>|\|\|\|\|\|\|\|)`)
	colon         = regexp.MustCompile(`(?:^|\{)[ \t]*([A-Za-z_][\w-]*)[ \t]*(:)[ \t]*()`)
	labelAndBrace = regexp.MustCompile(`^"[^"]*"[ \t]*\{`) // tcp is the name of a block and of an attribute
	noEquals      = regexp.MustCompile(`(?:^|\{)[ \t]*([a-z_]+)([ \t]+)[^\s={]`)
	templateLabel = regexp.MustCompile(`^[ \t]*(host|route|service|tcp|udp)[ \t]+"([^"]*[$%]\{.*\}[^"]*)"`)
	unquotedLabel = regexp.MustCompile(`^[ \t]*(host|route|service|tcp|udp)[ \t]+([^\s"{]+|"[^\s"{]+|[^\s"{]+")[ \t\r]*(\{|$)`)
	blockEquals   = regexp.MustCompile(`^[ \t]*(?:host|route|service|tcp|udp|listen|locals|share)[ \t]+(?:"[^"]*"[ \t]*)?([=:])[ \t]*\{`)
	otherQuotes   = regexp.MustCompile("'([^']*)'|`([^`]*)`|[“”„‟]([^“”„‟\"]*)[“”„‟]")
	headerAlone   = regexp.MustCompile(`^[ \t]*([a-z]+(?:[ \t]+"[^"]*")?)[ \t\r]*(?:$|#|//)`)
	heredoc       = regexp.MustCompile(`<<-?([A-Za-z_][\w-]*)[ \t\r]*\n`)
)

// repairMergeMark repairs the marks that git leaves at a conflict.
func repairMergeMark(l *line, _ []int) bool {
	return l.replace(l.start, l.end, ' ', "this is part of a merge conflict", "keep one of the two versions, and remove the markers")
}

// repairColon repairs `upstream: 3000`.
func repairColon(l *line, m []int) bool {
	if l.at < l.start+m[2] || l.start+m[4] < l.at {
		return false
	}
	name, value := l.text[m[2]:m[3]], strings.TrimRight(l.text[m[6]:max(m[6], codeEnd(l.text))], ",} \t\r")
	return l.change(l.start+m[4], '=', `an attribute needs "=" instead of ":"`, fmt.Sprintf("write %s = %s", name, value))
}

// repairNoEquals repairs `upstream 3000`.
func repairNoEquals(l *line, _ []int) bool {
	for _, m := range noEquals.FindAllStringSubmatchIndex(l.text, -1) {
		name := l.text[m[2]:m[3]]
		if !isAttribute(name) || l.at < l.start+m[2] || labelAndBrace.MatchString(l.text[m[5]:]) {
			continue
		}
		value := strings.TrimRight(l.text[m[5]:max(m[5], codeEnd(l.text))], "} \t\r;,")
		advice := fmt.Sprintf("write %s = %s", name, value)
		words := strings.Fields(value)
		valid := isExpression(value) && (len(words) == 1 || name != "redirect" && name != "respond")
		switch {
		case valid:
		case name == "redirect" || name == "respond":
			advice = answerAdvice(words)
		case (name == "upstream" || name == "fallback") && len(words) > 0:
			form, _ := upstreamsForm(words)
			advice = "write " + name + " = " + form
		default:
			advice = "write " + name + " = " + Quote(value)
		}
		l.report(l.start+m[2], l.start+m[3], `an attribute needs "="`, advice)
		l.work[l.start+m[4]] = '='
		if !valid {
			l.fill(l.start+m[5], l.start+m[5]+len(value), filler)
		}
		return true
	}
	return false
}

var plainWord = regexp.MustCompile(`^[A-Za-z][\w-]*$`)

// isExpression reports text that can be the value of an attribute as it is. A
// single word is a string without its quotes.
func isExpression(text string) bool {
	if plainWord.MatchString(text) && text != "true" && text != "false" && text != "null" {
		return false
	}
	_, problems := hclsyntax.ParseExpression([]byte(text), "", hcl.InitialPos)
	return !problems.HasErrors()
}

// repairSeparator repairs a comma or semicolon after an attribute.
func repairSeparator(l *line, _ []int) bool {
	if l.at >= l.end || l.problem == blockOnOneLine {
		return false
	}
	c := l.work[l.at]
	rest := strings.TrimSpace(l.text[l.at+1-l.start:])
	if c != ';' && c != ',' || rest != "" && rest[0] != '#' && !strings.HasPrefix(rest, "//") {
		return false
	}
	return l.change(l.at, ' ', fmt.Sprintf("unexpected %q after an attribute", c), "remove it: an attribute ends with its line")
}

// repairQuotedName repairs `"upstream" = 3000`.
func repairQuotedName(l *line, _ []int) bool {
	size := bytes.IndexByte(l.work[l.at+1:l.end], '"')
	if size < 1 {
		return false
	}
	l.report(l.at, l.at+size+2, "a name must not be in quotes", "write "+string(l.work[l.at+1:l.at+1+size]))
	l.work[l.at], l.work[l.at+1+size] = ' ', ' '
	return true
}

// repairTemplateLabel repairs `host "${local.name}.localhost" {`.
func repairTemplateLabel(l *line, m []int) bool {
	return l.replace(l.start+m[4], l.start+m[5], filler, "a label can't contain an expression", "write the name itself: references and messages use it")
}

// repairUnquotedLabel repairs `host shop.localhost {`, and a quote on one side only.
func repairUnquotedLabel(l *line, m []int) bool {
	start, end := l.start+m[4], l.start+m[5]
	name := strings.Trim(l.text[m[4]:m[5]], `"'`)
	if plain := pathPrefix(name); plain != "" && strings.ContainsAny(name, "*^(") {
		name = plain
	}
	return l.replace(start, end, filler, unquotedSummary(l.text[m[2]:m[3]]), suggest(name))
}

func unquotedSummary(block string) string {
	return fmt.Sprintf("the %s of a %s must be in quotes", kinds()[block].label, block)
}

// repairBlockEquals repairs `host "shop.localhost" = {`.
func repairBlockEquals(l *line, m []int) bool {
	return l.change(l.start+m[2], ' ', fmt.Sprintf(`unexpected "%s" before the "{" of a block`, l.text[m[2]:m[3]]), "remove it")
}

// repairQuotes repairs quotes that do not make a string here.
func repairQuotes(l *line, _ []int) bool {
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
		return l.replace(l.start+m[0], l.start+m[1], filler, `a string needs double quotes`, suggest(inside))
	}
	return false
}

// repairUnquoted repairs values without quotes: `30s`, `http://…`, `:3000`.
func repairUnquoted(l *line, _ []int) bool {
	start, end := l.word()
	if bytes.Count(l.work[l.start:start], []byte(`"`))%2 != 0 {
		return false // it is inside quotes
	}
	word := string(l.work[start:end])
	if digits, is := strings.CutPrefix(word, ":"); is && allDigits.MatchString(digits) {
		return l.replace(start, end, filler, "a port is a number without a colon", "write "+digits)
	}
	for _, form := range []struct {
		pattern *regexp.Regexp
		is      string
	}{
		{regexp.MustCompile(`^[0-9.]+(ns|us|µs|ms|s|sec|secs|m|min|h|d)([0-9].*)?$`), "a duration must be a string"},
		{regexp.MustCompile(`(?i)^[0-9.]+[kmg]i?b$`), "a size must be a string"},
		{regexp.MustCompile(`^[0-9.]+%$`), "a percentage must be a string"},
		{regexp.MustCompile(`^[a-z][a-z0-9+.-]*://`), "a URL must be a string"},
		{regexp.MustCompile(`^unix:`), "the address of a socket must be a string"},
		{regexp.MustCompile(`^[\w.-]+:[0-9]+$`), "an address must be a string"},
		{regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`), "an address must be a string"},
		{regexp.MustCompile(`^(\.{0,2}/|~/|~$|\.{1,2}$)`), "a path must be a string"},
		{regexp.MustCompile(`^\*\.`), "a name must be a string"},
		{regexp.MustCompile(`^[a-z][\w-]*(/[\w.-]+)+/?$`), "a path must be a string"},
	} {
		if form.pattern.MatchString(word) {
			return l.replace(start, end, filler, form.is, suggest(word))
		}
	}
	return false
}

// repairOpenBrace repairs a "{" on the line after the block's name.
func repairOpenBrace(l *line, m []int) bool {
	header := l.text[m[2]:m[3]]
	l.report(l.start+m[2], l.start+m[3], `the "{" of a block must be on the line of its name`, "write "+header+" {")
	// Without the brace, inside and outside cannot be told apart.
	end := l.end
	below := l.work[end:]
	if brace := end + len(below) - len(bytes.TrimLeft(below, " \t\r\n")); brace < len(l.work) && l.work[brace] == '{' {
		end = max(end, valueEnd(l.work, l.start, brace+1))
	} else if i := bytes.Index(below, []byte("\n"+l.text[:m[2]]+"}")); i >= 0 {
		end += i + 1 + m[2] + 1
	}
	l.fill(l.start, end, ' ')
	return true
}

// repairOneLine repairs several things in a block on one line.
func repairOneLine(l *line, _ []int) bool {
	code := l.text[:codeEnd(l.text)]
	open, end := strings.IndexByte(code, '{'), strings.LastIndexByte(code, '}')
	switch {
	case open < 0:
		return false
	case l.at >= l.start+len(code) && end < open:
		start := l.start + open + 1
		return l.replace(start, l.end, ' ', "a block that begins like this must end on the same line", "put its content on separate lines")
	case end < open || l.start+end <= l.at:
		return false
	}
	l.report(l.at, l.start+end, "a block on one line can have only one attribute", "put each one on a separate line")
	start := l.at
	if l.problem == attributeNeeded {
		start = l.start + open + 1 // nothing before the place is complete
	}
	l.fill(start, l.start+end, ' ')
	return true
}

// repairBrace repairs a "}" too many, and one after the last attribute of a block.
func repairBrace(l *line, _ []int) bool {
	switch {
	case l.at >= l.end || l.work[l.at] != '}':
		return false
	case l.problem == lineEndNeeded:
		l.closed = true // the end of the chunk closes the block instead
		return l.replace(l.at, l.at+1, ' ', `the "}" of a block on several lines must be on a separate line`, "put it on the next line")
	}
	return l.change(l.at, ' ', `this "}" closes no block`, "remove it, or look for an extra one above")
}

// repairOpenString repairs a string without its closing quote.
func repairOpenString(l *line, _ []int) bool {
	start, end := l.value()
	if start == end {
		if start = l.start + strings.LastIndexByte(l.text, '"'); start < l.start {
			return false
		}
		end = l.end
	}
	// A label of a block whose "{" is part of the string.
	if brace := bytes.LastIndexByte(l.work[start:end], '{'); brace >= 0 && !bytes.Contains(l.work[start:end], []byte("${")) {
		end = start + brace
	}
	end = start + len(bytes.TrimRight(l.work[start:end], " \t\r"))
	if end == start {
		return false
	}
	return l.replace(start, end, filler, "this string is not closed", `write the closing "`)
}

// repairHeredoc repairs a heredoc without its end mark.
func repairHeredoc(l *line, _ []int) bool {
	all := heredoc.FindAllSubmatchIndex(l.work[:l.at], -1)
	if all == nil {
		return false
	}
	m := all[len(all)-1]
	l.report(m[0], m[3], "this text is not closed", fmt.Sprintf("write %s on a separate line where it ends", l.work[m[2]:m[3]]))
	l.fill(m[0], m[3], filler)
	l.fill(m[3], len(l.work), ' ')
	l.closed = true // the block's end is part of the text
	return true
}
