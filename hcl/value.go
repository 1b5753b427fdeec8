package hcl

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// value is an evaluated expression with its place. It is unknown if a mistake in
// it has been reported; then nothing more is reported about it.
type value struct {
	cty.Value
	expr  hclsyntax.Expression
	text  *text
	scope *scope
	// env are the variables that flow into it as a whole, sorted.
	env []string
	// computed reports that it is computed from them.
	computed bool
}

func (v value) at() Range { return v.text.rangeOf(v.expr.Range()) }

// place returns where mistakes in v are reported.
func (v value) place() place { return v.scope.at(v.at()) }

func (v value) errorf(detail, format string, args ...any) { v.place().errorf(detail, format, args...) }

func (v value) warnf(detail, format string, args ...any) { v.place().warnf(detail, format, args...) }

// written returns the expression as it is in the file.
func (v value) written() string { return v.text.written(v.expr.Range()) }

// known reports whether v and everything in it is known and not null.
func (v value) known() bool { return v.IsWhollyKnown() && !v.IsNull() }

func (v value) is(t cty.Type) bool { return v.known() && v.Type() == t }

func (v value) isObject() bool { return v.Type().IsObjectType() || v.Type().IsMapType() }

// isList reports whether v is a list. A list in brackets is one even if an element
// has a mistake; the others are checked.
func (v value) isList() bool {
	return v.Type().IsTupleType() || v.Type().IsListType() || v.Type().IsSetType() || v.inBrackets()
}

func (v value) inBrackets() bool {
	_, is := v.expr.(*hclsyntax.TupleConsExpr)
	return is
}

// isOff reports whether v is false or null, which turn a setting off.
func (v value) isOff() bool { return v.IsNull() || v.is(cty.Bool) && v.False() }

// isBare reports a value without content.
func (v value) isBare() bool {
	return v.IsKnown() && (v.IsNull() || v.Type() == cty.Bool || v.CanIterateElements() && v.LengthInt() == 0)
}

// typeName returns what people call the type of v.
func (v value) typeName() string {
	switch t := v.Type(); {
	case v.IsNull():
		return "null"
	case v.isObject():
		return "an object"
	case t.IsTupleType() || t.IsListType() || t.IsSetType():
		return "a list"
	case t == cty.String:
		return "a string"
	case t == cty.Number:
		return "a number"
	case t == cty.Bool:
		return "true or false"
	default:
		return "a " + t.FriendlyName()
	}
}

// str returns v as a string. Diagnostics call it what.
func (v value) str(what string) (text string, ok bool) {
	switch {
	case v.IsKnown() && v.IsNull():
		v.errorf("write a string", "%s is null", what)
		return "", false
	case !v.known():
		return "", false
	case v.Type() == cty.String:
		return v.AsString(), true
	}
	detail := "this is " + v.typeName()
	if v.Type().IsPrimitiveType() {
		if text, err := convert.Convert(v.Value, cty.String); err == nil {
			detail = suggest(text.AsString())
		}
	}
	v.errorf(detail, "%s must be a string", what)
	return "", false
}

// scalar returns a string, number or bool as text that a header field can have.
// A body may also have control characters.
func (v value) scalar(what string) (text string, ok bool) {
	if !v.IsWhollyKnown() {
		return "", false
	}
	if v.IsNull() || !v.Type().IsPrimitiveType() {
		v.errorf("this is "+v.typeName(), "%s must be a string", what)
		return "", false
	}
	converted, err := convert.Convert(v.Value, cty.String)
	if err != nil {
		v.errorf(sentence(err.Error()), "%s must be a string", what)
		return "", false
	}
	text = converted.AsString()
	if what != "body" && strings.ContainsFunc(text, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
		v.errorf("write it on one line", "%s contains a control character", what)
		return "", false
	}
	return text, true
}

// oneOf returns f if it is one of words, else "". meant has advice for some other
// words.
func (f field) oneOf(words []string, meant map[string]string) string {
	if !f.known() {
		return ""
	}
	choices := "write " + alternatives(strings.Split(quoteList(words), ", "))
	if f.Type() != cty.String {
		f.errorf(choices, "%s must be a string", f.name)
		return ""
	}
	text := f.AsString()
	if slices.Contains(words, text) {
		return text
	}
	f.errorf(cmp.Or(meant[text], didYouMean(text, words, choices)), "unknown "+f.name+" %q", text)
	return ""
}

// integer returns the whole number v.
func integer(v cty.Value) (n int, ok bool) {
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.Number {
		return 0, false
	}
	exact, accuracy := v.AsBigFloat().Int64()
	return int(exact), accuracy == 0 && int64(int(exact)) == exact
}

// elements returns the elements of a list. Those of a list in brackets have their
// own places.
func (v value) elements() []value {
	var parts []value
	if tuple, is := v.expr.(*hclsyntax.TupleConsExpr); is {
		for _, expr := range tuple.Exprs {
			parts = append(parts, v.scope.newValue(v.scope.value(expr, v.text), expr, v.text, v))
		}
		return parts
	}
	for it := v.ElementIterator(); it.Next(); {
		_, element := it.Element()
		parts = append(parts, v.scope.newValue(element, v.expr, v.text, v))
	}
	return parts
}

// oneOrMore returns the elements of a list, which must not be empty, and otherwise v
// alone.
func (v value) oneOrMore(detail, summary string) []value {
	if !v.isList() {
		return []value{v}
	}
	elements := v.elements()
	if len(elements) == 0 {
		v.errorf(detail, "%s", summary)
	}
	return elements
}

// field is an attribute of a block, or one entry of an object or map.
type field struct {
	name   string
	nameAt Range
	value
}

// get evaluates an attribute of b. It is absent if it is not written or null.
func (s *scope) get(b *block, name string) (f field, present bool) {
	attr := b.attrs[name]
	if attr == nil {
		return field{}, false
	}
	v := s.newValue(s.value(attr.Expr, attr.text), attr.Expr, attr.text, value{})
	s.noteFlow(b, name, v)
	return field{name, attr.nameRange(), v}, !v.IsNull()
}

// boolean returns f as a bool; nil if it is null or a mistake.
func (f field) boolean() *bool {
	if !f.known() {
		return nil
	}
	if f.Type() == cty.Bool {
		return new(f.True())
	}
	detail := "write true or false"
	if f.Type() == cty.String && (f.AsString() == "true" || f.AsString() == "false") {
		detail = "write " + f.AsString() + ", without quotes"
	}
	f.errorf(detail, "%s must be true or false", f.name)
	return nil
}

// isTrue returns f as a bool; false if it is a mistake.
func (f field) isTrue() bool {
	is := f.boolean()
	return is != nil && *is
}

// list returns the elements of f, a list of what, like example.
func (f field) list(what, example string) (elements []value, ok bool) {
	switch {
	case !f.IsKnown() && !f.inBrackets():
		return nil, false
	case f.isList():
		return f.elements(), true
	}
	detail := "write [" + example + "]"
	if f.is(cty.String) {
		detail = "write [" + f.written() + "]"
	}
	f.errorf(detail, "%s must be a list of %s", f.name, what)
	return nil, false
}

// texts yields the elements that are strings. The others are reported: each should
// be what.
func texts(elements []value, what string) iter.Seq2[value, string] {
	return func(yield func(value, string) bool) {
		for _, element := range elements {
			if text, ok := element.str(what); ok && !yield(element, text) {
				return
			}
		}
	}
}

// names returns the elements of f, a list of what, that check does not refuse; it
// returns the name as it is used.
func (f field) names(what, one, example string, check func(p place, text string) string) []Name {
	var names []Name
	elements, _ := f.list(what, example)
	for element, text := range texts(elements, one) {
		if name := check(element.place(), text); name != "" {
			names = append(names, Name{Value: name, Range: element.at(), Flow: element.flow()})
		}
	}
	return names
}

// notEmpty reports an empty list.
func (f field) notEmpty(detail, summary string) {
	if f.isList() && f.isBare() {
		f.scope.at(f.nameAt).errorf(detail, "%s", summary)
	}
}

// literalText returns the value of a string that is not an expression.
func literalText(expr hclsyntax.Expression) (text string, ok bool) {
	v, diags := expr.Value(nil)
	if diags.HasErrors() || v.Type() != cty.String || !v.IsKnown() || v.IsNull() {
		return "", false
	}
	return v.AsString(), true
}

// fields returns the entries of an object, sorted by name. Those of an object in
// braces have their own places.
func (v value) fields() []field {
	written := map[string]hclsyntax.ObjectConsItem{}
	if object, is := v.expr.(*hclsyntax.ObjectConsExpr); is {
		for _, item := range object.Items {
			if name, ok := literalText(item.KeyExpr); ok {
				written[name] = item
			}
		}
	}
	var parts []field
	for it := v.ElementIterator(); it.Next(); {
		key, element := it.Element()
		f := field{name: key.AsString(), nameAt: v.at(), value: v.scope.newValue(element, v.expr, v.text, v)}
		if item, found := written[f.name]; found {
			f.nameAt = v.text.rangeOf(item.KeyExpr.Range())
			f.value = v.scope.newValue(element, item.ValueExpr, v.text, v)
		}
		parts = append(parts, f)
	}
	return parts
}

// entry is an attribute of a block, or a field of an object, that is decoded into
// a T.
type entry[T any] struct {
	name string
	// decode sets the field of T; nil if more than the value is needed for that.
	decode func(f field, into *T)
	// null is true if null is decoded too. For other entries, null means left out.
	null bool
}

func entryNames[T any](entries []entry[T]) []string {
	return mapped(entries, func(e entry[T]) string { return e.name })
}

// decodeBlock decodes the attributes of b.
func decodeBlock[T any](s *scope, b *block, entries []entry[T], into *T) {
	for _, e := range entries {
		if e.decode == nil || b.attrs[e.name] == nil {
			continue
		}
		if f, present := s.get(b, e.name); present || e.null {
			e.decode(f, into)
		}
	}
}

// decodeObject decodes the fields of an object, which diagnostics call what.
// Unknown fields are reported.
func decodeObject[T any](v value, what string, entries []entry[T], into *T) {
	names := entryNames(entries)
	for _, f := range v.fields() {
		switch i := slices.Index(names, f.name); {
		case i < 0:
			v.scope.at(f.nameAt).errorf(didYouMean(f.name, names, "known here: "+alternatives(names)), "unknown field %q in %s", f.name, what)
		case !f.IsNull():
			entries[i].decode(f, into)
		}
	}
}
