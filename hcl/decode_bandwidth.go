package hcl

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

var rateOfBytes = regexp.MustCompile(`^([0-9]{1,15}(?:\.[0-9]{1,9})?)([A-Za-z]+)/s$`)

// bandwidth is v as bytes a second; 0, and reported, when it is none.
func (d *decoder) bandwidth(v value) int64 {
	const example = `write one like "1.5Mbit/s" or "200kB/s"`
	text, ok := d.str(v, "bandwidth")
	if !ok {
		return 0
	}
	amount, unit, ok := split(text, rateOfBytes)
	by, bits := units()[unit], int64(1)
	if base, is := strings.CutSuffix(unit, "bit"); is {
		by, bits = units()[base+"B"], 8
	}
	if !ok || by == 0 {
		d.errorf(v.at(), bandwidthHint(text, example), "%q is no bandwidth", text)
		return 0
	}
	n, ok := scale(amount, by, bits)
	if !ok || n > maxSize {
		d.errorf(v.at(), example, "the bandwidth %q is out of range", text)
		return 0
	}
	return n
}

var looseBandwidth = regexp.MustCompile(`(?i)^\s*([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)(b|bit|bits|byte|bytes)?\s*(?:/s|ps|/sec|/second)?\s*$`)

// bandwidthHint is what was probably meant by text: "1.5Mbps", "200 KB/s",
// "3M".
func bandwidthHint(text, example string) string {
	m := looseBandwidth.FindStringSubmatch(text)
	if m == nil {
		return example
	}
	prefix := strings.ToUpper(m[2])
	if prefix == "K" {
		prefix = "k"
	}
	unit := "bit"
	if m[3] == "B" || strings.HasPrefix(strings.ToLower(m[3]), "byte") {
		unit = "B"
	}
	return quotef("write %s", m[1]+prefix+unit+"/s")
}

// percent is v as a share of 1; not ok, and reported, when it is none.
func (d *decoder) percent(v value, what string) (part float64, ok bool) {
	const example = `write one like "5%"`
	if !v.known() {
		return 0, false
	}
	if v.Type() != cty.String {
		detail := example
		if v.Type() == cty.Number {
			n, _ := v.AsBigFloat().Float64()
			if n > 0 && n < 1 {
				n *= 100
			}
			if n >= 0 && n <= 100 {
				detail = quotef("write %s", fmt.Sprintf("%.4g%%", n))
			}
		}
		d.errorf(v.at(), detail, "%s is a string", what)
		return 0, false
	}
	text := v.AsString()
	m := percentForm.FindStringSubmatch(text)
	if m == nil {
		d.errorf(v.at(), example, "%q is no percentage", text)
		return 0, false
	}
	if _, err := fmt.Sscan(m[1], &part); err != nil || part > 100 || math.IsNaN(part) {
		d.errorf(v.at(), `write one of "0%" to "100%"`, "%q is more than all", text)
		return 0, false
	}
	return part / 100, true
}

var percentForm = regexp.MustCompile(`^([0-9]{1,9}(?:\.[0-9]{1,9})?)\s?%$`)
