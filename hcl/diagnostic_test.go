package hcl

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// at returns the range of the first occurrence of part in content.
func at(content, part string) Range {
	t := &text{name: "Proxyfile", src: []byte(content)}
	start := strings.Index(content, part)
	return t.span(start, start+len(part))
}

func TestWrite(t *testing.T) {
	long := "host = \"" + strings.Repeat("a", 200) + "\" # end"
	tests := []struct{ name, text, part, want string }{
		{"plain", "a = 1\n  b = 22\n", "22", "Proxyfile:2:7: error: no\n  2 |   b = 22\n    |       ^^ yes\n"},
		{"no last line end", "b = 22", "22", "Proxyfile:1:5: error: no\n  1 | b = 22\n    |     ^^ yes\n"},
		{"CRLF", "b = 22\r\nc\r\n", "22", "Proxyfile:1:5: error: no\n  1 | b = 22\n    |     ^^ yes\n"},
		{"wide line number", strings.Repeat("\n", 99) + "b = 22", "22", "Proxyfile:100:5: error: no\n  100 | b = 22\n      |     ^^ yes\n"},
		{"tab", "\tb = \t22", "22", "Proxyfile:1:7: error: no\n  1 | \tb = \t22\n    | \t    \t^^ yes\n"},
		{"wide characters", "b = \"日本\" + x", "x", "Proxyfile:1:12: error: no\n  1 | b = \"日本\" + x\n    |              ^ yes\n"},
		{"wide characters marked", "b = 日本", "日本", "Proxyfile:1:5: error: no\n  1 | b = 日本\n    |     ^^^^ yes\n"},
		{"combining characters", "b = \"e\u0301\" + x", "x", "Proxyfile:1:11: error: no\n  1 | b = \"e\u0301\" + x\n    |           ^ yes\n"},
		{"nothing", "b = ", "", "Proxyfile:1:1: error: no\n  1 | b = \n    | ^ yes\n"},
		{"over lines", "b = [\n1,\n]", "[\n1,\n]", "Proxyfile:1:5: error: no\n  1 | b = [\n    |     ^ yes\n"},
		{"escape sequence", "b = \"\x1b[2J\" + x", "x", "Proxyfile:1:14: error: no\n  1 | b = \"\\x1b[2J\" + x\n    |                 ^ yes\n"},
		{"reordering", "b = \"\u202e\" + x", "x", "Proxyfile:1:11: error: no\n  1 | b = \"\\u202e\" + x\n    |                ^ yes\n"},
		{"not UTF-8", "b = \xff + x", "x", "Proxyfile:1:9: error: no\n  1 | b = \\xff + x\n    |            ^ yes\n"},
		{"long, place at the beginning", long, "host", "Proxyfile:1:1: error: no\n  1 | " + long[:100] + "…\n    | ^^^^ yes\n"},
		{"long, place at the end", long, "end", "Proxyfile:1:213: error: no\n  1 | …" + long[172:] + "\n    |  " + strings.Repeat(" ", 40) + "^^^ yes\n"},
		{"long, all of it", long, long, "Proxyfile:1:1: error: no\n  1 | " + long[:60] + "\n    | " + strings.Repeat("^", 60) + " yes\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Diagnostic{Severity: Error, Summary: "no", Detail: "yes", Range: at(tt.text, tt.part)}
			if diff := cmp.Diff(tt.want, rendered(t, Diagnostics{d}, Sources{"Proxyfile": []byte(tt.text)})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWriteWithout(t *testing.T) {
	text := Sources{"Proxyfile": []byte("a = 1\n")}
	place := at("a = 1\n", "1")
	tests := []struct {
		name string
		d    Diagnostic
		src  Sources
		want string
	}{
		{"a detail", Diagnostic{Error, "no", "", place}, text, "Proxyfile:1:5: error: no\n  1 | a = 1\n    |     ^\n"},
		{"a source", Diagnostic{Warning, "no", "yes", place}, nil, "Proxyfile:1:5: warning: no\n  yes\n"},
		{"a place", Diagnostic{Error, "no", "yes", Range{}}, text, "error: no\n  yes\n"},
		{"a line", Diagnostic{Error, "no", "yes", Range{File: "Proxyfile"}}, text, "Proxyfile: error: no\n  yes\n"},
		{"harm", Diagnostic{Error, "a\nb\x1b", "c\rd", Range{File: "\x1b]0;x"}}, text, "\\x1b]0;x: error: a\\x0ab\\x1b\n  c\\x0dd\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, rendered(t, Diagnostics{tt.d}, tt.src)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWriteColor(t *testing.T) {
	var b strings.Builder
	d := Diagnostic{Error, "no", "yes", at("a = 1\n", "1")}
	if err := (Diagnostics{d}).Write(&b, Sources{"Proxyfile": []byte("a = 1\n")}, true); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[1mProxyfile:1:5\x1b[0m: \x1b[1;31merror\x1b[0m: no\n  \x1b[2m1 |\x1b[0m a = 1\n  \x1b[2m  |\x1b[0m     \x1b[1;31m^\x1b[0m yes\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestWriteFails(t *testing.T) {
	if err := (Diagnostics{{Summary: "x"}}).Write(brokenWriter{}, nil, false); err == nil {
		t.Error("no error, want the error of the writer")
	}
}

func TestSort(t *testing.T) {
	ds := Diagnostics{
		{Summary: "3", Range: Range{File: "b", Start: Pos{Byte: 1}}},
		{Summary: "2", Range: Range{File: "a", Start: Pos{Byte: 9}}},
		{Summary: "1", Range: Range{File: "a", Start: Pos{Byte: 2}}},
		{Summary: "4", Range: Range{File: "b", Start: Pos{Byte: 1}}},
	}
	ds.Sort()
	for i, want := range []string{"1", "2", "3", "4"} {
		if ds[i].Summary != want {
			t.Errorf("%d: %s", i, ds[i].Summary)
		}
	}
}
