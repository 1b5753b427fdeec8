package hcl

import (
	"fmt"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// value is one evaluated expression and its place. It is unknown where a
// mistake in it has been reported: then nothing is said of it.
type value struct {
	cty.Value
	expr hclsyntax.Expression
	text *text
	// env are the variables that flow into it as a whole, sorted.
	env []string
	// computed reports that it is computed from them.
	computed bool
}

func (v value) at() Range { return v.text.rangeOf(v.expr.Range()) }

// written is the expression as it stands in the file.
func (v value) written() string {
	at := v.at()
	return string(v.text.src[at.Start.Byte:at.End.Byte])
}

// known reports whether v can be looked at: it and all in it is known and
// not null.
func (v value) known() bool { return v.IsWhollyKnown() && !v.IsNull() }

func (v value) is(t cty.Type) bool { return v.known() && v.Type() == t }

func (v value) isObject() bool { return v.Type().IsObjectType() || v.Type().IsMapType() }

func (v value) isList() bool {
	return v.Type().IsTupleType() || v.Type().IsListType() || v.Type().IsSetType()
}

// writtenOut reports whether v is a list in brackets: its elements can be
// looked at also when one of them has a mistake.
func (v value) writtenOut() bool {
	_, is := v.expr.(*hclsyntax.TupleConsExpr)
	return is
}

// get evaluates an attribute of b. It is absent when it is not written or is
// null.
func (d *decoder) get(b *body, name string) (v value, present bool) {
	attr := b.attrs[name]
	if attr == nil {
		return value{}, false
	}
	v = d.attribute(attr)
	d.noteFlow(name, v)
	return v, !v.IsNull()
}

// attribute is the value of attr, of which d.get is the usual reader.
func (d *decoder) attribute(attr *attribute) value {
	return d.newValue(d.scope.value(attr.Expr, attr.text), attr.Expr, attr.text, value{})
}

// noteFlow notes that variables flow into the attribute of that name, once.
func (d *decoder) noteFlow(name string, v value) {
	at := v.at()
	if d.flowed[at] {
		return
	}
	flow := d.comesFrom(v)
	if flow.Empty() {
		return
	}
	d.flowed[at] = true
	whole := v.computed
	if names, written := d.writtenNames(v); written {
		// The names of such an object are as they are: nothing picks one, and
		// their order does not matter.
		_, parts := v.partsEnv()
		whole, flow.Computed = names, names || parts
	}
	if !isShown(name) {
		d.concealed.hide(v, flow)
	}
	d.file.Flows = append(d.file.Flows, AttributeFlow{Attribute: name, Block: d.block, Bare: v.isBare(), Whole: whole, Flow: flow})
}

// writtenNames reports whether v is an object that is written out, and whether one
// of its names is computed.
func (d *decoder) writtenNames(v value) (computed, written bool) {
	object, written := unwrapped(v.expr).(*hclsyntax.ObjectConsExpr)
	if !written {
		return false, false
	}
	for _, item := range object.Items {
		_, marks := d.scope.value(unwrapped(item.KeyExpr), v.text).UnmarkDeep()
		computed = computed || isComputed(marks)
	}
	return computed, true
}

// isBare reports a value that has nothing in it.
func (v value) isBare() bool {
	if !v.IsKnown() {
		return false
	}
	return v.IsNull() || v.Type() == cty.Bool || v.CanIterateElements() && v.LengthInt() == 0
}

// isShown reports attributes whose values are not hidden as a whole. Ports,
// times and sizes have the digits of other texts; people open the addresses that
// domain, hosts, name and relay make. Upstreams and health hide their parts.
func isShown(attribute string) bool {
	switch attribute {
	case "upstream", "fallback", "health",
		"https", "http", "timeout", "hold", "expires", "max_body", "rate_limit", "cache", "simulate", "balance",
		"domain", "hosts", "name", "relay":
		return true
	}
	return false
}

// str is v as a string, which the sentence of the error calls what.
func (d *decoder) str(v value, what string) (text string, ok bool) {
	if !v.known() {
		if v.IsKnown() && v.IsNull() {
			d.errorf(v.at(), "write a string", "%s is null", what)
		}
		return "", false
	}
	if v.Type() != cty.String {
		d.wrongType(v, what, "a string")
		return "", false
	}
	return v.AsString(), true
}

// wrongType says that v should be want, quoting it where it is a plain word.
func (d *decoder) wrongType(v value, what, want string) {
	detail := fmt.Sprintf("this is %s", typeName(v.Value))
	if want == "a string" && v.known() && v.Type().IsPrimitiveType() {
		if text, err := convert.Convert(v.Value, cty.String); err == nil {
			detail = quotef("write %s", text.AsString())
		}
	}
	d.errorf(v.at(), detail, "%s is %s", what, want)
}

// typeName is how people call the type of v.
func typeName(v cty.Value) string {
	switch t := v.Type(); {
	case v.IsNull():
		return "null"
	case t.IsObjectType() || t.IsMapType():
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

// boolean is the attribute of that name; nil when it is absent.
func (d *decoder) boolean(b *body, name string) *bool {
	v, present := d.get(b, name)
	if !present || !v.known() {
		return nil
	}
	if v.Type() != cty.Bool {
		detail := "write true or false"
		if v.Type() == cty.String && (v.AsString() == "true" || v.AsString() == "false") {
			detail = "write " + v.AsString() + ", without quotes"
		}
		d.errorf(v.at(), detail, "%s is true or false", name)
		return nil
	}
	is := v.True()
	return &is
}

// integer is the whole number v, if it is one.
func integer(v cty.Value) (int, bool) {
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.Number {
		return 0, false
	}
	n, accuracy := v.AsBigFloat().Int64()
	return int(n), accuracy == 0 && int64(int(n)) == n
}

// elements are the parts of a list, each with its own place where it is
// written out.
func (d *decoder) elements(v value) []value {
	var parts []value
	if tuple, is := v.expr.(*hclsyntax.TupleConsExpr); is {
		for _, expr := range tuple.Exprs {
			parts = append(parts, d.newValue(d.scope.value(expr, v.text), expr, v.text, v))
		}
		return parts
	}
	for it := v.ElementIterator(); it.Next(); {
		_, element := it.Element()
		parts = append(parts, d.newValue(element, v.expr, v.text, v))
	}
	return parts
}

// list are the elements of an attribute that lists what, like example. It is
// not there when the attribute is absent or no list.
func (d *decoder) list(b *body, name, what, example string) (parts []value, there bool) {
	v, present := d.get(b, name)
	if !present || !v.IsKnown() && !v.writtenOut() {
		return nil, false
	}
	if !v.isList() && !v.writtenOut() {
		detail := "write [" + example + "]"
		if v.is(cty.String) {
			detail = "write [" + v.written() + "]"
		}
		d.errorf(v.at(), detail, "%s is a list of %s", name, what)
		return nil, false
	}
	return d.elements(v), true
}

// field is one entry of an object or map.
type field struct {
	name   string
	nameAt Range
	value
}

// fields are the entries of an object, each with its own place where it is
// written out, in the order of their names.
func (d *decoder) fields(v value) []field {
	byName := map[string]hclsyntax.ObjectConsItem{}
	if object, is := v.expr.(*hclsyntax.ObjectConsExpr); is {
		for _, item := range object.Items {
			if key, diags := item.KeyExpr.Value(nil); !diags.HasErrors() && key.Type() == cty.String && key.IsKnown() && !key.IsNull() {
				byName[key.AsString()] = item
			}
		}
	}
	var parts []field
	for it := v.ElementIterator(); it.Next(); {
		key, element := it.Element()
		f := field{name: key.AsString(), nameAt: v.at(), value: d.newValue(element, v.expr, v.text, v)}
		if item, found := byName[f.name]; found {
			f.nameAt = v.text.rangeOf(item.KeyExpr.Range())
			f.value = d.newValue(element, item.ValueExpr, v.text, v)
		}
		parts = append(parts, f)
	}
	return parts
}

// object are the fields of v, which has to be an object with some of the
// given names only; unknown ones are reported and left out.
func (d *decoder) object(v value, what string, names []string) []field {
	var known []field
	for _, f := range d.fields(v) {
		found := false
		for _, name := range names {
			found = found || name == f.name
		}
		if !found {
			d.errorf(f.nameAt, didYouMean(f.name, names, "known here: "+list(names)), "unknown field %q in %s", f.name, what)
			continue
		}
		if !f.IsNull() {
			known = append(known, f)
		}
	}
	return known
}
