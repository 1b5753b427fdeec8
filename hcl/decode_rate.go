package hcl

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// maxRate bounds rates and bursts: above it nothing is limited, and a count
// still fits everywhere.
const maxRate = 1_000_000

const rateExample = `write one like "10/s", "100/m" or "1000/h"`

// decodeRateLimit decodes rate_limit = "10/s" or { rate, burst, by }; nil when
// it is absent or a mistake.
func (d *decoder) decodeRateLimit(b *body) *RateLimit {
	v, written, off := d.switched(b, "rate_limit")
	switch {
	case !written || !off && !v.IsKnown():
		return nil
	case off:
		return &RateLimit{Off: true, Range: v.at()}
	case v.isObject():
		return d.rateObject(v)
	}
	limit := &RateLimit{By: RateByAddress, Range: v.at()}
	if !d.rate(v, limit) {
		return nil
	}
	limit.Burst = limit.Count
	return limit
}

func (d *decoder) rateObject(v value) *RateLimit {
	limit := &RateLimit{By: RateByAddress, Range: v.at()}
	good, hasRate := true, false
	for _, f := range d.object(v, "rate_limit", []string{"rate", "burst", "by"}) {
		switch f.name {
		case "rate":
			hasRate = true
			good = d.rate(f.value, limit) && good
		case "burst":
			limit.Burst = d.count(f.value, "burst", maxRate)
			good = good && limit.Burst > 0
		case "by":
			limit.By = d.rateKey(f.value)
			good = good && limit.By != ""
		}
	}
	if !hasRate {
		d.errorf(v.at(), `write rate_limit = { rate = "10/s" }`, "rate_limit has no rate")
	}
	if !good || !hasRate {
		return nil
	}
	if limit.Burst == 0 {
		limit.Burst = limit.Count
	}
	return limit
}

var (
	rateForm = regexp.MustCompile(`^([0-9]+)/([smh])$`)
	// looseRate is how others write rates: "10r/s", "10 per second", "10/min".
	looseRate = regexp.MustCompile(`(?i)^\s*([0-9]+)\s*(?:r|reqs?|requests?)?\s*(?:/|per|p)\s*([smh])[a-z]*\s*$`)
)

// rate fills in the rate that v says.
func (d *decoder) rate(v value, limit *RateLimit) bool {
	if !v.known() {
		return false
	}
	if v.Type() != cty.String {
		detail := rateExample
		if v.Type() == cty.Number {
			detail = quotef("write %s, or /m, /h", v.written()+"/s")
		}
		d.errorf(v.at(), detail, "a rate is a string")
		return false
	}
	text := v.AsString()
	m := rateForm.FindStringSubmatch(text)
	if m == nil {
		detail := rateExample
		if loose := looseRate.FindStringSubmatch(text); loose != nil {
			detail = quotef("write %s", loose[1]+"/"+strings.ToLower(loose[2]))
		}
		d.errorf(v.at(), detail, "%q is no rate", text)
		return false
	}
	count, err := strconv.Atoi(m[1])
	if err != nil || count < 1 || count > maxRate {
		d.errorf(v.at(), fmt.Sprintf("write one of 1 to %d; null for no limit", maxRate), "the rate %q is out of range", text)
		return false
	}
	limit.Count = count
	limit.Per = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[m[2]]
	return true
}

func (d *decoder) rateKey(v value) RateKey {
	text, ok := d.str(v, "by")
	if !ok {
		return ""
	}
	keys := []string{string(RateByAddress), string(RateByUser), string(RateByAll)}
	if !slices.Contains(keys, text) {
		detail := didYouMean(text, keys, "write "+list(keys))
		if text == "ip" || text == "client" {
			detail = `write "address"`
		}
		d.errorf(v.at(), detail, "requests are not counted by %q", text)
		return ""
	}
	return RateKey(text)
}

// count is v as a whole number from 1 to limit; 0, and reported, when it is
// none.
func (d *decoder) count(v value, what string, limit int) int {
	if !v.known() {
		return 0
	}
	n, ok := integer(v.Value)
	if !ok || n < 1 || n > limit {
		d.errorf(v.at(), fmt.Sprintf("write one of 1 to %d", limit), "%s is a whole number, not %s", what, v.written())
		return 0
	}
	return n
}
