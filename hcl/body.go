package hcl

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// body is the content of a block, checked against the language: names are known,
// values are not evaluated yet.
type body struct {
	attrs  map[string]*attribute
	blocks []*block
	// damaged is true if a mistake inside has been reported. Then nothing is
	// reported as missing.
	damaged bool
}

// attribute is NAME = VALUE. It has its own text, because a body may be merged
// from two files.
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
	*body
}

// title returns how diagnostics call the block.
func (b *block) title() string {
	if b.label == "" {
		return b.kind
	}
	return b.kind + " " + strconv.Quote(b.label)
}

func (b *body) only(kind string) []*block {
	return slices.DeleteFunc(slices.Clone(b.blocks), func(inner *block) bool { return inner.kind != kind })
}

func (b *body) without(kind string) []*block {
	return slices.DeleteFunc(slices.Clone(b.blocks), func(inner *block) bool { return inner.kind == kind })
}

// merge merges over, the body of a Proxyfile.local, into b. Its attributes win.
// Its blocks are merged with the first block of the same identity, or added. An
// attribute set to null is kept, because that is how one is unset.
//
// If two blocks of over have the same identity, only the first is merged. The
// second is added and later reported as a duplicate.
func (b *body) merge(over *body, identity func(*block) string) {
	maps.Copy(b.attrs, over.attrs)
	b.damaged = b.damaged || over.damaged
	under := map[string]*block{}
	for _, inner := range b.blocks {
		id := identity(inner)
		if under[id] == nil {
			under[id] = inner
		}
	}
	for _, inner := range over.blocks {
		id := identity(inner)
		first := under[id]
		if first == nil {
			b.blocks = append(b.blocks, inner)
			continue
		}
		delete(under, id)
		first.merge(inner.body, identity)
	}
}

// topIdentity identifies a block of the top level.
func topIdentity(b *block) string {
	return b.kind + " " + strings.ToLower(b.label)
}

// reader makes bodies from the syntax tree of one file.
type reader struct {
	*reporter
	text     *text
	language map[string]kind
	// labelled is true if the block whose body is read has its label.
	labelled bool
}

func (r *reader) errorf(at hcl.Range, detail, format string, args ...any) {
	r.at(r.text.rangeOf(at)).errorf(detail, format, args...)
}

// body reads the content of a block of kind k, which diagnostics call title.
func (r *reader) body(syntax *hclsyntax.Body, k kind, title string) *body {
	b := &body{attrs: map[string]*attribute{}, damaged: r.text.isRepaired(syntax.SrcRange)}
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
			continue // reported with the block's header
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
	name, at := attr.Name, attr.NameRange
	later, isPlanned := k.later[name]
	_, isBlock := r.language[name]
	switch {
	case isPlanned:
		r.errorf(at, later, "%q is not built yet", name)
	case isBlock && (slices.Contains(k.blocks, name) || len(owners(r.language, name)) == 0 || name == "listen"):
		r.errorf(at, r.blockForm(attr, body, k), "%q is a block, not an attribute", name)
	case k.label == "" && body.Attributes["host"] != nil && (slices.Contains(settings(), name) || isPortKey(name)):
		// It is part of the block that is advised instead of the host attribute.
	case slices.Contains(includes(), name):
		r.errorf(at, includeDetail, includeSummary)
	case isBuiltIn(name) || slices.Contains([]string{"websocket", "websockets", "ws", "changeOrigin", "change_origin", "secure", "ssl", "h2"}, name):
		r.errorf(at, builtIn, "unknown attribute %q in %s", name, title)
	default:
		r.errorf(at, cmp.Or(r.serviceForm(attr, body, k), r.otherForm(attr, k), r.suggest(name, k)), "unknown attribute %q in %s", name, title)
	}
}

// block reads a block inside a body of kind outer. It returns nil if the block
// cannot be used.
func (r *reader) block(syntax *hclsyntax.Block, outer kind, title string) *block {
	k, known := r.language[syntax.Type]
	isAttribute := slices.Contains(outer.words(), syntax.Type)
	unusable := func(detail, format string, args ...any) *block {
		r.errorf(syntax.TypeRange, detail, format, args...)
		return nil
	}
	switch {
	case !known && isAttribute:
		return unusable(r.attributeForm(syntax), "%q is an attribute, not a block", syntax.Type)
	case !known && outer.free:
		return unusable(fmt.Sprintf("write %s = {", syntax.Type), "%s has values, not blocks", title)
	case slices.Contains(includes(), syntax.Type):
		return unusable(includeDetail, includeSummary)
	case !known || syntax.Type == "":
		detail := r.suggest(syntax.Type, outer)
		if isBuiltIn(syntax.Type) {
			detail = builtIn
		}
		return unusable(cmp.Or(r.otherBlock(syntax, outer), detail), "unknown block %q in %s", syntax.Type, title)
	case !slices.Contains(outer.blocks, syntax.Type) && isAttribute:
		// share is a block of the file and an attribute of a host.
		return unusable(r.attributeForm(syntax), "%q is an attribute in %s, not a block", syntax.Type, title)
	case !slices.Contains(outer.blocks, syntax.Type):
		detail := "put it at the top level of the file"
		if syntax.Type == "route" {
			detail = "put it in a host"
		}
		return unusable(detail, "a %s block can't be in %s", syntax.Type, title)
	}
	b := &block{kind: syntax.Type, header: r.text.rangeOf(syntax.DefRange())}
	b.label = r.label(b, syntax, k)
	outside := r.labelled
	r.labelled = len(syntax.Labels) > 0
	b.body = r.body(syntax.Body, k, b.title())
	r.labelled = outside
	return b
}

// label checks the labels of b and returns the one it needs. It is empty for a
// mistake; the content of the block is checked in any case.
func (r *reader) label(b *block, syntax *hclsyntax.Block, k kind) string {
	ranges := syntax.LabelRanges
	switch {
	case k.label == "" && len(ranges) > 0 && !r.text.isRepaired(ranges[0]):
		r.errorf(ranges[0], "remove it", "a %s block can't have a name", b.kind)
		return ""
	case k.label == "" || len(ranges) > 1 && r.text.isRepaired(ranges[1]):
		return ""
	case len(ranges) == 0:
		label := exampleLabel(b.kind)
		for _, name := range sortedKeys(syntax.Body.Attributes) {
			if text := r.literal(syntax.Body.Attributes[name]); isLabelKey(name) && text != "" {
				label = text
			}
		}
		r.errorf(syntax.TypeRange, fmt.Sprintf("write %s %s {", b.kind, Quote(label)), "a %s block needs a %s", b.kind, k.label)
		return ""
	case len(ranges) > 1:
		detail := "remove it"
		if b.kind == "host" {
			detail = `for more names, write aliases = ["…"]`
		}
		r.errorf(ranges[1], detail, "a %s block can have only one %s", b.kind, k.label)
	}
	label := syntax.Labels[0]
	b.labelRange = r.text.rangeOf(ranges[0])
	switch {
	case r.text.isRepaired(ranges[0]):
	case r.text.clean[ranges[0].Start.Byte] != '"':
		r.errorf(ranges[0], suggest(label), "%s", unquotedSummary(b.kind))
	case label == "":
		r.errorf(ranges[0], fmt.Sprintf("write %s %q {", b.kind, exampleLabel(b.kind)), "the %s of this %s is empty", k.label, b.kind)
	default:
		return label
	}
	return ""
}
