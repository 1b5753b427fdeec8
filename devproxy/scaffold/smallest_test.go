package scaffold

import (
	"regexp"
	"strings"
	"testing"
)

// TestSmallest: the file is valid as it is written, with each line of code
// uncommented, and with all of them.
func TestSmallest(t *testing.T) {
	text := string(Smallest("shop.localhost"))
	valid(t, t.TempDir(), &Result{Text: []byte(text)})
	if strings.Contains(text, "HOST") {
		t.Errorf("a host is missing:\n%s", text)
	}
	code := regexp.MustCompile(`(?m)^( *)# ((?:host|route) .*)$`)
	found := code.FindAllStringIndex(text, -1)
	if len(found) != 3 {
		t.Fatalf("%d lines to uncomment:\n%s", len(found), text)
	}
	for _, at := range found {
		one := text[:at[0]] + code.ReplaceAllString(text[at[0]:at[1]], "$1$2") + text[at[1]:]
		valid(t, t.TempDir(), &Result{Text: []byte(one)})
	}
	valid(t, t.TempDir(), &Result{Text: []byte(code.ReplaceAllString(text, "$1$2"))})
}
