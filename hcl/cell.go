package hcl

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cell is one character as a terminal shows it.
type cell struct {
	text  string
	width int // columns; a tab counts as one, and is kept where alignment needs it
}

// cells is text as it is safe and honest to show: what would move the cursor,
// hide or reorder text is written as an escape.
func cells(text []byte) []cell {
	var list []cell
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		raw := string(text[:size])
		text = text[size:]
		switch {
		case r == utf8.RuneError && size == 1:
			list = append(list, cell{fmt.Sprintf(`\x%02x`, raw[0]), 4})
		case r == '\t':
			list = append(list, cell{raw, 1})
		case isControl(r):
			list = append(list, cell{fmt.Sprintf(`\x%02x`, r), 4})
		case isHidden(r):
			list = append(list, cell{fmt.Sprintf(`\u%04x`, r), 6})
		default:
			list = append(list, cell{raw, runeWidth(r)})
		}
	}
	return list
}

// isHidden reports characters that change what is seen without being seen:
// the reordering ones, by which a line can read as another (CVE-2021-42574),
// line separators, and a byte order mark.
func isHidden(r rune) bool {
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0x200E || r == 0x200F || r == 0x061C ||
		r == 0x2028 || r == 0x2029 || r == 0xFEFF
}

// printable is text with the same care; a message has one line.
func printable(text string) string {
	var b strings.Builder
	for _, c := range cells([]byte(text)) {
		b.WriteString(c.text)
	}
	return strings.ReplaceAll(b.String(), "\t", " ")
}

// runeWidth is how many columns r takes: two for the wide characters of East
// Asia and for pictures (Unicode Standard Annex 11), none for what joins the
// character before.
func runeWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) || r >= 0x1F3FB && r <= 0x1F3FF {
		return 0
	}
	for _, wide := range [...][2]rune{
		{0x1100, 0x115F}, {0x2E80, 0x303E}, {0x3041, 0x33FF}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xA000, 0xA4CF},
		{0xA960, 0xA97F}, {0xAC00, 0xD7A3}, {0xF900, 0xFAFF}, {0xFE30, 0xFE6F}, {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6},
		{0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x1FA70, 0x1FAFF}, {0x20000, 0x3FFFD},
	} {
		if wide[0] <= r && r <= wide[1] {
			return 2
		}
	}
	return 1
}

func width(list []cell) int {
	total := 0
	for _, c := range list {
		total += c.width
	}
	return total
}

func join(list []cell) string {
	var b strings.Builder
	for _, c := range list {
		b.WriteString(c.text)
	}
	return b.String()
}

// blanks is what has the width of list on every terminal: a tab stays one, as
// its width depends on where it stands.
func blanks(list []cell) string {
	var b strings.Builder
	for _, c := range list {
		if c.text == "\t" {
			b.WriteByte('\t')
		} else {
			b.WriteString(strings.Repeat(" ", c.width))
		}
	}
	return b.String()
}

// firstColumns and lastColumns are the part of list that fits into n columns.
func firstColumns(list []cell, n int) []cell {
	total := 0
	for i, c := range list {
		if total += c.width; total > n {
			return list[:i:i]
		}
	}
	return list
}

func lastColumns(list []cell, n int) []cell {
	total := 0
	for i := len(list) - 1; i >= 0; i-- {
		if total += list[i].width; total > n {
			return list[i+1:]
		}
	}
	return list
}
