package rewrite

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// pageThrough returns what a page in pieces becomes, with the policies of its header
// and the sentences about it.
func pageThrough(t *testing.T, text string, policies []string, cut func(int) int) (body string, header, told []string) {
	t.Helper()
	var out bytes.Buffer
	names := testNames()
	replace := strings.NewReplacer("shop.localhost:8443", "shop-k3.t.example.com")
	p := newPage(names, NewText(names, &out), replace.Replace, func(text string) { told = append(told, text) })
	p.begin = func(added additions) {
		for _, policy := range policies {
			header = append(header, added.policy(policy))
		}
	}
	p.holdFor(policies)
	for rest := []byte(text); len(rest) > 0; {
		n := min(cut(len(rest)), len(rest))
		if _, err := p.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String(), header, told
}

func whole(n int) int { return n }

func TestPage(t *testing.T) {
	const script, style = "fetch('https://shop.localhost/a')", "a{background:url(https://shop.localhost/a.png)}"
	const public = "fetch('https://shop-k3.t.example.com/a')"
	was := func(text string) string { return "'" + padded(of([]byte(text))[0]) + "'" }
	is := was(public)
	publicStyle := strings.Replace(style, "shop.localhost", "shop-k3.t.example.com", 1)
	policy := "script-src 'self' " + was(script) + "; style-src " + was(style)
	publicPolicy := "script-src 'self' " + was(script) + " " + is + "; style-src " + was(style) + " " + was(publicStyle)
	for _, test := range []struct {
		name, page, want string
		policies, header []string
		told             int
	}{
		{"plain", `<p>https://shop.localhost</p>`, `<p>https://shop-k3.t.example.com</p>`, nil, nil, 0},
		{"integrity of an own script", `<script src="/app.js" integrity="sha384-x" defer></script>`, `<script src="/app.js" defer></script>`, nil, nil, 0},
		{"integrity of a shared host's", `<SCRIPT integrity='sha384-x' src=https://api.shop.localhost/x.js></SCRIPT>`, `<SCRIPT src=https://shop-k3--api.t.example.com:9443/x.js></SCRIPT>`, nil, nil, 0},
		{"integrity of another host's", `<script src="https://cdn.example/x.js" integrity="sha384-x"></script>`, `<script src="https://cdn.example/x.js" integrity="sha384-x"></script>`, nil, nil, 0},
		{"integrity of a style sheet", `<link rel=stylesheet href="a.css" integrity=sha384-x>`, `<link rel=stylesheet href="a.css">`, nil, nil, 0},
		{"integrity in a text", `<p>integrity="x"</p><!-- <script src=/a integrity=x> --><textarea><script src=/a integrity=x></textarea>`, `<p>integrity="x"</p><!-- <script src=/a integrity=x> --><textarea><script src=/a integrity=x></textarea>`, nil, nil, 0},
		{"integrity in a value", `<div data-x='<script src="/a" integrity="x">'>`, `<div data-x='<script src="/a" integrity="x">'>`, nil, nil, 0},
		{"integrity in a script", `<script>s.integrity = "<script src=/a integrity=x>"</script>`, `<script>s.integrity = "<script src=/a integrity=x>"</script>`, nil, nil, 0},
		{"a hash in the header", `<script>` + script + `</script><style>` + style + `</style>`, `<script>` + public + `</script><style>` + publicStyle + `</style>`, []string{policy}, []string{publicPolicy}, 0},
		{"a script with a nonce", `<script nonce="n">` + script + `</script>`, `<script nonce="n">` + public + `</script>`, []string{policy}, []string{policy}, 0},
		{"a hash in the page", `<meta http-equiv="Content-Security-Policy" content="` + policy + `"><script>` + script + `</script><style>` + style + `</style>`,
			`<meta http-equiv="Content-Security-Policy" content="` + publicPolicy + `"><script>` + public + `</script><style>` + publicStyle + `</style>`, nil, nil, 0},
		{"sources in the page", `<meta http-equiv="content-security-policy" content="connect-src shop.localhost:8443">`, `<meta http-equiv="content-security-policy" content="connect-src shop-k3.t.example.com">`, nil, nil, 0},
		{"an own script that a hash allows", `<script src="/a.js" integrity="` + strings.Trim(was("x"), "'") + `"></script>`, `<script src="/a.js" integrity="` + strings.Trim(was("x"), "'") + `"></script>`, []string{"script-src " + was("x")}, []string{"script-src " + was("x")}, 1},
		{"unfinished", `<p title="https://shop.localhost`, `<p title="https://shop-k3.t.example.com`, nil, nil, 0},
		{"an unfinished script", `<script>` + script, `<script>` + public, []string{policy}, []string{"script-src 'self' " + was(script) + " " + is + "; style-src " + was(style)}, 0},
		{"empty", ``, ``, []string{policy}, []string{policy}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(rand.Uint64(), 4))
			for _, cut := range []func(int) int{whole, func(int) int { return 1 }, func(int) int { return 1 + r.IntN(30) }} {
				got, header, told := pageThrough(t, test.page, test.policies, cut)
				if got != test.want || len(told) != test.told || test.header != nil && !slices.Equal(header, test.header) {
					t.Errorf("\n%s\nbecomes\n%s\nwant\n%s\nheader %q, want %q\ntold %q", test.page, got, test.want, header, test.header, told)
				}
			}
		})
	}
}

// A page that is longer than what is held back keeps the local URLs of a script that
// a hash allows, so that browsers run it.
func TestLongPage(t *testing.T) {
	const script = "fetch('https://shop.localhost/a')"
	policy := "script-src '" + padded(of([]byte(script))[0]) + "'"
	text := strings.Repeat("<p>text</p>\n", maxHeld/12+1) + "<script>" + script + "</script><a href='https://shop.localhost/'>"
	got, header, told := pageThrough(t, text, []string{policy}, func(int) int { return 32 << 10 })
	if !strings.HasSuffix(got, "<script>"+script+"</script><a href='https://shop-k3.t.example.com/'>") || header[0] != policy || len(told) != 1 {
		t.Errorf("%q\n%q\n%q", got[len(got)-200:], header, told)
	}
}

// TestPageCuts: any cut of a page gives the same.
func TestPageCuts(t *testing.T) {
	const script = "fetch('https://shop.localhost/a')"
	policy := "script-src '" + padded(of([]byte(script))[0]) + "'"
	words := []string{
		"<script>", "</script>", "<script nonce=a>", script, "<style>", "</style", ">", "<", "<!--", "-->", "--!>", "-", "<svg>", "</svg>", "<title/>", "<p title='", "'", `"`, "<script src=/a integrity=x>", "<link href=/a integrity='y'>", " ", "=", "/",
		"https://shop.localhost/", "http:", "//api.shop.localhost:8443", `<meta http-equiv=content-security-policy content="` + policy + `">`, "<textarea>", "</textarea>", "</scr", "ipt>", "text",
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 5))
	for range 1500 {
		var text strings.Builder
		for range r.IntN(16) {
			text.WriteString(words[r.IntN(len(words))])
		}
		policies := []string{policy}[:r.IntN(2)]
		want, header, _ := pageThrough(t, text.String(), policies, whole)
		for _, most := range []int{1, 5, 40} {
			got, cutHeader, _ := pageThrough(t, text.String(), policies, func(int) int { return 1 + r.IntN(most) })
			if got != want || !slices.Equal(header, cutHeader) {
				t.Fatalf("seed %d: %q in pieces becomes\n%q, as a whole\n%q\n%q, %q", seed, text.String(), got, want, cutHeader, header)
			}
		}
	}
}

func BenchmarkPage(b *testing.B) {
	text := blog(10)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	names := testNames()
	for b.Loop() {
		p := newPage(names, NewText(names, io.Discard), strings.ToLower, func(string) {})
		pieces(text, p, func(int) int { return 32 << 10 })
	}
}
