package plan

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// String is the limit as people write it: "10/s", "10/s burst 20 by user".
func (l *RateLimit) String() string {
	unit := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[l.Per]
	if unit == "" {
		unit = l.Per.String()
	}
	text := fmt.Sprintf("%d/%s", l.Count, unit)
	if l.Burst != l.Count {
		text += fmt.Sprintf(" burst %d", l.Burst)
	}
	if l.By != RateByAddress {
		text += " by " + string(l.By)
	}
	return text
}

// String is who is allowed and denied: "allow 10.0.0.0/8, deny 10.0.0.1/32";
// empty when everybody may ask.
func (a Access) String() string {
	var parts []string
	for _, list := range []struct {
		verb   string
		ranges []netip.Prefix
	}{{"allow ", a.Allow}, {"deny ", a.Deny}} {
		for _, p := range list.ranges {
			parts = append(parts, list.verb+p.String())
		}
	}
	return strings.Join(parts, ", ")
}

// String is whose pages may read answers.
func (c *CORS) String() string {
	switch {
	case c.Any:
		return "any origin, without credentials"
	case c.Hosts != nil:
		return "pages of " + strings.Join(c.Hosts, ", ")
	}
	return strings.Join(c.Origins, ", ")
}

// String is the cache in a few words: "64MiB".
func (c *Cache) String() string { return FormatSize(c.Size) }

// String is what is simulated: "delay 300ms, errors 5%, bandwidth 200kB/s".
func (s *Simulate) String() string {
	var parts []string
	if s.Delay > 0 {
		parts = append(parts, "delay "+s.Delay.String())
	}
	if s.Errors > 0 {
		parts = append(parts, "errors "+strconv.FormatFloat(s.Errors*100, 'g', 6, 64)+"%")
	}
	if s.Bandwidth > 0 {
		parts = append(parts, "bandwidth "+FormatSize(s.Bandwidth)+"/s")
	}
	return strings.Join(parts, ", ")
}

// String is the question and how often it is put: "GET /healthz every 2s".
func (h *Health) String() string {
	return fmt.Sprintf("GET %s every %s", h.Path, h.Interval)
}

// spec is all of h, as part of an upstream's key.
func (h *Health) spec() string {
	return fmt.Sprintf("%s %s %s %d %d %d", h.Path, h.Interval, h.Timeout, h.Rise, h.Fall, h.Status)
}

// userNames are the users without their hashes.
func userNames(users []User) string {
	var names []string
	for _, u := range users {
		names = append(names, u.Name)
	}
	return strings.Join(names, ", ")
}

// FormatSize is n bytes, 0 or more, in the unit that says it exactly and shortest; of two,
// the one of powers of 1000.
func FormatSize(n int64) string {
	shortest := strconv.FormatInt(n, 10) + "B"
	for _, unit := range []struct {
		name string
		size int64
	}{{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}} {
		if n == 0 || n%unit.size != 0 {
			continue
		}
		if text := strconv.FormatInt(n/unit.size, 10) + unit.name; len(text) < len(shortest) {
			shortest = text
		}
	}
	return shortest
}
