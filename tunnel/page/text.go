package page

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// text is the form for programs: the title, then one fact on each line.
func (p Page) text() []byte {
	lines := []string{p.Title}
	if lead := p.spokenLead(); lead != "" {
		lines = append(lines, lead)
	}
	if p.Quote != nil {
		lines = append(lines, p.Quote.Place+"  "+p.Quote.Text)
	}
	lines = append(lines, p.Attempts...)
	if p.Waited > 0 {
		lines = append(lines, "waited "+spoken(p.Waited))
	}
	lines = append(lines, p.Hints...)
	if p.Code != "" && p.CodeTitle != "" {
		lines = append(lines, p.CodeTitle)
	}
	if p.Code != "" {
		lines = append(lines, "  "+strings.ReplaceAll(p.Code, "\n", "\n  "))
	}
	if p.Version != "" {
		lines = append(lines, "devproxy "+p.Version)
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

// message is the title and the lead, for a gRPC client.
func (p Page) message() string { return strings.TrimSpace(p.Title + " " + p.spokenLead()) }

// spokenLead is the lead where the page cannot reload automatically.
func (p Page) spokenLead() string {
	if p.Lead == OpensItself || p.Lead == OpensLater {
		return ""
	}
	return cmp.Or(p.Plain, p.Lead)
}

// seconds is d in whole seconds, rounded up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// spoken is d as people say it: "12 s", "3 min 5 s". page.js formats it the same.
func spoken(d time.Duration) string {
	n := seconds(d)
	if n < 60 {
		return fmt.Sprintf("%d s", n)
	}
	return fmt.Sprintf("%d min %d s", n/60, n%60)
}

// cleaned is p without invisible characters: the client chooses host names and
// paths, the text form is printed on terminals that obey escape sequences, and
// a bidirectional override makes any form read as another one. Only the code
// block keeps its line breaks.
func (p Page) cleaned() Page {
	p.Title, p.Lead, p.CodeTitle, p.Poll = visible(p.Title), visible(p.Lead), visible(p.CodeTitle), visible(p.Poll)
	p.Attempts, p.Hints = each(p.Attempts, visible), each(p.Hints, visible)
	p.Code = strings.Join(each(strings.Split(p.Code, "\n"), visible), "\n")
	if p.Quote != nil {
		p.Quote = &Quote{Place: visible(p.Quote.Place), Text: visible(p.Quote.Text)}
	}
	return p
}

// visible replaces every character that is not graphic, and bytes that are not
// UTF-8, with U+FFFD, to show that something was there. A tab, which indents a
// quoted line, becomes a space.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsGraphic(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func each[T any](values []T, f func(T) T) []T {
	result := make([]T, len(values))
	for i, value := range values {
		result[i] = f(value)
	}
	return result
}
