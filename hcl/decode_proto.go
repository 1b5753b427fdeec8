package hcl

import (
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// decodeForwardedProto decodes forwarded_proto = "http"; empty when it is absent
// or a mistake.
func (d *decoder) decodeForwardedProto(b *body) ForwardedProto {
	v, present := d.get(b, "forwarded_proto")
	switch {
	case !present || !v.known():
		return ""
	case v.Type() != cty.String:
		d.errorf(v.at(), `write "http" or "https"`, "forwarded_proto is a string")
		return ""
	}
	text := v.AsString()
	if isForwardedProto(text) {
		return ForwardedProto(text)
	}
	detail := `write "http" or "https"`
	if scheme, _, _ := strings.Cut(strings.ToLower(text), ":"); isForwardedProto(scheme) {
		detail = quotef("write %s", scheme)
	}
	d.errorf(v.at(), detail, "unknown forwarded_proto %q", text)
	return ""
}

func isForwardedProto(text string) bool {
	return text == string(ForwardedHTTP) || text == string(ForwardedHTTPS)
}
