package rewrite

import (
	"io"
	"strings"
	"testing"
	"unsafe"
)

// Text that a stranger has written on a shared site must not move the limits of values and
// elements when the page is changed, also where browsers read the page in another way.
func TestPageHoldsHostileText(t *testing.T) {
	const meta = `<meta http-equiv=content-security-policy content='connect-src shop.localhost:8443 `
	const public = `<meta http-equiv=content-security-policy content='connect-src shop-k3.t.example.com `
	long := strings.Repeat("x", maxTag+1)
	for _, test := range []struct{ name, page, want string }{
		{"the attribute before stays apart", `<script src=/a.js integrity="sha384-x"defer>`, `<script src=/a.js defer>`},
		{"a slash stays apart", `<link href=a.css integrity="sha384-x"/>`, `<link href=a.css />`},
		{"in a long value", `<div title="` + long + meta + `&quot;'><script src=/a integrity=x>"><script src=/a integrity=x>`,
			`<div title="` + long + meta + `&quot;'><script src=/a integrity=x>"><script src=/a>`},
		{"in a long value without quotes", `<div title=` + long + `"><script src=/a integrity=x>`, `<div title=` + long + `"><script src=/a>`},
		{"after a long value", `<div title='` + long + `>' a = "<script src=/a integrity=x>" / ="><script src=/a integrity=x>`,
			`<div title='` + long + `>' a = "<script src=/a integrity=x>" / ="><script src=/a>`},
		{"after a long script tag", `<script title="` + long + `">"<script src=/a integrity=x>"</script><script src=/a integrity=x>`,
			`<script title="` + long + `">"<script src=/a integrity=x>"</script><script src=/a>`},
		{"after a tag in a value", `<div title="<b> <script src=/a integrity=x>">`, `<div title="<b> <script src=/a integrity=x>">`},
		{"after a tag in a value of single quotes", `<div title='<b> <i> <script src=/a integrity=x>'>`, `<div title='<b> <i> <script src=/a integrity=x>'>`},
		{"a quote in a policy", `<svg><style><a title="</style>` + meta + `&quot;onclick=x'>">`, `<svg><style><a title="</style>` + public + `&#34;onclick=x'>">`},
		{"the ends of elements in a policy", meta + `&lt;/title>&lt;script>'>`, meta + `&lt;/title>&lt;script>'>`},
		{"other values in a policy", `<svg><style><a title="</style>` + meta + `"><a title="'>">`, `<svg><style><a title="</style>` + meta + `"><a title="'>">`},
		{"other values in an integrity", `<svg><style><a title="</style><script src=/a integrity='">it's`, `<svg><style><a title="</style><script src=/a integrity='">it's`},
		{"an empty comment", `<!--><script src=/a integrity=x></script>-->`, `<!--><script src=/a></script>-->`},
		{"a short comment", `<!---><script src=/a integrity=x></script>-->`, `<!---><script src=/a></script>-->`},
		{"a comment that ends with a bang", `<!-- <script src=/a integrity=x> --!><script src=/a integrity=x>`, `<!-- <script src=/a integrity=x> --!><script src=/a>`},
		{"a comment that begins with a bang", `<!--!><script src=/a integrity=x>--><script src=/a integrity=x>`, `<!--!><script src=/a integrity=x>--><script src=/a>`},
		{"dashes in a comment", `<!-- - -- --- <script src=/a integrity=x>---><script src=/a integrity=x>`, `<!-- - -- --- <script src=/a integrity=x>---><script src=/a>`},
		{"a closed element in SVG", `<svg><title/><style /><script/></svg><script src=/a integrity=x>`, `<svg><title/><style /><script/></svg><script src=/a>`},
		{"a slash in a value in SVG", `<svg><title lang=a/><script src=/a integrity=x></title>`, `<svg><title lang=a/><script src=/a integrity=x></title>`},
		{"a closed element after SVG", `<svg></svg><math/></math><title/><script src=/a integrity=x></title>`, `<svg></svg><math/></math><title/><script src=/a integrity=x></title>`},
		{"a local URL in another's", `<script src="https://cdn.example/?u=https://shop.localhost" integrity=x>`, `<script src="https://cdn.example/?u=https://shop-k3.t.example.com" integrity=x>`},
		{"a base elsewhere", `<base href="https://cdn.example/"><script src="x.js" integrity=x>`, `<base href="https://cdn.example/"><script src="x.js" integrity=x>`},
		{"a base here", `<base href="/app/"><script src="x.js" integrity=x>`, `<base href="/app/"><script src="x.js">`},
		{"a backslash", `<script src="/\cdn.example/x.js" integrity=x>`, `<script src="/\cdn.example/x.js" integrity=x>`},
		{"a policy as React writes it", `<meta http-equiv=content-security-policy content="connect-src &#x27;self&#x27; shop.localhost:8443">`,
			`<meta http-equiv=content-security-policy content="connect-src &#39;self&#39; shop-k3.t.example.com">`},
		{"many tags that do not end", strings.Repeat("<s ", 1<<20), strings.Repeat("<s ", 1<<20)},
		{"many tags of scripts that do not end", strings.Repeat("<script ", 1<<20), strings.Repeat("<script ", 1<<20)},
	} {
		t.Run(test.name, func(t *testing.T) {
			cuts := []func(int) int{whole, func(int) int { return 1000 }}
			if len(test.page) < 1000 {
				cuts = append(cuts, func(int) int { return 1 }, func(int) int { return 3 })
			}
			for _, cut := range cuts {
				if got, _, _ := pageThrough(t, test.page, nil, cut); got != test.want {
					t.Errorf("it becomes\n%.900s\nwant\n%.900s", got, test.want)
				}
			}
		})
	}
}

// A page that is held back takes little more memory than its text, however it is cut.
func TestMemoryOfHeldPage(t *testing.T) {
	hash := "'" + padded(of([]byte("x"))[0]) + "'"
	for name, text := range map[string]string{
		"tags":            strings.Repeat("<svg>", maxHeld/8),
		"escapes in rows": `<script>self.__next_f.push([1,"1:` + strings.Repeat(`\n`, maxHeld/4) + `"])</script>`,
		"bytes in rows":   `<script>self.__next_f.push([1,"1:offfff,` + strings.Repeat(`\n`, maxHeld/4) + `"])</script>`,
		"policies":        strings.Repeat(`<meta http-equiv=content-security-policy content="script-src `+hash+`">`, 2*maxHeld/len(hash)),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPage(testNames(), NewText(testNames(), io.Discard), strings.ToLower, func(string) {})
			defer p.free()
			p.holdFor([]string{"script-src " + hash})
			if _, err := io.WriteString(p, text); err != nil {
				t.Fatal(err)
			}
			size := 0
			for _, s := range p.held {
				size += cap(s.text)
			}
			if size += cap(p.held) * int(unsafe.Sizeof(segment{})); size > 4*maxHeld {
				t.Errorf("%d bytes take %d", len(text), size)
			}
		})
	}
}

// Many slow readers of pages that are held back, or of long responses, take little memory.
func TestMemoryOfManyResponses(t *testing.T) {
	policy := "script-src '" + padded(of([]byte("x"))[0]) + "'"
	var pages []*page
	var collectors []*sink
	for range maxHolding + 1 {
		p := newPage(testNames(), NewText(testNames(), io.Discard), strings.ToLower, func(string) {})
		p.holdFor([]string{policy})
		pages = append(pages, p)
	}
	for range maxSinks + 1 {
		collectors = append(collectors, newSink(io.Discard, func() {}))
	}
	if !pages[maxHolding-1].hold || pages[maxHolding].hold {
		t.Error("another number of pages is held back than the limit")
	}
	if collectors[maxSinks-1].most != maxSink || collectors[maxSinks].most != smallSink {
		t.Error("another number of responses collects much than the limit")
	}
	for _, p := range pages {
		p.free()
	}
	for _, s := range collectors {
		s.free()
	}
	if holding.Load() != 0 || openSinks.Load() != 0 {
		t.Errorf("%d pages and %d responses are counted after the last", holding.Load(), openSinks.Load())
	}
}
