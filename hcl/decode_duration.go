package hcl

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// maxDuration bounds what is written as a time to wait.
const maxDuration = 365 * 24 * time.Hour

// decodeDuration decodes an attribute like timeout = "30s"; nil when it is
// absent.
func (d *decoder) decodeDuration(b *body, name string) *time.Duration {
	v, present := d.get(b, name)
	if !present {
		return nil
	}
	duration, ok := d.duration(v)
	switch {
	case !ok:
		return nil
	case duration < 0:
		d.errorf(v.at(), `write "0s" for none`, "a duration is not negative")
		return nil
	case duration > maxDuration:
		d.errorf(v.at(), `write "0s" for no limit`, "%q is more than a year", v.AsString())
		return nil
	}
	return &duration
}

// duration is v as a time, which may be negative.
func (d *decoder) duration(v value) (duration time.Duration, ok bool) {
	switch {
	case !v.known():
		return 0, false
	case v.Type() == cty.Number:
		d.errorf(v.at(), quotef("write %s", v.written()+"s"), "a duration is a string")
		return 0, false
	case v.Type() != cty.String:
		d.errorf(v.at(), `write one like "30s"`, "a duration is a string")
		return 0, false
	}
	text := v.AsString()
	duration, err := time.ParseDuration(text)
	if err != nil {
		d.errorf(v.at(), durationHint(text), "%q is no duration", text)
		return 0, false
	}
	return duration, true
}

var looseDuration = regexp.MustCompile(`(?i)^\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zµ]*)\s*$`)

// durationHint is what was probably meant by text.
func durationHint(text string) string {
	const example = `write it like "30s", "1m30s" or "500ms"`
	m := looseDuration.FindStringSubmatch(text)
	if m == nil {
		return example
	}
	units := map[string]string{
		"": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "s": "s", "min": "m", "mins": "m", "minute": "m", "minutes": "m", "m": "m",
		"hour": "h", "hours": "h", "hr": "h", "h": "h", "ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms",
	}
	unit := strings.ToLower(m[2])
	if unit == "d" || unit == "day" || unit == "days" {
		if days, err := strconv.Atoi(m[1]); err == nil && days < 366 {
			return quotef("write %s", strconv.Itoa(days*24)+"h")
		}
	}
	if known, is := units[unit]; is {
		return quotef("write %s", m[1]+known)
	}
	return example
}
