package hcl

import (
	"math/big"
	"regexp"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// maxSize bounds what is written as a number of bytes.
const maxSize = 1 << 40

// units are the sizes that there are: powers of 1000, as in SI, and of 1024
// with an "i" (IEC 80000-13). "KB" is what many write for kB.
func units() map[string]int64 {
	return map[string]int64{
		"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	}
}

var sizeForm = regexp.MustCompile(`^([0-9]{1,15}(?:\.[0-9]{1,9})?)([A-Za-z]+)$`)

// decodeMaxBody decodes max_body = "10MB", "0" for none; nil when it is absent
// or a mistake.
func (d *decoder) decodeMaxBody(b *body) *int64 {
	v, written, _ := d.switched(b, "max_body")
	switch {
	case !written:
		return nil
	case v.IsKnown() && v.IsNull(), v.is(cty.String) && v.AsString() == "0":
		return new(int64)
	}
	size, ok := d.size(v, "max_body")
	if !ok {
		return nil
	}
	return &size
}

// size is v as a number of bytes, at least 1.
func (d *decoder) size(v value, what string) (size int64, ok bool) {
	const example = `write one like "10MB" or "512KiB"`
	if !v.known() {
		return 0, false
	}
	if v.Type() != cty.String {
		detail := example
		if n, whole := integer(v.Value); whole && n == 0 && what == "max_body" {
			detail = `write "0" for none`
		} else if v.Type() == cty.Number {
			detail = quotef("write %s for so many bytes, or kB, MB, MiB", v.written()+"B")
		}
		d.errorf(v.at(), detail, "%s is a string", what)
		return 0, false
	}
	text := v.AsString()
	amount, unit, ok := split(text, sizeForm)
	if !ok || units()[unit] == 0 {
		d.errorf(v.at(), sizeHint(text, example), "%q is no size", text)
		return 0, false
	}
	size, ok = scale(amount, units()[unit], 1)
	if !ok || size > maxSize {
		d.errorf(v.at(), "write one of 1B to 1TiB", "the size %q is out of range", text)
		return 0, false
	}
	return size, true
}

var looseSize = regexp.MustCompile(`(?i)^\s*([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)(i?)(b|bytes?|)\s*$`)

// sizeHint is what was probably meant by text: "10mb", "10 MB", "10M".
func sizeHint(text, example string) string {
	m := looseSize.FindStringSubmatch(text)
	if m == nil {
		return example
	}
	prefix := strings.ToUpper(m[2])
	switch {
	case prefix != "" && m[3] != "":
		prefix += "i"
	case prefix == "K":
		prefix = "k"
	}
	return quotef("write %s", m[1]+prefix+"B")
}

func split(text string, form *regexp.Regexp) (amount, unit string, ok bool) {
	m := form.FindStringSubmatch(text)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// scale is amount times by divided by per, rounded down; not ok below 1.
func scale(amount string, by, per int64) (n int64, ok bool) {
	exact, ok := new(big.Rat).SetString(amount)
	if !ok {
		return 0, false
	}
	exact.Mul(exact, big.NewRat(by, per))
	whole := new(big.Int).Quo(exact.Num(), exact.Denom())
	if !whole.IsInt64() || whole.Int64() < 1 {
		return 0, false
	}
	return whole.Int64(), true
}
