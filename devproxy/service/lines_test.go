package service

import (
	"slices"
	"strings"
	"testing"
)

// TestLines cuts output into lines, whole and a byte at a time.
func TestLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		name, in string
		text     []string
		colored  []string // as text if nil
	}{
		{name: "lines", in: "a\nb\r\n\nc", text: []string{"a", "b", "", "c"}},
		{name: "colours", in: "\x1b[1;32mok\x1b[0m\n", text: []string{"ok"}, colored: []string{"\x1b[1;32mok\x1b[0m"}},
		{name: "true colour", in: "\x1b[38:2::1:2:3mok\n", text: []string{"ok"}, colored: []string{"\x1b[38:2::1:2:3mok"}},
		{name: "a private sequence that ends as a colour", in: "\x1b[>4;1mok\n", text: []string{"ok"}},
		{name: "cleared screen and cursor", in: "\x1b[2J\x1b[3;1Hok\x1b[K\n", text: []string{"ok"}},
		{name: "title", in: "\x1b]0;owned\aok\n\x1b]52;c;bHM=\x1b\\ok\n", text: []string{"ok", "ok"}},
		{name: "a string without an end", in: "\x1b]0;owned\nok\n", text: []string{"", "ok"}},
		{name: "C1 control in UTF-8", in: "\u009b2Jok\n", text: []string{"2Jok"}},
		{name: "bell, backspace, null", in: "\ao\bk\x00\n", text: []string{"ok"}},
		{name: "reordered", in: "a\u202eb\n", text: []string{"ab"}},
		{name: "progress", in: "10%\r20%\r100%\ndone\n", text: []string{"100%", "done"}},
		{name: "coloured progress", in: "10%\r\x1b[31m20%\n", text: []string{"20%"}, colored: []string{"\x1b[31m20%"}},
		{name: "tab", in: "\tat f\n", text: []string{"    at f"}},
		{name: "other languages", in: "grün 日本\n", text: []string{"grün 日本"}},
		{name: "not UTF-8", in: "a\xff\xe6\x97b\n", text: []string{"a\ufffd\ufffd\ufffdb"}},
		{name: "a long line", in: long + "yz\n", text: []string{long, "yz"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.colored == nil {
				c.colored = c.text
			}
			for _, size := range []int{1, len(c.in)} {
				var r lineReader
				var text, colored []string
				each := func(l Line) { text, colored = append(text, l.Text), append(colored, l.Colored) }
				for piece := range slices.Chunk([]byte(c.in), size) {
					r.feed(piece, each)
				}
				r.end(each)
				if !slices.Equal(text, c.text) || !slices.Equal(colored, c.colored) {
					t.Errorf("in pieces of %d: %q and %q, want %q and %q", size, text, colored, c.text, c.colored)
				}
			}
		})
	}
}

// TestLinesAreBounded floods a reader with what never ends.
func TestLinesAreBounded(t *testing.T) {
	t.Parallel()
	var r lineReader
	for _, flood := range []string{"\x1b[1m", "\x1b[1", "\r", "1", "\x1b]0;x", "é", "\xe6"} {
		r.feed([]byte(strings.Repeat(flood, 100_000)), func(Line) {})
		if held := r.text.Len() + r.colored.Len() + len(r.sequence) + len(r.partial); held > 3*maxLine+maxColors {
			t.Errorf("%q: holds %d bytes", flood, held)
		}
	}
}

// TestContains is the condition of a line of output.
func TestContains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, pattern string
		want          bool
	}{
		{"VITE v7 ready in 300 ms", "ready in", true},
		{"VITE v7 ready in 300 ms", "ready in * ms", true},
		{"VITE v7 ready in 300 s", "ready in * ms", false},
		{"ms ready in", "ready in * ms", false},
		{"(a.b)", "(a.b)", true},
		{"(axb)", "(a.b)", false},
	} {
		if got := contains(c.text, c.pattern); got != c.want {
			t.Errorf("contains(%q, %q) = %v", c.text, c.pattern, got)
		}
	}
}
