package cache

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// targeted is the field that tells only the caches of a CDN what to do (RFC
// 9213 section 3.1). This cache obeys it, so that a developer sees what the CDN
// will do. It is forwarded, and so are Cache-Control and Expires as they came:
// this decision does not concern the browser.
const targeted = "Cdn-Cache-Control"

// policy has a response's instructions to caches.
type policy struct {
	directives
	// expires are the lines of Expires; nil where they do not count.
	expires []string
}

// policyOf reads the targeted field if there is a valid one, and otherwise
// Cache-Control and Expires (RFC 9213 section 2.2).
func policyOf(h http.Header) policy {
	if d := parseTargeted(h[targeted]); len(d) > 0 {
		return policy{directives: d}
	}
	return policy{parseDirectives(h["Cache-Control"]), h["Expires"]}
}

// parseTargeted parses a Dictionary Structured Field (RFC 9213 section 2.1, RFC
// 9651). It returns nil for an invalid one, which is ignored as a whole. A
// directive without an argument is the Boolean true, a number of seconds an
// Integer; parameters are ignored. An argument of another type is dropped: max-age
// with one is stale, as in Cache-Control.
func parseTargeted(lines []string) directives {
	if len(lines) == 0 {
		return nil
	}
	dictionary, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return nil
	}
	d := directives{}
	for _, name := range dictionary.Names() {
		member, _ := dictionary.Get(name)
		argument := ""
		if item, ok := member.(httpsfv.Item); ok {
			switch value := item.Value.(type) {
			case bool:
				if !value {
					continue
				}
			case int64:
				argument = strconv.FormatInt(value, 10)
			}
		}
		d[name] = []string{argument}
	}
	return d
}

const (
	// heuristicPart of the time since its last modification is how long a response
	// that doesn't say counts as fresh (section 4.2.2), and heuristicMost the
	// longest: on a developer's machine things change by the hour.
	heuristicPart = 10
	heuristicMost = time.Hour
)

// heuristic reports whether a status may be cached without an explicit lifetime
// (RFC 9110 section 15.1). It leaves out 206.
func heuristic(status int) bool {
	return slices.Contains([]int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}, status)
}

// lifetime returns how long a response is fresh after it was made (section 4.2.1).
func lifetime(status int, h http.Header, d policy, date time.Time) time.Duration {
	for _, name := range []string{"s-maxage", "max-age"} {
		if v, ok := d.seconds(name); ok {
			return v
		}
	}
	if lines := d.expires; len(lines) > 0 {
		expires, err := parseDate(lines[0])
		if err != nil || slices.ContainsFunc(lines, func(line string) bool { return line != lines[0] }) {
			return 0 // section 5.3: an invalid date counts as expired
		}
		return max(0, expires.Sub(date))
	}
	if !heuristic(status) && !d.has("public") {
		return 0
	}
	modified, err := parseDate(h.Get("Last-Modified"))
	if err != nil {
		return 0
	}
	return min(max(0, date.Sub(modified)/heuristicPart), heuristicMost)
}

// dateOf returns when a response was made; if it doesn't say, when it came
// (RFC 9110 section 6.6.1).
func dateOf(h http.Header, came time.Time) time.Time {
	if date, err := parseDate(h.Get("Date")); err == nil {
		return date
	}
	return came
}

// initialAge returns how old a response was when it came (section 4.2.3).
func initialAge(h http.Header, date, sent, came time.Time) time.Duration {
	first, _, _ := strings.Cut(h.Get("Age"), ",")
	value, _ := delta(strings.TrimSpace(first)) // section 5.1: an invalid value is ignored
	return max(0, came.Sub(date), value+came.Sub(sent))
}

func (e *entry) age(now time.Time) time.Duration { return e.initial + max(0, now.Sub(e.came)) }

// verdict is the decision about an entry for a request.
type verdict int

const (
	mustValidate verdict = iota // before it is used
	mayUse                      // as it is
	mayUseStale                 // and validate it in the background (RFC 5861 section 3)
)

// judge follows sections 4.2 and 5.2.1.
func (e *entry) judge(c control, now time.Time) verdict {
	age := e.age(now)
	stale := age - e.life // from 0 on
	switch {
	case c.noCache || e.policy.has("no-cache"):
		return mustValidate
	case c.maxAge >= 0 && age > c.maxAge && c.maxStale < 0:
		return mustValidate
	case c.minFresh >= 0 && e.life-age < c.minFresh:
		return mustValidate
	case stale < 0:
		return mayUse
	case e.mustRevalidate():
		return mustValidate
	case c.maxStale >= 0 && stale <= c.maxStale:
		return mayUse
	}
	if while, ok := e.policy.seconds("stale-while-revalidate"); ok && stale <= while && c.maxAge < 0 && c.minFresh < 0 {
		return mayUseStale
	}
	return mustValidate
}

// mustRevalidate forbids stale responses in any case (section 4.2.4).
func (e *entry) mustRevalidate() bool {
	return e.policy.has("must-revalidate") || e.policy.has("proxy-revalidate") || e.policy.has("s-maxage") || e.policy.has("no-cache")
}

// mayBeDisconnected reports whether a stale e may be used when the upstream does
// not respond at all (RFC 9111 section 4.2.4). A client that asks for a fresh one
// gets the error.
func (e *entry) mayBeDisconnected(c control) bool {
	return !e.mustRevalidate() && !c.noCache && c.maxAge < 0 && c.minFresh < 0
}

// mayReplaceError reports whether e may be used in place of an error (RFC 5861
// section 4).
func (e *entry) mayReplaceError(c control, now time.Time) bool {
	if e.mustRevalidate() {
		return false
	}
	allowed, ok := e.policy.seconds("stale-if-error")
	if c.staleIfError >= 0 {
		allowed, ok = max(allowed, c.staleIfError), true
	}
	return ok && e.age(now)-e.life <= allowed
}

// isError reports a status that stale-if-error replaces (RFC 5861 section 4).
func isError(status int) bool { return slices.Contains([]int{500, 502, 503, 504}, status) }

var errDate = errors.New("not an HTTP-date")

// parseDate parses an HTTP-date in its three forms (RFC 9110 section 5.6.7), in
// any case, with the zone GMT or UTC (RFC 9111 section 4.2). http.ParseTime also
// accepts hours of one digit and several spaces, and requires the exact case.
func parseDate(text string) (time.Time, error) {
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		gmt := text
		// time.Parse accepts names of days and months in any case, but not the zone.
		if n := len(text) - len(" GMT"); strings.HasSuffix(layout, " GMT") && n > 0 && (strings.EqualFold(text[n:], " GMT") || strings.EqualFold(text[n:], " UTC")) {
			gmt = text[:n] + " GMT"
		}
		date, err := time.Parse(layout, gmt)
		// A wrong weekday is harmless, so only the rest must be the same.
		if err == nil && strings.EqualFold(afterWeekday(date.Format(layout)), afterWeekday(gmt)) {
			return date, nil
		}
	}
	return time.Time{}, errDate
}

func afterWeekday(text string) string {
	_, rest, _ := strings.Cut(text, " ")
	return rest
}
