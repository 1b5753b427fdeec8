package rewrite

import (
	"bytes"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// testNames are three hosts, a wildcard and an upstream.
func testNames() *Names {
	return &Names{
		Ends: map[string]bool{"localhost": true, "1": true, "[::1]": true},
		Replace: func(scheme, host, port string) (Target, bool) {
			known := map[string]string{"shop.localhost": "shop-k3.t.example.com", "api.shop.localhost": "shop-k3--api.t.example.com:9443"}
			label, wild := strings.CutSuffix(host, ".tenant.localhost")
			switch {
			case (host == "localhost" || host == "127.0.0.1" || host == "[::1]") && port == "3000":
				return Target{Authority: "shop-k3.t.example.com", Path: "/api"}, true
			case port != "" && port != "8443":
			case known[host] != "":
				return Target{Authority: known[host]}, true
			case wild && !strings.Contains(label, "."):
				return Target{Authority: "shop-k3--" + label + "--tenant.t.example.com"}, true
			}
			return Target{}, false
		},
	}
}

func TestString(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"raw", `<a href="https://shop.localhost:8443/a">`, `<a href="https://shop-k3.t.example.com/a">`},
		{"without a port", `'https://shop.localhost'`, `'https://shop-k3.t.example.com'`},
		{"plain HTTP becomes HTTPS", `http://shop.localhost/x http://SHOP.localhost:8443`, `https://shop-k3.t.example.com/x https://shop-k3.t.example.com`},
		{"a WebSocket", `ws://shop.localhost:8443/ws wss://api.shop.localhost`, `wss://shop-k3.t.example.com/ws wss://shop-k3--api.t.example.com:9443`},
		{"without a scheme", `src="//shop.localhost/x"`, `src="//shop-k3.t.example.com/x"`},
		{"JSON", `{"u":"https:\/\/api.shop.localhost:8443\/v1"}`, `{"u":"https:\/\/shop-k3--api.t.example.com:9443\/v1"}`},
		{"JSON with code points", `"http:\u002F\u002Fshop.localhost\u002F"`, `"https:\u002F\u002Fshop-k3.t.example.com\u002F"`},
		{"JSON in JSON", `"{\"u\":\"https:\\/\\/shop.localhost\\/\"}"`, `"{\"u\":\"https:\\/\\/shop-k3.t.example.com\\/\"}"`},
		{"JavaScript", `"https:\x2f\x2fshop.localhost\x2f"`, `"https:\x2f\x2fshop-k3.t.example.com\x2f"`},
		{"HTML", `href="http:&#x2F;&#x2F;shop.localhost&#x2F;a"`, `href="https:&#x2F;&#x2F;shop-k3.t.example.com&#x2F;a"`},
		{"percent-encoded", `redirect_uri=https%3A%2F%2Fshop.localhost%3A8443%2Fcb`, `redirect_uri=https%3A%2F%2Fshop-k3.t.example.com%2Fcb`},
		{"percent-encoded with a new port", `u=http%3a%2f%2fapi.shop.localhost%2fcb`, `u=https%3a%2f%2fshop-k3--api.t.example.com%3A9443%2fcb`},
		{"percent-encoded twice", `next=%2Fa%3Fu%3Dhttps%253A%252F%252Fapi.shop.localhost%253A8443%252Fcb`, `next=%2Fa%3Fu%3Dhttps%253A%252F%252Fshop-k3--api.t.example.com%253A9443%252Fcb`},
		{"after an escape", `"\nhttps://shop.localhost","\nws://shop.localhost"`, `"\nhttps://shop-k3.t.example.com","\nwss://shop-k3.t.example.com"`},
		{"a wildcard, label for label", `https://acme.tenant.localhost/ https://a.b.tenant.localhost/`, `https://shop-k3--acme--tenant.t.example.com/ https://a.b.tenant.localhost/`},
		{"an upstream, with its port only", `http://localhost:3000/users http://127.0.0.1:3000 http://[::1]:3000/ http://localhost/`, `https://shop-k3.t.example.com/api/users https://shop-k3.t.example.com/api https://shop-k3.t.example.com/api/ http://localhost/`},
		{"an upstream in JSON", `"http:\/\/localhost:3000\/users"`, `"https:\/\/shop-k3.t.example.com\/api\/users"`},
		{"the end of a sentence", `See https://shop.localhost. Or https://shop.localhost: it works...`, `See https://shop-k3.t.example.com. Or https://shop-k3.t.example.com: it works...`},
		{"a dot that belongs to the name", `https://shop.localhost./a https://shop.localhost.:8443/a`, `https://shop-k3.t.example.com/a https://shop-k3.t.example.com/a`},
		{"a template", "`https://shop.localhost${path}`", "`https://shop-k3.t.example.com${path}`"},
		{"a URL next to another", `https://shop.localhost,https://shop.localhost`, `https://shop-k3.t.example.com,https://shop-k3.t.example.com`},
		{"a nested URL", `https://other.example/?u=https://shop.localhost/`, `https://other.example/?u=https://shop-k3.t.example.com/`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := testNames().String(test.text); got != test.want {
				t.Errorf("\n%s\nbecomes\n%s\nwant\n%s", test.text, got, test.want)
			}
		})
	}
}

// Texts that look like a URL of ours and are not.
func TestUnchanged(t *testing.T) {
	for _, text := range []string{
		"", "/", "//", "https://", `"https://shop.localhost:" + port`, "shop.localhost",
		"https://myshop.localhost/", "https://shop.localhost.evil.example", "https://shop.localhostess", "https://shop.localhost-x", "https://shop.localhost_x",
		"https://x.shop.localhost", "https://shop.localhost:84430", "https://shop.localhost:8443x", "https://shop.localhost:123456", "https://shop.localhost:9999/",
		"https://shop.localhost@evil.example/", "https://shop.localhost:8443@evil.example/", "https://shop.localhost%40evil.example", "https://shop.localhost%2Eevil.example",
		"https%3A%2F%2Fshop.localhost%2eevil.example", "https%3A%2F%2Fshop.localhost%2Dx", "https://shop.localhosté", "https://shop.localhost:8443:1",
		"postgres://shop.localhost:8443/db", "news://shop.localhost", "https://cdn.example//shop.localhost/x", "a//shop.localhost", "https:///shop.localhost",
		"https:%2F/shop.localhost", `https:\//shop.localhost`, "https://${tenant}.shop.localhost/", "https://[shop.localhost]/", "// a comment",
		"https://" + strings.Repeat("a", 300) + ".shop.localhost/",
	} {
		if got := testNames().String(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

// pieces writes text in pieces of the lengths that cut returns.
func pieces(text []byte, to io.WriteCloser, cut func(left int) int) {
	for len(text) > 0 {
		n := min(cut(len(text)), len(text))
		_, _ = to.Write(text[:n])
		text = text[n:]
	}
	_ = to.Close()
}

// randomText returns a text of words that URLs are made of.
func randomText(r *rand.Rand) []byte {
	words := []string{
		"http", "https", "ws", "wss", "HTTPS", ":", "%3A", "%253A", "//", "/", `\/\/`, `\/`, `\\/\\/`, `\u002f\u002f`, `\u002F`, `\x2f\x2f`, "%2F%2F", "%2f", "%252F%252F", "&#x2F;&#x2F;", "&#47;&#47;",
		"shop.localhost", "Shop.LocalHost", "api.shop.localhost", "x.tenant.localhost", "localhost", "127.0.0.1", "[::1]", ":8443", ":3000", "%3A8443", "%253A8443", ":84", ":",
		".", "@", "-", "a", "é", " ", "\n", `"`, "'", "<", ">", "&amp;", "%", "%2", "%25", `\`, `\n`, "=", "?u=", "\x00", "evil", "//shop.localhost", "http://shop.localhost", "https%3A%2F%2Fapi.shop.localhost%3A8443%2F",
	}
	var text []byte
	for range r.IntN(24) {
		text = append(text, words[r.IntN(len(words))]...)
	}
	return text
}

// TestCuts: any cut gives the same output as the whole, and no more than a match is
// held back.
func TestCuts(t *testing.T) {
	names := testNames()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 6000 {
		checkCuts(t, names, randomText(r), r)
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func checkCuts(t *testing.T, names *Names, text []byte, r *rand.Rand) {
	t.Helper()
	want := names.String(string(text))
	for _, most := range []int{1, 3, 40} {
		var got bytes.Buffer
		out := NewText(names, &got)
		pieces(text, out, func(int) int {
			if held := len(out.buf); held > maxMatch {
				t.Errorf("%q: %d bytes are held back", text, held)
			}
			return 1 + r.IntN(most)
		})
		if got.String() != want {
			t.Fatalf("%q in pieces becomes\n%q, as a whole\n%q", text, got.String(), want)
		}
	}
}

// oracle finds raw URLs by an expression over the whole text.
var oracle = regexp.MustCompile(`(?i)(https?|wss?)://(shop\.localhost|api\.shop\.localhost)(:8443)?("|/)`)

// TestOracle compares with an expression, for texts in which both see the same.
func TestOracle(t *testing.T) {
	names := testNames()
	r := rand.New(rand.NewPCG(rand.Uint64(), 2))
	words := []string{
		`"https://shop.localhost/a"`, `"HTTP://api.shop.localhost:8443"`, `"ws://Shop.localhost/"`, `"https://other.example/"`, `"https://myshop.localhost/"`, `"https://shop.localhost.evil/"`,
		" ", "text", "<p>", "/", "\n", `"https://shop.localhost:8444/"`,
	}
	for range 2000 {
		var text strings.Builder
		for range r.IntN(12) {
			text.WriteString(words[r.IntN(len(words))])
		}
		want := oracle.ReplaceAllStringFunc(text.String(), func(found string) string {
			part := oracle.FindStringSubmatch(found)
			scheme := map[string]string{"http": part[1] + "s", "ws": part[1] + "s"}[strings.ToLower(part[1])]
			if scheme == "" {
				scheme = part[1]
			}
			host := map[string]string{"shop.localhost": "shop-k3.t.example.com", "api.shop.localhost": "shop-k3--api.t.example.com:9443"}[strings.ToLower(part[2])]
			return scheme + "://" + host + part[4]
		})
		if got := names.String(text.String()); got != want {
			t.Fatalf("%q\nbecomes\n%q, want\n%q", text.String(), got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte(`<a href="https://shop.localhost:8443/?u=http%3A%2F%2Fapi.shop.localhost%2F">`), uint64(1))
	f.Add([]byte(`{"u":"http:\/\/[::1]:3000\/"}`), uint64(2))
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		checkCuts(t, testNames(), text, rand.New(rand.NewPCG(seed, 3)))
	})
}

// TestTwoSlashes compares with a search byte by byte.
func TestTwoSlashes(t *testing.T) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 10))
	for range 20000 {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = "/a.0\xaf\x2e"[r.IntN(6)]
		}
		from := r.IntN(len(b) + 1)
		want := bytes.Index(b[from:], []byte("//"))
		if want >= 0 {
			want += from
		} else if len(b) > from && b[len(b)-1] == '/' {
			want = len(b) - 1
		}
		if got := twoSlashes(b, from); got != want {
			t.Fatalf("%q from %d: %d, want %d", b, from, got, want)
		}
	}
}
