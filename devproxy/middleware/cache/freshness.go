package cache

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// heuristicPart of the time since its last modification is how long an answer
	// that does not say counts as fresh (section 4.2.2), and heuristicMost the
	// longest: on a developer's machine things change by the hour.
	heuristicPart = 10
	heuristicMost = time.Hour
)

// heuristic lists the statuses that are cacheable without a word about it
// (RFC 9110 section 15.1), but for 206.
func heuristic(status int) bool {
	return slices.Contains([]int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}, status)
}

// lifetime is how long an answer is fresh after it was made (section 4.2.1).
func lifetime(status int, h http.Header, d policy, date time.Time) time.Duration {
	for _, name := range []string{"s-maxage", "max-age"} {
		if v, ok := d.seconds(name); ok {
			return v
		}
	}
	if lines := d.expires; len(lines) > 0 {
		expires, err := parseDate(lines[0])
		if err != nil || slices.ContainsFunc(lines, func(line string) bool { return line != lines[0] }) {
			return 0 // section 5.3: what cannot be read has expired
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

// dateOf is when an answer was made; without a word of it, when it came
// (RFC 9110 section 6.6.1).
func dateOf(h http.Header, came time.Time) time.Time {
	if date, err := parseDate(h.Get("Date")); err == nil {
		return date
	}
	return came
}

// initialAge is how old an answer was when it came (section 4.2.3).
func initialAge(h http.Header, date, sent, came time.Time) time.Duration {
	first, _, _ := strings.Cut(h.Get("Age"), ",")
	value, _ := delta(strings.TrimSpace(first)) // section 5.1: what cannot be read is ignored
	return max(0, came.Sub(date), value+came.Sub(sent))
}

func (e *entry) age(now time.Time) time.Duration { return e.initial + max(0, now.Sub(e.came)) }

// verdict is what may be done with an entry for a request.
type verdict int

const (
	mustAsk     verdict = iota // validate it first
	mayUse                     // as it is
	mayUseStale                // and ask in the background (RFC 5861 section 3)
)

// judge follows section 4.2 and 5.2.1.
func (e *entry) judge(a asked, now time.Time) verdict {
	age := e.age(now)
	stale := age - e.life // from 0 on
	switch {
	case a.noCache || e.policy.has("no-cache"):
		return mustAsk
	case a.maxAge >= 0 && age > a.maxAge && a.maxStale < 0:
		return mustAsk
	case a.minFresh >= 0 && e.life-age < a.minFresh:
		return mustAsk
	case stale < 0:
		return mayUse
	case e.mustRevalidate():
		return mustAsk
	case a.maxStale >= 0 && stale <= a.maxStale:
		return mayUse
	}
	if while, ok := e.policy.seconds("stale-while-revalidate"); ok && stale <= while && a.maxAge < 0 && a.minFresh < 0 {
		return mayUseStale
	}
	return mustAsk
}

// mustRevalidate forbids stale answers in any case (section 4.2.4).
func (e *entry) mustRevalidate() bool {
	return e.policy.has("must-revalidate") || e.policy.has("proxy-revalidate") || e.policy.has("s-maxage") || e.policy.has("no-cache")
}

// mayBeDisconnected reports whether a stale e may be used when the upstream gives
// no answer at all (RFC 9111 section 4.2.4). A visitor who asks for a fresh one
// gets the error.
func (e *entry) mayBeDisconnected(a asked) bool {
	return !e.mustRevalidate() && !a.noCache && a.maxAge < 0 && a.minFresh < 0
}

// mayHideError reports whether e may be used in place of an error (RFC 5861
// section 4).
func (e *entry) mayHideError(a asked, now time.Time) bool {
	if e.mustRevalidate() {
		return false
	}
	allowed, ok := e.policy.seconds("stale-if-error")
	if a.staleIfError >= 0 {
		allowed, ok = max(allowed, a.staleIfError), true
	}
	return ok && e.age(now)-e.life <= allowed
}
