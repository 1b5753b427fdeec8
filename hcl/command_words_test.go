package hcl

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// FuzzJoinCommand: the words of a command come out of a Proxyfile as they went in.
func FuzzJoinCommand(f *testing.F) {
	for _, text := range []string{
		"npm run dev -- --port {port}", "a b", "it's \"quoted\" \\ x", "${HOME} $(id) `id` $x", "a\tb c\nd", "{a,b} * ? [x] ~ #no", "%{if} %{", "if then", "A=1 B=2",
		"cd x", "! x", "{ x }", "; & | > <", "ü 日本 \u202e", "'", "time x", "[[ a ]]", "\r",
	} {
		f.Add(text, " ")
		f.Add(text, "\x00")
	}
	f.Fuzz(func(t *testing.T, text, separator string) {
		if strings.Contains(text, "\x00") && separator != "\x00" {
			t.Skip("NUL is not in arguments")
		}
		words := strings.Split(text, separator)
		all := strings.Join(words, "|")
		if len(words) == 0 || words[0] == "" || !utf8.ValidString(all) || !norm.NFC.IsNormalString(all) {
			t.Skip("no program, or not text that HCL keeps")
		}
		file := "host \"a.localhost\" { upstream = service.s }\nservice \"s\" {\n command = " + Quote(JoinCommand(words)) + "\n}\n"
		checked, diags := decodeText(file, "")
		for _, d := range diags {
			if strings.Contains(d.Summary, "placeholder") {
				t.Skip("it has a mistake that is reported")
			}
		}
		if diags.HasErrors() {
			t.Fatalf("%q: %v\n%s", words, diags, file)
		}
		if got := checked.Services[0].Command.Written; !slices.Equal(got, words) {
			t.Errorf("%q, want %q\n%s", got, words, file)
		}
	})
}
