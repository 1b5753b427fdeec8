package hcl

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func summaries(diags Diagnostics) []string {
	var all []string
	for _, d := range diags {
		all = append(all, d.Summary)
	}
	return all
}

// TestBombs checks short files that would use up the stack, the memory or the time.
func TestBombs(t *testing.T) {
	doubled := func(first, next string) string {
		var b strings.Builder
		b.WriteString("locals {\n a0 = " + first + "\n")
		for i := 1; i < 64; i++ {
			from := string(rune('0'+(i-1)/10)) + string(rune('0'+(i-1)%10))
			if i == 1 {
				from = "0"
			}
			name := string(rune('0'+i/10)) + string(rune('0'+i%10))
			b.WriteString(" a" + name + " = " + strings.ReplaceAll(next, "X", "local.a"+from) + "\n")
		}
		return b.String() + "}\n" + smallest
	}
	const work = "the expressions in this file are too expensive"
	const deep = "more than 40 nested levels"
	const long = "more than 100 operators in a row"
	n := 100_000
	tests := []struct{ name, text, want string }{
		{"parentheses", "a = " + strings.Repeat("(", n), deep},
		{"brackets", "a = " + strings.Repeat("[", n) + strings.Repeat("]", n), deep},
		{"objects", "a = " + strings.Repeat("{a=", n), deep},
		{"blocks", strings.Repeat("a {\n", n), deep},
		{"templates", "a = " + strings.Repeat(`"${`, n), deep},
		{"directives", `a = "` + strings.Repeat(`%{if true}`, n) + `"`, long},
		{"nots", "a = " + strings.Repeat("!", n), long},
		{"nots over lines", "a = (" + strings.Repeat("\n!", n), long},
		{"sums", "a = 1" + strings.Repeat("+1", n), long},
		{"conditions", "a = " + strings.Repeat("true?1:", n) + "1", long},
		{"indices", "a = b" + strings.Repeat("[c]", n), long},
		{"splats", "a = b" + strings.Repeat("[*]", n), long},
		{"attributes", "a = b" + strings.Repeat(".c", n), long},
		{"a long number", "a = " + strings.Repeat("9", n), "this number is too long"},
		{"a large number", "a = 1e999999999", "this number is too long"},
		{"strings of strings", doubled(`"0123456789abcdef"`, `"${X}${X}"`), work},
		{"lists of lists", doubled(`[1]`, `[X, X]`), work},
		{"joined lists", doubled(`[1]`, `concat(X, X)`), work},
		{"powers", doubled(`1e99`, `X * X`), "this number is too large"},
		{"nested for", "locals { a = [for x in range(1000): [for y in range(1000): [for z in range(1000): z]]] }\n" + smallest, work},
		{"for in templates", "locals { a = \"%{for x in range(1000)}%{for y in range(1000)}%{for z in range(1000)}x%{endfor}%{endfor}%{endfor}\" }\n" + smallest, work},
		{"replace", "locals {\n a = join(\"\", [for x in range(1000): \"aaaaaaaaaa\"])\n b = replace(local.a, \"a\", local.a)\n}\n" + smallest, work},
		{"join", "locals {\n a = join(\"\", [for x in range(1000): \"aaaaaaaaaa\"])\n b = join(local.a, range(1000))\n}\n" + smallest, work},
		{"format", "locals { a = format(\"%999999999d\", 1) }\n" + smallest, "widths above 999 are not allowed"},
		{"range", "locals { a = range(1000000000) }\n" + smallest, "more than 1024 values were generated; either decrease the difference between start and end or use a smaller step"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			_, diags := decodeText(tt.text, "")
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %s", took)
			}
			if len(diags) == 0 || !strings.HasPrefix(tt.want, diags[0].Summary) {
				t.Fatalf("%q, want %q", summaries(diags), tt.want)
			}
		})
	}
}

// TestKeysOfKeys checks that a key is evaluated only once at any depth.
func TestKeysOfKeys(t *testing.T) {
	text := "locals {\n m = { a = \"a\" }\n b = " + strings.Repeat("local.m[", 35) + "\"a\"" + strings.Repeat("]", 35) + "\n}\n" + smallest
	began := time.Now()
	if _, diags := decodeText(text, ""); len(diags) > 0 || time.Since(began) > 20*time.Second {
		t.Errorf("%q after %v", summaries(diags), time.Since(began))
	}
}

func TestLongChain(t *testing.T) {
	var b strings.Builder
	b.WriteString(smallest + "locals {\n z0 = 1\n")
	for i := range 300 {
		b.WriteString(" " + chainName(i+1) + " = local." + chainName(i) + "\n")
	}
	_, diags := decodeText(strings.Replace(b.String(), "z0 = 1", chainName(0)+" = 1", 1)+"}\n", "")
	if len(diags) == 0 || diags[0].Summary != "more than 100 values refer to each other in a row" {
		t.Errorf("%q", summaries(diags))
	}
}

// chainName returns names of which later ones sort first, so that the first one
// evaluated is the last one of the chain.
func chainName(i int) string {
	n := 999 - i
	return "a" + string([]rune{rune('0' + n/100), rune('0' + n/10%10), rune('0' + n%10)})
}

// TestOrdinary checks that large ordinary files are within the limits.
func TestOrdinary(t *testing.T) {
	var b strings.Builder
	b.WriteString("locals { all = { for n in range(1000): \"k${n}\" => \"value ${n}\" } }\nhost \"a.localhost\" {\n  upstream = 1\n")
	for i := range 2000 {
		b.WriteString("  route \"/r" + strings.Repeat("x", i%7) + "/" + chainName(i%999) + string(rune('a'+i/999)) + "\" { upstream = " + "300" + "0 }\n")
	}
	b.WriteString("  request_headers = { X-A = \"" + strings.Repeat("${1}", 200) + "\", X-B = [\n" + strings.Repeat("\"a\",\n", 500) + "][0] }\n}\n")
	began := time.Now()
	_, diags := decodeText(b.String(), "")
	if len(diags) > 0 {
		t.Errorf("%q", summaries(diags)[:1])
	}
	t.Logf("%d bytes in %s", b.Len(), time.Since(began))
}

func TestText(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
		line, col  int
	}{
		{"byte order mark", "\uFEFF" + smallest, nil, 0, 0},
		{"byte order mark, and a mistake", "\uFEFFhost \"a.localhost\" { upstream = x }\n", []string{`unknown name "x"`}, 1, 33},
		{"byte order mark and CRLF", "\uFEFF" + strings.ReplaceAll("host \"a.localhost\" {\n  upstream = 1\n\n  route \"/a\" { upstream = 2 }\n}\n", "\n", "\r\n"), nil, 0, 0},
		{"not UTF-8", "# caf\xe9\n" + smallest, []string{"byte 0xe9 is not UTF-8"}, 1, 6},
		{"not UTF-8, and a mistake", "# caf\xe9\nhost \"a.localhost\" { upstrem = 1 }\n", []string{"byte 0xe9 is not UTF-8", `unknown attribute "upstrem" in host "a.localhost"`}, 1, 6},
		{"UTF-16", "\xff\xfeh\x00o\x00", []string{"the file is UTF-16"}, 1, 1},
		{"NUL", smallest + "\n\x00", []string{"a text can't contain a NUL byte"}, 3, 1},
		{"empty", "", []string{"Proxyfile is empty"}, 0, 0},
		{"blank", "\uFEFF \r\n\n", []string{"Proxyfile is empty"}, 0, 0},
		{"only comments", "# nothing\n", []string{"Proxyfile has no host"}, 0, 0},
		{"CRLF", strings.ReplaceAll("# a\nhost \"a.localhost\" {\n  upstream = x\n}\n", "\n", "\r\n"), []string{`unknown name "x"`}, 3, 14},
		{"binary", "\x7fELF\x02\x01\x01\x00\x00\xff", []string{"this is not a text file"}, 1, 1},
		{"UTF-16 without a mark", "h\x00o\x00s\x00t\x00 \x00\"\x00a\x00\"\x00", []string{"the file is UTF-16"}, 1, 1},
		{"UTF-16, big end first", "\x00h\x00o\x00s\x00t\x00 \x00\"\x00a\x00\"", []string{"the file is UTF-16"}, 1, 1},
		{"a merge conflict", "<<<<<<< HEAD\n" + smallest + "=======\n>>>>>>> b\n", []string{"this is part of a merge conflict", "this is part of a merge conflict", "this is part of a merge conflict"}, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, diags := decodeText(tt.text, "")
			got := summaries(diags)
			if len(diags) > 0 && (diags[0].Range.Start.Line != tt.line || diags[0].Range.Start.Column != tt.col) {
				t.Errorf("at %+v", diags[0].Range.Start)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			checkRanges(t, file, diags)
		})
	}
}

// TestGarbage checks large files that consist of mistakes.
func TestGarbage(t *testing.T) {
	fill := func(part string) string { return strings.Repeat(part, maxFileSize/32/len(part)) }
	tests := map[string]string{
		"words": fill("a b c\n"), "one line": fill("a"), "headers": fill("host \"a.localhost\" {\n"), "hosts": fill("host \"a.localhost\" { upstream = x }\n"),
		"braces": fill("}\n"), "quotes": fill("\"\n"), "assignments": fill("a = 30s\n"), "in one host": "host \"a.localhost\" {\n" + fill("a = 30s\n") + "}\n",
		"a list": "a = 30s\nhost \"a.localhost\" { upstream = [" + fill("x, ") + "] }\n", "ports": "host a.localhost { upstream = [" + fill("70000, ") + "] }\n",
		"good ports": "host a.localhost { upstream = [" + fill("7, ") + "] }\n", "semicolons": fill(";"), "control characters": fill("\x01"),
		"opened": fill("host \"a.localhost\" {\n  route \"/\" {\n"), "strings": fill("a = \"\n"), "attributes": fill("abcdef = 1\n"), "words in one host": "host \"a.localhost\" {\n" + fill("a b c\n"),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			file, diags := decodeText(text, "")
			read := time.Since(began)
			if !diags.HasErrors() {
				t.Error("no error")
			}
			if len(diags) > maxReported {
				t.Errorf("%d diagnostics", len(diags))
			}
			out := rendered(t, diags, file.Sources)
			took := time.Since(began)
			t.Logf("%s to read, %s in all, %d diagnostics, %d bytes", read, took, len(diags), len(out))
			if took > 30*time.Second {
				t.Error("took too long")
			}
		})
	}
}

// TestInvisibleCharacters checks that each is reported once, at its place, and that
// the rest of the file is decoded.
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
