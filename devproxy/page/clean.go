package page

import (
	"strings"
	"unicode"
)

// cleaned is p without characters that nobody sees: host names and paths are
// chosen by whoever sent the request, the text form is printed on terminals
// that obey escape sequences, and a bidirectional override makes any form read
// as another one. Only the code block keeps its line breaks.
func (p Page) cleaned() Page {
	p.Title, p.Lead, p.CodeTitle, p.Poll = visible(p.Title), visible(p.Lead), visible(p.CodeTitle), visible(p.Poll)
	p.Attempts, p.Hints = each(p.Attempts, visible), each(p.Hints, visible)
	p.Served = each(p.Served, Link.cleaned)
	p.Code = strings.Join(each(strings.Split(p.Code, "\n"), visible), "\n")
	if p.Quote != nil {
		p.Quote = &Quote{Place: visible(p.Quote.Place), Text: visible(p.Quote.Text)}
	}
	if p.Suggest != nil {
		suggest := p.Suggest.cleaned()
		p.Suggest = &suggest
	}
	return p
}

func (l Link) cleaned() Link { return Link{URL: visible(l.URL), Note: visible(l.Note)} }

// visible replaces what is not graphic, and what is not UTF-8, by U+FFFD, so
// that it is seen that something was there. A tab, which indents a quoted line,
// becomes a space.
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
