package hcl

import (
	"strings"
	"testing"
)

func TestLabel(t *testing.T) {
	for text, want := range map[string]string{
		"Größe":                        "grosse",
		"My Shop (2)":                  "my-shop-2",
		"na\u00efve-e\u0301te\u0301":   "naive-ete",
		"Łódź":                         "lodz",
		"İstanbul":                     "istanbul",
		"店":                            "",
		"店 shop":                       "shop",
		strings.Repeat("a", 62) + "-b": strings.Repeat("a", 62),
		strings.Repeat("ß", 70):        strings.Repeat("s", 63),
	} {
		if got := Label(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
