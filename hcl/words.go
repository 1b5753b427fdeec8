package hcl

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// place is r as it stands in sentences: "Proxyfile:3".
func place(r Range) string { return fmt.Sprintf("%s:%d", r.File, r.Start.Line) }

// quotef is Sprintf with one quoted word.
func quotef(format, word string) string { return fmt.Sprintf(format, strconv.Quote(word)) }

// nearest is the word that was probably meant by given, or empty. Words of
// one or two letters are like too many others.
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
		if d := editDistance(given, strings.ToLower(word)); d < distance {
			best, distance = word, d
		}
	}
	if best == "" && len(given) > 3 {
		// An abbreviation, or a name in full where a short one is meant.
		for _, word := range words {
			if strings.HasPrefix(word, given) || len(word) > 3 && strings.HasPrefix(given, word) {
				return word
			}
		}
	}
	return best
}

// editDistance is the number of characters to add, remove, change or swap with
// their neighbour that make b of a (optimal string alignment).
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(change, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// maxWord bounds the words that are compared: nothing in a Proxyfile that has
// a fixed name is longer.
const maxWord = 100

// didYouMean is the question as a detail, or otherwise when no word is near.
func didYouMean(given string, words []string, otherwise string) string {
	if near := nearest(given, words); near != "" {
		return quotef("did you mean %s?", near)
	}
	return otherwise
}

// sentence is a text of HCL or cty in the form of ours: it begins lower case,
// has no full stop, and nothing of what follows the first sentence.
func sentence(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if i := strings.Index(text, ". "); i >= 0 {
		text = text[:i]
	}
	text = strings.TrimRight(text, ".:;")
	if len(text) > 1 && (text[1] == ' ' || text[1] >= 'a' && text[1] <= 'z') || len(text) == 1 {
		text = strings.ToLower(text[:1]) + text[1:]
	}
	return text
}

// list joins words with commas and "or".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
