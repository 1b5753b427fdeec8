package hcl

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hbollon/go-edlib"
)

// maxReported bounds how many errors, and how many warnings, are reported. A file
// with more is something else under that name, or has one cause.
const maxReported = 200

// reporter collects the diagnostics of a file. It keeps values of the environment
// out of them.
type reporter struct {
	diags    Diagnostics
	reported map[Severity]int
	secrets  *secrets
	domains  []string // in which hosts may be, next to .localhost
}

func (r *reporter) report(all ...Diagnostic) {
	for _, diag := range all {
		if r.reported[diag.Severity] < maxReported {
			r.diags = append(r.diags, diag)
		}
		r.reported[diag.Severity]++
	}
}

// at returns where to report a mistake.
func (r *reporter) at(at Range) place { return place{r, at} }

// place is where a mistake is reported.
type place struct {
	reporter *reporter
	Range
}

// errorf reports an error. Its detail says what to write.
func (p place) errorf(detail, format string, args ...any) {
	p.add(Error, detail, format, args)
}

// warnf reports a warning.
func (p place) warnf(detail, format string, args ...any) {
	p.add(Warning, detail, format, args)
}

func (p place) add(severity Severity, detail, format string, args []any) {
	if p.reporter.reported[severity] >= maxReported {
		return
	}
	summary, detail := p.reporter.secrets.sentence(p.Range, detail, format, args)
	p.reporter.report(Diagnostic{Severity: severity, Summary: summary, Detail: detail, Range: p.Range})
}

// rule is a mistake that a text may have, and what to report about it.
type rule struct {
	broken         bool
	detail, format string
	args           []any
}

func when(broken bool, detail, format string, args ...any) rule {
	return rule{broken, detail, format, args}
}

// passes reports the first broken rule, and returns true if no rule is broken.
func (p place) passes(rules ...rule) bool {
	for _, r := range rules {
		if r.broken {
			p.errorf(r.detail, r.format, r.args...)
			return false
		}
	}
	return true
}

// suggest returns the advice to write text, a string.
func suggest(text string) string { return "write " + strconv.Quote(text) }

// quoteList returns words as the elements of a list.
func quoteList(words []string) string {
	return strings.Join(mapped(words, strconv.Quote), ", ")
}

// alternatives joins words with commas and "or".
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// sentence returns a message of HCL or cty in our form: lower case at the
// beginning, no full stop, and the first sentence only.
func sentence(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text, _, _ = strings.Cut(text, ". ")
	text = strings.TrimRight(text, ".:;")
	if len(text) > 1 && (text[1] == ' ' || text[1] >= 'a' && text[1] <= 'z') || len(text) == 1 {
		text = strings.ToLower(text[:1]) + text[1:]
	}
	return text
}

// maxWord bounds the length of words that are compared. No fixed name in a
// Proxyfile is longer.
const maxWord = 100

// nearest returns the word that was probably meant by given, or "". Words of one
// or two letters are similar to too many others.
func nearest(given string, words []string) string {
	given = strings.ToLower(given)
	if len(given) > maxWord {
		return ""
	}
	best, distance := "", max(1, min(3, len(given)/3))+1
	for _, word := range words {
		if len(word) > maxWord {
			continue
		}
		if d := edlib.OSADamerauLevenshteinDistance(given, strings.ToLower(word)); d < distance {
			best, distance = word, d
		}
	}
	if best != "" || len(given) <= 3 {
		return best
	}
	// An abbreviation, or a long form of a short name.
	i := slices.IndexFunc(words, func(word string) bool {
		return strings.HasPrefix(word, given) || len(word) > 3 && strings.HasPrefix(given, word)
	})
	if i < 0 {
		return ""
	}
	return words[i]
}

// didYouMean returns the question for the nearest word, or otherwise if no word
// is near.
func didYouMean(given string, words []string, otherwise string) string {
	if near := nearest(given, words); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}

// Quote returns text as a string of a Proxyfile. No text can end the string or
// begin a template in it. Invalid UTF-8 becomes U+FFFD.
func Quote(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for i, r := range text {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case (r == '$' || r == '%') && strings.HasPrefix(text[i+1:], "{"):
			out.WriteRune(r)
			out.WriteRune(r)
		case unicode.IsControl(r) || r == utf8.RuneError:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// mapped returns what f makes of each element of list.
func mapped[T, U any](list []T, f func(T) U) []U {
	var all []U
	for _, element := range list {
		all = append(all, f(element))
	}
	return all
}

// put returns m with the value. m may be nil.
func put[V any](m map[string]V, key string, value V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[key] = value
	return m
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
