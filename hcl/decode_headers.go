package hcl

import (
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// ownFields are the header fields that only devproxy can set rightly, since
// they are about one connection and not about the message (RFC 9110 section
// 7.6.1, RFC 9112 section 6).
func ownFields() []string {
	return []string{
		"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	}
}

// KeepHost is the value of Host in request_headers that sends the client's own.
const KeepHost = "{host}"

// decodeHeaders decodes request_headers or response_headers.
func (d *decoder) decodeHeaders(b *body, name string) (map[string]*string, map[string]Flow) {
	v, present := d.get(b, name)
	if !present || !v.IsKnown() {
		return nil, nil
	}
	headers, flows := d.headerMap(v, name)
	if text, is := headers["Host"]; is && name == "request_headers" && text == nil {
		d.errorf(v.at(), `write Host = "example.com" to send another`, "no request goes without Host")
		delete(headers, "Host")
	}
	return headers, flows
}

// headerMap is v as field values by canonical name, nil removes the field; and
// what flows into them, by the same names.
func (d *decoder) headerMap(v value, what string) (map[string]*string, map[string]Flow) {
	if !v.IsKnown() {
		return nil, nil
	}
	if v.IsNull() || !v.isObject() {
		d.errorf(v.at(), "write "+what+` = { X-Debug = "1" }`, "%s is an object", what)
		return nil, nil
	}
	headers := map[string]*string{}
	var flows map[string]Flow
	first := map[string]Range{}
	for _, f := range d.fields(v) {
		name, ok := d.fieldName(f)
		if !ok {
			continue
		}
		if slices.Contains(ownFields(), name) {
			d.errorf(f.nameAt, "remove it", "devproxy sets %s itself", name)
			continue
		}
		if before, twice := first[name]; twice {
			d.errorf(f.nameAt, "the first is at "+place(before), "a second %s", name)
			continue
		}
		first[name] = f.nameAt
		if flow := d.flow(f.value); !flow.Empty() {
			if flows == nil {
				flows = map[string]Flow{}
			}
			flows[name] = flow
		}
		if f.IsKnown() && f.IsNull() {
			headers[name] = nil
			continue
		}
		text, ok := d.scalar(f.value, "the value of "+name)
		if name == "Host" && what == "request_headers" && HasPlaceholder(text) && text != KeepHost {
			d.errorf(f.at(), `write Host = "{host}" to keep the client's, or a name`, "Host is {host} alone, or has no placeholder")
			continue
		}
		if ok && (what == "headers" || d.checkPlaceholders(f.value, text, flows[name])) {
			headers[name] = &text
		}
	}
	return headers, flows
}

// scalar is a string, a number or a bool as text that can stand in a header
// field.
func (d *decoder) scalar(v value, what string) (text string, ok bool) {
	if !v.IsWhollyKnown() {
		return "", false
	}
	if v.IsNull() || !v.Type().IsPrimitiveType() {
		d.errorf(v.at(), "this is "+typeName(v.Value), "%s is a string", what)
		return "", false
	}
	converted, err := convert.Convert(v.Value, cty.String)
	if err != nil {
		d.errorf(v.at(), sentence(err.Error()), "%s is a string", what)
		return "", false
	}
	text = converted.AsString()
	if what != "body" && strings.ContainsFunc(text, func(r rune) bool { return r != '\t' && isControl(r) }) {
		d.errorf(v.at(), "write it on one line", "%s has a control character", what)
		return "", false
	}
	return text, true
}
