package hcl

import (
	"fmt"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// maxDelay bounds a simulated delay: no browser waits longer.
const maxDelay = time.Hour

// delay is what sentences call the delay of simulate.
const delay = "a delay"

// decodeSimulate decodes simulate = { delay, errors, bandwidth }; nil when it is
// absent or a mistake.
func (d *decoder) decodeSimulate(b *body) *Simulate {
	const example = `write simulate = { delay = "300ms", errors = "5%" }`
	v, written, off := d.switched(b, "simulate")
	switch {
	case !written || !off && !v.IsKnown():
		return nil
	case off:
		return &Simulate{Off: true, Range: v.at()}
	case !v.isObject():
		d.errorf(v.at(), example, "simulate is an object of delay, errors and bandwidth")
		return nil
	}
	s := &Simulate{Range: v.at()}
	fields := d.object(v, "simulate", []string{"delay", "errors", "bandwidth"})
	if len(fields) == 0 && len(d.fields(v)) == 0 {
		d.errorf(v.at(), example, "there is nothing to simulate")
		return nil
	}
	for _, f := range fields {
		switch f.name {
		case "delay":
			s.Delay = d.within(f.value, delay, 0, maxDelay)
		case "errors":
			s.Errors, _ = d.percent(f.value, "errors")
		case "bandwidth":
			s.Bandwidth = d.bandwidth(f.value)
		}
	}
	return s
}

// within is v as a duration that is neither shorter nor longer; 0, and
// reported, when it is not.
func (d *decoder) within(v value, what string, shortest, longest time.Duration) time.Duration {
	if v.is(cty.Number) && what == delay {
		// A bare number is in milliseconds where others write delays.
		d.errorf(v.at(), quotef("write %s", v.written()+"ms"), "a duration is a string")
		return 0
	}
	duration, ok := d.duration(v)
	if ok && (duration < shortest || duration > longest) {
		d.errorf(v.at(), fmt.Sprintf("write one of %q to %q", short(shortest), short(longest)), "%s is not %q", what, v.AsString())
		return 0
	}
	return duration
}

// short is d as people write it, without what is zero at its end.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
