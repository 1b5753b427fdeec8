package hcl

import (
	"fmt"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// What health takes for what it leaves out.
const (
	defaultInterval = 2 * time.Second
	defaultProbe    = time.Second
	defaultRise     = 1
	defaultFall     = 2
)

const (
	// minInterval keeps a dev server's log readable and the machine free.
	minInterval = 100 * time.Millisecond
	maxInterval = time.Hour
	// maxInARow bounds rise and fall: at more, a member stays what it is.
	maxInARow = 100
)

// decodeHealth decodes the health attribute of a service; nil when it is absent
// or a mistake.
func (d *decoder) decodeHealth(b *body) *Health {
	v, present := d.get(b, "health")
	if !present || !v.IsKnown() {
		return nil
	}
	if !v.isObject() {
		path := "/healthz"
		if v.is(cty.String) && strings.HasPrefix(v.AsString(), "/") {
			path = v.AsString()
		}
		d.errorf(v.at(), fmt.Sprintf("write health = { path = %q }", path), "health is an object")
		return nil
	}
	h := &Health{Rise: defaultRise, Fall: defaultFall, Range: v.at()}
	before := len(d.diags)
	hasPath, timeout := false, value{}
	for _, f := range d.object(v, "health", []string{"path", "interval", "timeout", "rise", "fall", "status"}) {
		switch f.name {
		case "path":
			hasPath = true
			h.Path, h.Flow = d.healthPath(f.value), d.flow(f.value)
		case "interval":
			h.Interval = d.within(f.value, "an interval", minInterval, maxInterval)
		case "timeout":
			timeout = f.value
			h.Timeout = d.within(f.value, "a timeout", time.Millisecond, maxInterval)
		case "rise":
			h.Rise = d.count(f.value, "rise", maxInARow)
		case "fall":
			h.Fall = d.count(f.value, "fall", maxInARow)
		case "status":
			h.Status = d.status(f.value)
		}
	}
	if all := d.comesFrom(v); all.Computed {
		h.Flow = h.Flow.and(all) // members and clients see what the other fields do
	}
	if !hasPath {
		d.errorf(v.at(), `write health = { path = "/healthz" }`, "health has no path to ask for")
	}
	if len(d.diags) > before || h.Path == "" {
		return nil
	}
	return d.fitHealth(h, timeout)
}

// fitHealth fills in the times that h leaves out.
func (d *decoder) fitHealth(h *Health, timeout value) *Health {
	if h.Interval == 0 {
		h.Interval = max(defaultInterval, h.Timeout)
	}
	if h.Timeout == 0 {
		h.Timeout = min(defaultProbe, h.Interval)
	}
	if h.Timeout > h.Interval {
		d.errorf(timeout.at(), quotef("write %s, or a longer interval", h.Interval.String()), "the timeout is longer than the interval, %s", h.Interval)
		return nil
	}
	return h
}

// healthPath checks the path, with its query, that members are asked for.
func (d *decoder) healthPath(v value) string {
	text, ok := d.str(v, "path")
	switch {
	case !ok:
	case strings.Contains(text, "://"):
		d.errorf(v.at(), `write "/healthz": each address of upstream is asked`, "a path is not a URL")
	case !strings.HasPrefix(text, "/"):
		d.errorf(v.at(), quotef("write %s", "/"+text), `a path begins with "/"`)
	case strings.HasPrefix(text, "//"):
		d.errorf(v.at(), quotef("write %s", "/"+strings.TrimLeft(text, "/")), "a path has no empty part")
	case strings.Contains(text, "#"):
		before, _, _ := strings.Cut(text, "#")
		d.errorf(v.at(), quotef("write %s", before), "a path has no fragment: it is not sent")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7F }):
		d.errorf(v.at(), "write it with % escapes, as it is sent", "a path that is sent has no spaces and only ASCII")
	default:
		return text
	}
	return ""
}
