package hcl

import "github.com/zclconf/go-cty/cty"

const (
	// minCacheSize is about one large answer; less would keep nothing.
	minCacheSize = 100_000
	// maxCacheSize is more memory than is ever left on a developer's machine:
	// above it is a slip.
	maxCacheSize = 64 << 30
)

// decodeCache decodes cache = true or { size }; nil when it is absent or a
// mistake.
func (d *decoder) decodeCache(b *body) *Cache {
	v, written, off := d.switched(b, "cache")
	switch {
	case !written || !off && !v.IsKnown():
		return nil
	case off:
		return &Cache{Off: true, Range: v.at()}
	case v.is(cty.Bool):
		return &Cache{Size: DefaultCacheSize, Range: v.at()}
	case !v.isObject():
		detail := "write true"
		if v.is(cty.String) {
			detail = "write { size = " + v.written() + " }"
		}
		d.errorf(v.at(), detail, "cache is true, false or an object")
		return nil
	}
	c := &Cache{Size: DefaultCacheSize, Range: v.at()}
	for _, f := range d.object(v, "cache", []string{"size"}) {
		size, ok := d.size(f.value, "size")
		if !ok {
			return nil
		}
		if size < minCacheSize || size > maxCacheSize {
			d.errorf(f.at(), `write one of "100kB" to "64GiB"; it is memory`, "a cache of %q is out of range", f.AsString())
			return nil
		}
		c.Size = size
	}
	return c
}
