package hcl

import (
	"bytes"
	"fmt"

	"github.com/hashicorp/hcl/v2"
)

// strayStatement is the mistake of a line that is neither attribute nor block.
const strayStatement = "this is no attribute and no block"

// translate is a mistake of form in words for people who do not know the words
// of the grammar.
func (r *repairer) translate(l *line, problem *hcl.Diagnostic) (summary, detail string) {
	switch problem.Summary {
	case "Argument or block definition required", "Invalid block definition":
		return strayStatement, `write NAME = VALUE, or TYPE "NAME" { … }`
	case "Unexpected comma after argument":
		return "no ',' behind an attribute", "put each attribute on a line of its own"
	case "Missing newline after argument":
		return "something stands behind this value", "quote it if it is a string; one attribute a line"
	case "Missing newline after block definition":
		return "something stands behind this block", "put it on a line of its own"
	case "Invalid expression", "Missing expression":
		return "a value is missing here", r.unclosedBracket(l, `write one, like 3000 or "text"`)
	case "Missing item separator", "Missing attribute separator":
		return "a comma is missing here", r.unclosedBracket(l, "write one, or close the bracket")
	case "Unclosed template interpolation sequence":
		return `this "${" has no end`, `write "}" behind the value, or "$${" for the characters themselves`
	case "Invalid character":
		if l.at < l.end && l.work[l.at] == '$' {
			return `"$" means nothing here`, `for a variable of the environment, write env("NAME")`
		}
		return "this character means nothing here", sentence(problem.Detail)
	}
	return sentence(problem.Summary), sentence(problem.Detail)
}

// unclosedBracket names the bracket before the place that has no end, if there
// is one on an earlier line; otherwise it is detail.
func (r *repairer) unclosedBracket(l *line, detail string) string {
	var open []int
	quoted := false
	for i, c := range r.work[:l.start] {
		switch {
		case c == '"' && (i == 0 || r.work[i-1] != '\\'):
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
	if len(open) == 0 || r.work[open[len(open)-1]] == '{' {
		return detail
	}
	at := open[len(open)-1]
	return fmt.Sprintf("the %q of line %d is not closed", string(r.work[at]), r.chunk.line+bytes.Count(r.work[:at], []byte("\n")))
}
