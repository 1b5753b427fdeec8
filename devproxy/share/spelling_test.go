package share

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestUnescapeEveryEscape decodes "%" before every two bytes, and "%u" before
// four: what is hexadecimal in either case, and nothing else.
func TestUnescapeEveryEscape(t *testing.T) {
	for i := range 1 << 16 {
		digits := string([]byte{byte(i >> 8), byte(i)})
		want := "%" + digits + "x"
		if value, err := strconv.ParseUint(digits, 16, 8); err == nil {
			want = string([]byte{byte(value), 'x'})
		}
		if got := unescape("%" + digits + "x"); got != want {
			t.Errorf("%q: %q, want %q", "%"+digits+"x", got, want)
		}
	}
	for place := range 4 {
		for c := range 256 {
			digits := []byte("0041")
			digits[place] = byte(c)
			want := "%u" + string(digits)
			if value, err := strconv.ParseUint(string(digits), 16, 16); err == nil {
				want = string(rune(value))
			}
			if got := unescape("%u" + string(digits)); got != want && c != '%' {
				t.Errorf("%q: %q, want %q", "%u"+string(digits), got, want)
			}
		}
	}
	for text, want := range map[string]string{
		"/%" + strings.Repeat("25", 1000) + "2e": "/.", "%25%25%32%65": "%.", "%u00%3225": `"5`, "%u0025%u0034%u0031": "A",
		"": "", "%": "%", "%4": "%4", "%u": "%u", "%u004": "%u004", "%U0041": "A", "%v0041": "%v0041", "u0041": "u0041",
		"%2541": "A", "%%341": "A", "%4%31": "A", "%25u0041": "A", "%u0025u0041": "A", "%u002541": "A", "%E9": "\xe9", "%u00e9": "é",
	} {
		if got := unescape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// overlongForm is c in UTF-8 of size bytes, more than it needs.
func overlongForm(c byte, size int) []byte {
	form := make([]byte, size)
	lead := map[int]byte{2: 0xc0, 3: 0xe0, 4: 0xf0}
	for i, value := size-1, c; i > 0; i, value = i-1, value>>6 {
		form[i] = 0x80 | value&0x3f
	}
	form[0] = lead[size]
	if size == 2 {
		form[0] |= c >> 6
	}
	return form
}

// TestFoldOverlong: every ASCII character in two to four bytes is folded to
// that character, and other bytes stay unchanged.
func TestFoldOverlong(t *testing.T) {
	for size := 2; size <= 4; size++ {
		for c := range byte(0x80) {
			form := string(overlongForm(c, size))
			if got, want := fold("x"+form+"y"), "x"+strings.ToLower(string(rune(c)))+"y"; got != want {
				t.Errorf("% x: %q, want %q", form, got, want)
			}
		}
		for place := 1; place < size; place++ {
			for c := range 256 {
				form := overlongForm('.', size)
				form[place] = byte(c)
				if got := fold(string(form)); !utf8.Valid(form) && strings.IndexByte(got, form[0]) == 0 != (c&0xc0 != 0x80) {
					t.Errorf("% x: %q", form, got)
				}
			}
			cut := string(overlongForm('.', size)[:place])
			if got := fold(cut); got != cut {
				t.Errorf("% x, which is not complete: %q", cut, got)
			}
		}
	}
	for c := 0x80; c < 0x100; c++ { // neither the beginning nor the rest of a form
		if text := string([]byte{byte(c)}); fold(text) != text {
			t.Errorf("% x alone: %q", text, fold(text))
		}
	}
	for _, text := range []string{"\x80\xae", "\xbf\xae", "\xf8\x80\x80\x80\xae", "\xff\xae"} {
		if got := fold(text); got != text {
			t.Errorf("% x: %q", text, got)
		}
	}
}

// TestFoldCharacters: characters that Windows, or a decomposition, reads as ASCII, and
// characters next to them that stay.
func TestFoldCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"ABC": "abc", "É": "e", "e\u0301": "e", "\uff21\uff0f\uff0e": "a/.", "\u2025": "..", "\ufe68": `\`, "\u212a": "k", "\u017f": "s", "\u00aa": "a", "ß": "ß", "ж": "ж", "\u0416": "ж", "日": "日",
		"\u29f5": `\`, "\u29f9": `\`, "\u29f6": "\u29f6", "\u29f8": "/", "\u2217": "\u2217", "\u00a5": `\`, "\u20a9": `\`, "\u00f0": "d", "\u00f8": "o",
		"\u0269": "i", "\u025b": "e", "\u03b3": "g", "\u03bf": "o", "\u03c9": "o", "\u03c2": "s", "\u03b8": "t", "\u0391": "a", "\u03b2": "\u03b2",
	} {
		if got := fold(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestFoldAsWindowsDoes: the characters that code page 1252 of Windows reads as ASCII,
// except those with marks and the wide forms, which decompose (windows-1252-2000.ucm of
// ICU).
func TestFoldAsWindowsDoes(t *testing.T) {
	for ascii, likes := range map[string]string{
		"a": "\u03b1", "b": "\u0180\u212c", "c": "\u2102\u212d", "d": "\u0111\u0110\u03b4", "e": "\u03b5\u2107\u212e\u212f\u2130", "f": "\u0191\u0192\u03a6\u03c6\u2131",
		"g": "\u01e4\u01e5\u0261\u0393\u210a", "h": "\u0126\u0127\u04bb\u210b\u210c\u210d\u210e", "i": "\u0131\u0197\u2110\u2111", "k": "\u212a", "l": "\u0141\u0142\u019a\u2112\u2113",
		"m": "\u2133", "n": "\u207f\u2115\u2229", "o": "\u019f\u03a9\u2134", "p": "\u03c0\u20a7\u2118\u2119", "q": "\u211a", "r": "\u211b\u211c\u211d",
		"s": "\u03a3\u03c3", "t": "\u0166\u0167\u01ab\u01ae\u0398\u03c4", "v": "\u221a", "z": "\u01b6\u2124\u2128",
		"0": "\u2080", "1": "\u2081", "4": "\u2074\u2084", "8": "\u2078\u2088\u221e", "9": "\u2089",
		"/": "\u2044\u2215", `\`: "\u2216", "%": "\u066a", ":": "\u0589\u2236", ";": "\u037e", "~": "\u223c", "_": "\u02cd\u2584",
		"-": "\u2010\u2011\u2212\u2500\u252c\u2534\u2550\u2564\u2565\u2566\u2567\u2568\u2569", " ": "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u3000",
	} {
		for _, like := range likes {
			if got := fold(string(like)); got != ascii {
				t.Errorf("%U: %q, want %q", like, got, ascii)
			}
		}
	}
	for _, path := range []string{"/.gi\u01ab/config", "/.e\u2229v", "/\u066a2eenv", "/db.sql\u0268\u01ab\u2107", "/id\u02cdrsa", "/x/.env\u2236$DATA"} {
		if !hidden(path) {
			t.Errorf("%s is not hidden", path)
		}
	}
}

// disguised returns a dot that needs a number of rounds to be seen: each but the first
// results in one more "%", in two bytes instead of one.
func disguised(rounds int) string {
	text := "%2e"
	for range rounds - 1 {
		text = strings.Replace(text, "%", "%c0%a5", 1)
	}
	return text
}

// TestRoundsAreBounded: a path that needs the maximal number of rounds is read, and one
// that needs one more is not. The last round finds that nothing changes.
func TestRoundsAreBounded(t *testing.T) {
	if got, ok := foldPath("/" + disguised(maxRounds-1) + "env"); got != "/.env" || !ok {
		t.Errorf("%q, %v", got, ok)
	}
	if got, ok := foldPath("/" + disguised(maxRounds) + "env"); got != "" || ok {
		t.Errorf("one more: %q, %v", got, ok)
	}
	for _, rounds := range []int{1, maxRounds - 1, maxRounds, 3 * maxRounds} {
		if !hidden("/" + disguised(rounds) + "env") {
			t.Errorf("a name that %d rounds show is not hidden", rounds)
		}
	}
	if hidden("/"+disguised(maxRounds-1)+"well-known/x") || !hidden("/"+disguised(maxRounds)+"well-known/x") {
		t.Error("what can be read is hidden, or what cannot is not")
	}
}

// TestShortNames: 8.3 names are hidden, and names that only look alike are not.
func TestShortNames(t *testing.T) {
	for path, want := range map[string]bool{
		"/ENV~1": true, "/env~12": true, "/ENV~1.LOC": true, "/GIT~1/config": true, "/a~1": true, "/PROXYF~1.HCL": true, "/abcdef~1": true, "/abcde~12": true, "/abcdef~12": true, "/abcdef~123": false, "/abcd~123": true, "/abc~1234": true, "/1a~1": true, "/12~1.key": true, "/12~1.hcl": true,
		"/EN0A1B~1": true, "/EN0A1B~1.JS": true, "/env~1.js": true, "/x/ENV~1": true, "/ENV~1.": true,
		"/~1": false, "/abcdefg~1": false, "/env~": true, "/env~12345": false, "/env~x": false, "/env~1x": false, "/env~1.abcd": false,
		"/a~1.js": false, "/main~2.css": false, "/en0a1~1.js": false, "/en0a1bc~1.js": false, "/en0a1g~1.js": false, "/xx0a1b~1.js": false, "/img~1.png": false,
		"/env~1.pdf": true, "/photo~1.pdf": false, "/en0a1b~1.ts": true, "/a~1.ts": false, "/a~0": false, "/a~01": false, "/sales~2024": false, "/2024~2025": false, "/5~10": false,
		"/env": false, "/a~b~1.txt": false, "/vendors~main.chunk.js": false, "/~me/x": false,
	} {
		if got := hidden(path); got != want {
			t.Errorf("%s: hidden %v, want %v", path, got, want)
		}
	}
	// Endings of bundlers' files with similar names: only the short names of ".env…"
	// are hidden.
	for _, ending := range []string{
		"js", "mjs", "css", "map", "png", "jpg", "gif", "svg", "ts", "tsx", "jsx", "vue", "htm", "pdf", "ico", "bmp", "mp3", "mp4", "ogg", "wav", "ttf", "otf", "eot", "glb", "vtt",
	} {
		if hidden("/photo~1." + ending) {
			t.Errorf("/photo~1.%s is hidden", ending)
		}
		if !hidden("/env~1." + ending) {
			t.Errorf("/env~1.%s is not hidden", ending)
		}
	}
}
