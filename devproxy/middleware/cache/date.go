package cache

import (
	"errors"
	"strings"
	"time"
)

var errDate = errors.New("not an HTTP-date")

// parseDate reads an HTTP-date in its three forms (RFC 9110 section 5.6.7), in
// any case, with the zone GMT or UTC (RFC 9111 section 4.2). http.ParseTime takes
// hours of one digit and several spaces too, and no other case.
func parseDate(text string) (time.Time, error) {
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		gmt := text
		if n := len(text) - len(" UTC"); strings.HasSuffix(layout, " GMT") && n > 0 && strings.EqualFold(text[n:], " UTC") {
			gmt = text[:n] + " GMT"
		}
		date, err := time.Parse(layout, canonicalZone(gmt))
		// A wrong weekday is harmless, so only what follows it must be the same.
		if err == nil && strings.EqualFold(behindWeekday(date.Format(layout)), behindWeekday(gmt)) {
			return date, nil
		}
	}
	return time.Time{}, errDate
}

// canonicalZone has the zone in the case that time.Parse knows; it takes names of
// days and months in any.
func canonicalZone(text string) string {
	if n := len(text) - len("GMT"); n > 0 && strings.EqualFold(text[n:], "GMT") {
		return text[:n] + "GMT"
	}
	return text
}

func behindWeekday(text string) string {
	_, rest, _ := strings.Cut(text, " ")
	return rest
}
