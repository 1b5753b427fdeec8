package hcl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRecovery has the mistakes that fixtures cannot have, because a comment after
// them would change them. Each must be found without hiding later mistakes and
// without causing others.
func TestRecovery(t *testing.T) {
	const next = "host \"next.localhost\" { upstream = x }\n"
	const found = `unknown name "x"`
	tests := []struct {
		name, text string
		want       []string
	}{
		{"label with template", "host \"${local.x}.localhost\" { upstream = 1 }\nlocals { x = 1 }\n", []string{"a label can't contain an expression", found}},
		{"label without end", "host \"a.localhost {\n  upstream = 0\n}\n", []string{"the name of a host must be in quotes", "port 0 is out of range", found}},
		{"string without end", "host \"a.localhost\" {\n  upstream = \"http://x\n  timeout = 30s\n}\n", []string{"this string is not closed", "a duration must be a string", found}},
		{"list without end", "host \"a.localhost\" {\n  route \"/a\" {\n    upstream = [3000,\n  }\n}\n", []string{"a value is missing here", found}},
		{"list without end before a value", "host \"a.localhost\" {\n  aliases = [\"b.localhost\"\n  upstream = 3000\n}\n", []string{"a comma is missing here", found}},
		{"JSON", "{\n  \"host\": \"x\"\n}\n", []string{"this is neither an attribute nor a block", found}},
		{"Caddyfile", "shop.localhost {\n  reverse_proxy localhost:3000\n}\n", []string{"a name goes in a host block", found}},
		{"nginx", "server {\n  listen 80;\n}\n", []string{`"server" is a block of nginx`, found}},
		{"shell variable", "host \"a.localhost\" {\n  upstream = $PORT\n  hold = \"5\"\n}\n", []string{environmentSummary, `"5" is not a valid duration`, found}},
		{"no brace", "host \"a.localhost\"\n  upstream = 0\n}\n", []string{`the "{" of a block must be on the line of its name`, found}},
		{"comparison", "host \"a.localhost\" {\n  upstream == 3000\n  hold = \"5\"\n}\n", []string{`an attribute needs "="`, `"5" is not a valid duration`, found}},
		{"tcp block on two lines", "tcp \"a\" { upstream = 0\n  public = true }\n", []string{"a block that begins like this must end on the same line", `the "}" of a block on several lines must be on a separate line`, found}},
		{"interpolation without end", "host \"a.localhost\" {\n  upstream = \"${3\"\n  hold = \"5\"\n}\n", []string{`this "${" is not closed`, `"5" is not a valid duration`, found}},
		{"heredoc without end", next + "host \"a.localhost\" {\n  upstream = <<EOT\nx\n}\n", []string{found, "this text is not closed"}},
		{"two blocks on a line", "host \"a.localhost\" { upstream = 1 } host \"b.localhost\" { upstream = 1 }\n", []string{"unexpected text after this block", found}},
		{"brace after a value", "host \"a.localhost\" {\n  upstream = 0 }\n", []string{`port 0 is out of range`, `the "}" of a block on several lines must be on a separate line`, found}},
		{"directive without end in an unknown attribute", "share {\n  a = \"%{ if\n}\n", []string{`unknown attribute "a" in share`, "a value is missing here", found}},
		{"no value", "host \"a.localhost\" {\n  upstream =\n  hold = \"5\"\n}\n", []string{"a value is missing here", `"5" is not a valid duration`, found}},
		{"a word alone", "host \"a.localhost\" {\n  upstream\n  hold = \"5\"\n}\n", []string{"this is neither an attribute nor a block", `"5" is not a valid duration`, found}},
		{"colon at the end", "host \"a.localhost\" {\n  upstream:\n  hold: 5\n}\n",
			[]string{`an attribute needs "=" instead of ":"`, "a value is missing here", `an attribute needs "=" instead of ":"`, "a duration must be a string", found}},
		{"tab, comment, CRLF", "host \"a.localhost\" {\r\n\tupstream: 0 # why\r\n}\r\n", []string{`an attribute needs "=" instead of ":"`, "port 0 is out of range", found}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text + next
			if tt.name == "heredoc without end" {
				text = tt.text
			}
			file, diags := decodeText(text, "")
			if diff := cmp.Diff(tt.want, summaries(diags)); diff != "" {
				t.Errorf("-want +got:\n%s\n%s", diff, rendered(t, diags, file.Sources))
			}
			checkRanges(t, file, diags)
		})
	}
}

func TestUnclosedBracketIsNamed(t *testing.T) {
	_, diags := decodeText("# one\nhost \"a.localhost\" {\n  upstream = [3000,\n\n}\n", "")
	if len(diags) != 1 || diags[0].Detail != `the "[" on line 3 is not closed` {
		t.Errorf("%+v", diags)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"upstream", "redirect", "respond", "host", "service", "api", "hold"}
	for given, want := range map[string]string{
		"upstrem": "upstream", "UPSTREAM": "upstream", "hots": "host", "upstreams": "upstream", "up": "", "x": "", "ap": "api",
		"redirct": "redirect", "serv": "service", "zebra": "", "completely": "", "": "",
	} {
		if got := nearest(given, words); got != want {
			t.Errorf("nearest(%q) = %q, want %q", given, got, want)
		}
	}
}
