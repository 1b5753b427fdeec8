package hcl

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	// maxRepairs bounds how many syntax errors are reported in one top-level block.
	maxRepairs = 50
	// maxReparsed bounds how many bytes are parsed for that: each error takes one
	// more run of the parser over its block.
	maxReparsed = 2 << 20
)

// read parses a file. For one of another tool, or one that is not text, it returns
// a single diagnostic and no syntax tree. With flat, keys and values that may be
// TOML are parsed like a Proxyfile.
func (src source) read(where folder, flat bool) (t *text, syntax *hclsyntax.Body, diags Diagnostics) {
	t, diags = newText(src)
	if diag, found := foreign(t, where); found && (!flat || diag.Summary != flatSummary) {
		return t, nil, Diagnostics{diag}
	}
	syntax, more := parse(t)
	if diag, found := unlikely(t, where, more); found {
		return t, nil, Diagnostics{diag}
	}
	return t, syntax, append(diags, more...)
}

// parse returns the syntax tree of t. It does not stop at a syntax error: the
// place is reported, overwritten with something harmless, and parsed again, each
// top-level block separately.
func parse(t *text) (*hclsyntax.Body, Diagnostics) {
	tokens := lex(t.clean)
	if at, summary, found := tooDeep(tokens); found {
		return &hclsyntax.Body{}, Diagnostics{t.errorAt(at.Start.Byte, at.End.Byte, summary, "simplify it")}
	}
	diags := t.blankInvisible(tokens)
	file, problems := hclsyntax.ParseConfig(t.clean, t.name, hcl.InitialPos)
	if firstSyntaxError(problems) == nil {
		body := file.Body.(*hclsyntax.Body)
		return body, append(diags, redefinitions(t, body, problems)...)
	}
	whole := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}}
	for _, chunk := range chunks(t.clean) {
		body, more := parseChunk(t, chunk)
		diags = append(diags, more...)
		if len(diags) >= maxReported {
			break
		}
		diags = append(diags, adopt(t, whole, body)...)
	}
	return whole, diags
}

// parseChunk parses one top-level block and repairs mistakes that it can.
func parseChunk(t *text, c chunk) (*hclsyntax.Body, Diagnostics) {
	r := repairer{text: t, chunk: c, work: bytes.Clone(t.clean[c.start:c.end])}
	start := hcl.Pos{Line: t.pos(c.start).Line, Column: 1, Byte: c.start}
	searched := false
	for range min(maxRepairs, 2+maxReparsed/(c.end-c.start)) {
		file, problems := hclsyntax.ParseConfig(r.work, t.name, start)
		body := file.Body.(*hclsyntax.Body)
		problem := firstSyntaxError(problems)
		if problem != nil && !searched {
			searched = true
			r.reportForeign()
			if len(r.diags) > 0 {
				continue
			}
		}
		if problem == nil {
			return body, append(r.diags, redefinitions(t, body, problems)...)
		}
		before := bytes.Clone(r.work)
		r.repair(problem)
		if bytes.Equal(before, r.work) {
			return body, r.diags
		}
	}
	return &hclsyntax.Body{}, r.diags
}

// chunk is a part of the text that holds whole top-level blocks.
type chunk struct {
	start, end int // bytes
}

// topLevel matches lines that begin a top-level block or attribute, which people
// write without indentation.
var topLevel = regexp.MustCompile(`(?m)^(?:(?:host|service|tcp|udp)[ \t]+["\w*]|(?:locals|listen|share)[ \t]*\{|domain[ \t]*[=:])`)

func chunks(src []byte) []chunk {
	var list []chunk
	start := 0
	for _, at := range append(topLevel.FindAllIndex(src, -1), []int{len(src)}) {
		if end := at[0]; end > start {
			list = append(list, chunk{start, end})
			start = end
		}
	}
	return list
}

// redefined is the parser's summary for an attribute that is set twice. It is not
// a syntax error and needs no repair.
const redefined = "Attribute redefined"

func firstSyntaxError(problems hcl.Diagnostics) *hcl.Diagnostic {
	var first *hcl.Diagnostic
	for _, p := range problems {
		if p.Severity != hcl.DiagError || p.Summary == redefined || p.Subject == nil {
			continue
		}
		if first == nil || p.Subject.Start.Byte < first.Subject.Start.Byte {
			first = p
		}
	}
	return first
}

func redefinitions(t *text, body *hclsyntax.Body, problems hcl.Diagnostics) Diagnostics {
	var diags Diagnostics
	for _, p := range problems {
		if p.Summary == redefined && p.Subject != nil {
			diags = append(diags, redefinition(t, body, *p.Subject))
		}
	}
	return diags
}

// redefinition reports the attribute whose name is at the given place. It names
// the place of the first one.
func redefinition(t *text, body *hclsyntax.Body, at hcl.Range) Diagnostic {
	name := string(t.clean[at.Start.Byte:min(at.End.Byte, len(t.clean))])
	if block := body.InnermostBlockAtPos(at.End); block != nil {
		body = block.Body.(*hclsyntax.Body)
	}
	detail := "remove one of them"
	if first := body.Attributes[name]; first != nil {
		detail = "the first one is at " + t.rangeOf(first.NameRange).line()
	}
	return Diagnostic{Severity: Error, Summary: fmt.Sprintf("duplicate %q", name), Detail: detail, Range: t.rangeOf(at)}
}

// adopt adds the contents of body to whole.
func adopt(t *text, whole, body *hclsyntax.Body) Diagnostics {
	var diags Diagnostics
	for name, attr := range body.Attributes {
		if whole.Attributes[name] == nil {
			whole.Attributes[name] = attr
			continue
		}
		diags = append(diags, redefinition(t, whole, attr.NameRange))
	}
	whole.Blocks = append(whole.Blocks, body.Blocks...)
	return diags
}

// lex splits src into tokens.
func lex(src []byte) hclsyntax.Tokens {
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	return tokens
}
