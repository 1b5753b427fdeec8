package hcl

import "github.com/zclconf/go-cty/cty"

// decodeAround fills in what hosts and routes put around their answer.
func (d *decoder) decodeAround(b *body, s *Settings) {
	s.CORS = d.decodeCORS(b)
	s.BasicAuth = d.decodeBasicAuth(b)
	s.Allow = d.decodeRanges(b, "allow")
	s.Deny = d.decodeRanges(b, "deny")
	s.RateLimit = d.decodeRateLimit(b)
	s.Compress = d.decodeCompress(b)
	s.Cache = d.decodeCache(b)
	s.MaxBody = d.decodeMaxBody(b)
	s.Simulate = d.decodeSimulate(b)
}

// switched is an attribute that false and null turn off: there is nothing to
// look at then, nor where it is not written.
func (d *decoder) switched(b *body, name string) (v value, written, off bool) {
	v, present := d.get(b, name)
	written = b.attrs[name] != nil
	return v, written, written && (!present || v.is(cty.Bool) && v.False())
}

func (d *decoder) decodeCompress(b *body) *bool {
	if _, written, off := d.switched(b, "compress"); written && off {
		return new(bool)
	}
	return d.boolean(b, "compress")
}
