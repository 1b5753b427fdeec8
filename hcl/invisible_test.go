package hcl

import (
	"strings"
	"testing"
)

// TestInvisibleCharacters: each is named at its place, once, and what the file says
// besides is read.
func TestInvisibleCharacters(t *testing.T) {
	for c, want := range map[string]string{
		"\u00a0": "U+00A0, a no-break space", "\u2003": "U+2003, a space of another width", "\u3000": "U+3000, a space of another width", "\u202f": "U+202F, a space of another width",
		"\u200b": "U+200B, a zero-width space", "\u200d": "U+200D, which has no width", "\u2060": "U+2060, which has no width", "\ufeff": "U+FEFF, a byte order mark", "\u00ad": "U+00AD, a soft hyphen",
		"\u202e": "U+202E, which changes the direction of text", "\u2066": "U+2066, which changes the direction of text", "\u2028": "U+2028, a line separator", "\u3164": "U+3164, which has no width",
	} {
		for place, text := range map[string]string{
			"after a name":    "host \"a.localhost\" {\n  upstream" + c + "= 3000\n}\n",
			"before a value":  "host \"a.localhost\" {\n  upstream =" + c + "3000\n}\n",
			"indenting":       "host \"a.localhost\" {\n" + c + " upstream = 3000\n}\n",
			"after a value":   "host \"a.localhost\" {\n  upstream = 3000" + c + "\n}\n",
			"before a brace":  "host \"a.localhost\"" + c + "{\n  upstream = 3000\n}\n",
			"after the block": "host \"a.localhost\" {\n  upstream = 3000\n}" + c + "\n",
		} {
			_, diags := decodeText(text, "")
			if len(diags) != 1 || !strings.Contains(diags[0].Summary, want) || diags[0].Range.Start.Line < 1 {
				t.Errorf("%q %s: %v", c, place, diags)
			}
		}
	}
	for _, fine := range []string{
		"# a\u00a0comment\u200b\nhost \"a.localhost\" { respond = { body = \"a\u00a0b\u200b\" } }\n",
		"locals { نام\u200cها = 3000 }\nhost \"a.localhost\" { upstream = local.نام\u200cها }\n",
		"\ufeffhost \"a.localhost\" { upstream = 3000 }\n",
		"host \"a.localhost\" {\n  respond = {\n    body = <<-X\n      a\u00a0b\n    X\n  }\n}\n",
	} {
		if _, diags := decodeText(fine, ""); len(diags) > 0 {
			t.Errorf("%q: %v", fine, diags)
		}
	}
}
