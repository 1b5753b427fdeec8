package scaffold

import (
	"fmt"
	"strings"
	"testing"
)

func lookup(name string) (string, bool) {
	v, set := map[string]string{"SET": "7", "DIR": "web"}[name]
	return v, set
}

func TestSubstitute(t *testing.T) {
	for text, want := range map[string]string{
		"3000:3000":           "3000:3000",
		"${SET}:80":           "7:80",
		"$SET:80":             "7:80",
		"${NONE:-8080}:80":    "8080:80",
		"${NONE-8080}":        "8080",
		"${SET:+yes}":         "yes",
		"${NONE:?required}:1": "", // it would fail, so nothing is known
		"${A:-${SET}}":        "7",
		"${unclosed":          "${unclosed",
		"$(id)":               "",
	} {
		if got := substitute(text, lookup); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestCommands(t *testing.T) {
	for line, want := range map[string]string{
		"a b":                          ".: a b",
		"a && b || c; d & e | f":       ".: a | .: b | .: c | .: d | .: e | .: f",
		"cd web && a":                  "web: a",
		"cd $DIR && (cd x; a); b":      "web/x: a | web: b",
		"X=1 a":                        ".: X=1 a",
		"export X=$SET; a":             ".: X=7 a",
		"set X=2 && a":                 ".: X=2 a",
		`a "b c" 'd $SET' "$SET"`:      ".: a b c d $SET 7",
		"if true; then a; else b; fi":  ".: a | .: b",
		"a $(rm -rf x) `b`":            ".: a  ",
		"unbalanced 'quote":            ".: unbalanced 'quote",
		strings.Repeat("x", 20<<10):    "",
		"a {1..999999999}":             ".: a {1..999999999}",
		"a ~root/x $((1+1)) ${SET//7/": ".: a ~root/x $((1+1)) ${SET//7/",
	} {
		var got []string
		for _, c := range commands(line, lookup) {
			text := c.dir + ":"
			if x, set := c.env["X"]; set {
				text += " X=" + x
			}
			got = append(got, fmt.Sprint(text, " ", strings.Join(c.words, " ")))
		}
		if strings.Join(got, " | ") != want {
			t.Errorf("%s: %q, want %q", short(line), strings.Join(got, " | "), want)
		}
	}
}
