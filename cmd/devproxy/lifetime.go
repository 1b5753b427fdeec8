package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// lifetime is the value of --for: how long a link lasts. 0 is not set.
type lifetime time.Duration

func (l *lifetime) Type() string { return "DURATION" }

func (l *lifetime) String() string {
	if *l == 0 {
		return ""
	}
	return lasting(time.Duration(*l))
}

// Set reads a duration as Go and the Proxyfile write it, longer than zero.
func (l *lifetime) Set(text string) error {
	d, err := time.ParseDuration(text)
	number, unit := cutNumber(text)
	switch {
	case err == nil && d > 0:
		*l = lifetime(d)
		return nil
	case err == nil:
		return &usageError{"a link must last longer than zero, not " + text, "write one like 90m or 2h"}
	case number > 0 && unit == "":
		return &usageError{fmt.Sprintf("%q has no unit", text), fmt.Sprintf("write %sh for hours, %sm for minutes", text, text)}
	case number > 0 && (unit == "d" || unit == "day" || unit == "days"):
		return &usageError{fmt.Sprintf("%q is not in hours, minutes or seconds", text), fmt.Sprintf("write %dh", number*24)}
	}
	return &usageError{fmt.Sprintf("%q is not a duration", text), "write one like 90m, 2h or 1h30m"}
}

// cutNumber is the whole number that text begins with, 0 for none, and what
// follows it.
func cutNumber(text string) (number int, rest string) {
	end := strings.IndexFunc(text+" ", func(r rune) bool { return r < '0' || r > '9' })
	number, err := strconv.Atoi(text[:end])
	if err != nil {
		return 0, text
	}
	return number, strings.ToLower(strings.TrimSpace(text[end:]))
}
