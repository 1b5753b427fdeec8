package hcl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// body is what a block holds, checked against the language: names are known,
// values are not looked at yet.
type body struct {
	attrs  map[string]*attribute
	blocks []*block
	// damaged says that a mistake inside has been reported, so that nothing
	// is to be missed in it.
	damaged bool
}

// attribute is NAME = VALUE. It knows its text, as a body may be merged of two
// files.
type attribute struct {
	*hclsyntax.Attribute
	text *text
}

func (a *attribute) nameRange() Range { return a.text.rangeOf(a.NameRange) }

// block is TYPE "LABEL" { … }.
type block struct {
	kind       string
	label      string
	labelRange Range
	header     Range // the block's type and label
	body       *body
}

// title is the block as sentences call it.
func (b *block) title() string {
	if b.label == "" {
		return b.kind
	}
	return b.kind + " " + strconv.Quote(b.label)
}

// reader makes bodies of one file's syntax tree.
type reader struct {
	text     *text
	language map[string]kind
	diags    Diagnostics
	// labelled says that the block whose body is read has its label.
	labelled bool
}

func (r *reader) errorf(at hcl.Range, detail, format string, args ...any) {
	if len(r.diags) >= maxReported {
		return
	}
	r.diags = append(r.diags, Diagnostic{
		Severity: Error, Summary: fmt.Sprintf(format, args...), Detail: detail, Range: r.text.rangeOf(at),
	})
}

// body reads the inside of a block of kind k, which sentences call title.
func (r *reader) body(syntax *hclsyntax.Body, k kind, title string) *body {
	b := &body{attrs: map[string]*attribute{}, damaged: r.text.holed(syntax.SrcRange)}
	for _, name := range sortedKeys(syntax.Attributes) {
		attr := syntax.Attributes[name]
		if attr.Expr == nil {
			continue
		}
		if k.free || slices.Contains(k.attrs, name) {
			b.attrs[name] = &attribute{Attribute: attr, text: r.text}
			continue
		}
		b.damaged = true
		if k.label != "" && !r.labelled && isLabelKey(name) {
			continue // the block's header was reported with it
		}
		r.unknownAttribute(attr, syntax, k, title)
	}
	for _, inner := range syntax.Blocks {
		if read := r.block(inner, k, title); read != nil {
			b.blocks = append(b.blocks, read)
		} else {
			b.damaged = true
		}
	}
	return b
}

func (r *reader) unknownAttribute(attr *hclsyntax.Attribute, body *hclsyntax.Body, k kind, title string) {
	name := attr.Name
	if later, known := k.later[name]; known {
		r.errorf(attr.NameRange, later, "%q is not built yet", name)
		return
	}
	_, isBlock := r.language[name]
	if isBlock && (slices.Contains(k.blocks, name) || len(owners(r.language, name)) == 0) {
		r.errorf(attr.NameRange, r.blockForm(attr, body, k), "%q is a block", name)
		return
	}
	if host := body.Attributes["host"]; k.label == "" && host != nil && (slices.Contains(settings(), name) || isPortKey(name)) {
		return // it goes into the block that host was told to be
	}
	if slices.Contains(includes(), name) {
		r.errorf(attr.NameRange, includeDetail, includeSummary)
		return
	}
	if removed(name) || slices.Contains([]string{"websocket", "websockets", "ws", "changeOrigin", "change_origin", "secure", "ssl", "h2"}, name) {
		r.errorf(attr.NameRange, "remove it: devproxy does this by itself", "unknown attribute %q in %s", name, title)
		return
	}
	if form := r.otherForm(attr, k); form != "" {
		r.errorf(attr.NameRange, "write "+form, "unknown attribute %q in %s", name, title)
		return
	}
	r.errorf(attr.NameRange, r.suggest(name, k), "unknown attribute %q in %s", name, title)
}

// suggest is what was probably meant by the unknown word name in a body of
// kind k.
func (r *reader) suggest(name string, k kind) string {
	known := slices.Concat(k.words(), k.blocks)
	if other := otherWords()[name]; slices.Contains(known, other) {
		return quotef("did you mean %s?", other)
	}
	if found := owners(r.language, name); len(found) > 0 {
		return "it is an attribute of " + list(found)
	}
	built := slices.Clone(k.attrs)
	for _, block := range k.blocks {
		if r.language[block].notBuilt == "" {
			built = append(built, block)
		}
	}
	return didYouMean(name, known, "known here: "+strings.Join(built, ", "))
}

// block reads a block inside of a body of kind outer; nil when it cannot be
// used.
func (r *reader) block(syntax *hclsyntax.Block, outer kind, title string) *block {
	k, known := r.language[syntax.Type]
	switch {
	case !known && slices.Contains(outer.words(), syntax.Type):
		r.errorf(syntax.TypeRange, "write "+r.attributeForm(syntax), "%q is an attribute", syntax.Type)
		return nil
	case !known && outer.free:
		r.errorf(syntax.TypeRange, fmt.Sprintf("write %s = {", syntax.Type), "%s holds values, not blocks", title)
		return nil
	case slices.Contains(includes(), syntax.Type):
		r.errorf(syntax.TypeRange, includeDetail, includeSummary)
		return nil
	case !known || syntax.Type == "":
		detail := r.suggest(syntax.Type, outer)
		if removed(syntax.Type) {
			detail = "remove it: devproxy does this by itself"
		}
		if form := r.blockOf(syntax, outer); form != "" {
			detail = "write " + form
		}
		r.errorf(syntax.TypeRange, detail, "unknown block %q in %s", syntax.Type, title)
		return nil
	case !slices.Contains(outer.blocks, syntax.Type) && slices.Contains(outer.words(), syntax.Type):
		// share is a block of the file and an attribute of a host.
		r.errorf(syntax.TypeRange, "write "+r.attributeForm(syntax), "%q is an attribute in %s", syntax.Type, title)
		return nil
	case !slices.Contains(outer.blocks, syntax.Type):
		detail := "put it at the top level of the file"
		if syntax.Type == "route" {
			detail = "put it into a host"
		}
		r.errorf(syntax.TypeRange, detail, "a %s does not belong in %s", syntax.Type, title)
		return nil
	case k.notBuilt != "":
		r.errorf(syntax.TypeRange, k.notBuilt, "%q is not built yet", syntax.Type)
		return nil
	}
	b := &block{kind: syntax.Type, header: r.header(syntax)}
	if !r.label(b, syntax, k) {
		b.label = ""
	}
	outside := r.labelled
	r.labelled = len(syntax.Labels) > 0
	b.body = r.body(syntax.Body, k, b.title())
	r.labelled = outside
	return b
}

// header is the range of a block's type and labels.
func (r *reader) header(syntax *hclsyntax.Block) Range {
	at := syntax.TypeRange
	if n := len(syntax.LabelRanges); n > 0 {
		at = hcl.RangeBetween(at, syntax.LabelRanges[n-1])
	}
	return r.text.rangeOf(at)
}

// label checks what stands behind the block's type and reports whether b has
// its label; what is inside is checked in any case.
func (r *reader) label(b *block, syntax *hclsyntax.Block, k kind) bool {
	ranges := syntax.LabelRanges
	want := 0
	if k.label != "" {
		want = 1
	}
	if len(ranges) < want {
		label := exampleLabel(b.kind)
		for _, name := range sortedKeys(syntax.Body.Attributes) {
			if text := r.literal(syntax.Body.Attributes[name]); isLabelKey(name) && text != "" {
				label = text
			}
		}
		r.errorf(syntax.TypeRange, fmt.Sprintf("write %s %s {", b.kind, Quote(label)), "a %s has a %s", b.kind, k.label)
		return false
	}
	if len(ranges) > want {
		if r.text.holed(ranges[want]) {
			return false
		}
		detail := "remove it"
		if b.kind == "host" {
			detail = `further names are its aliases: aliases = ["…"]`
		}
		if want == 0 {
			r.errorf(ranges[want], detail, "%q has no name", b.kind)
		} else {
			r.errorf(ranges[want], detail, "one %s is enough for a %s", k.label, b.kind)
		}
	}
	if want == 0 {
		return true
	}
	b.label, b.labelRange = syntax.Labels[0], r.text.rangeOf(ranges[0])
	if r.text.holed(ranges[0]) {
		return false
	}
	if r.text.clean[ranges[0].Start.Byte] != '"' {
		r.errorf(ranges[0], quotef("write %s", b.label), "%s", unquotedSummary(b.kind))
		return false
	}
	if b.label == "" {
		r.errorf(ranges[0], fmt.Sprintf("write %s %q {", b.kind, exampleLabel(b.kind)), "the %s of this %s is empty", k.label, b.kind)
		return false
	}
	return true
}

func exampleLabel(kind string) string {
	switch kind {
	case "host":
		return "shop.localhost"
	case "route":
		return "/api"
	default:
		return "web"
	}
}
