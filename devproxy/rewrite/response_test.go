package rewrite

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/coding"
)

var codings = []string{"", "gzip", "x-gzip", "br", "zstd", "deflate"}

func encode(t testing.TB, text []byte, name string, r *rand.Rand) []byte {
	t.Helper()
	var out bytes.Buffer
	e := coding.NewEncoder(&out, name)
	for len(text) > 0 {
		n := 1 + r.IntN(len(text))
		_, _ = e.Write(text[:n])
		if r.IntN(2) == 0 {
			_ = e.Flush()
		}
		text = text[n:]
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decode(t testing.TB, body []byte, name string) string {
	t.Helper()
	var text []byte
	err := coding.Decode(bytes.NewReader(body), name, func(r io.Reader) (err error) {
		text, err = io.ReadAll(r)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(text)
}

// respond writes a response through a Response, in pieces.
func respond(r *http.Request, h http.Header, status int, body []byte, cut func(int) int, tell func(string)) (*httptest.ResponseRecorder, error) {
	names := testNames()
	recorder := httptest.NewRecorder()
	in, err := NewRequest(r, names, "0", netip.Addr{}, false)
	if err != nil {
		return nil, err
	}
	w := NewResponse(recorder, in, Options{Names: names, Policy: func(p string) string { return p }, Mark: "0", Tell: tell})
	defer w.Free()
	for name, values := range h {
		w.Header()[name] = slices.Clone(values)
	}
	w.WriteHeader(status)
	for len(body) > 0 {
		n := min(cut(len(body)), len(body))
		if _, err := w.Write(body[:n]); err != nil {
			return recorder, err
		}
		if err := w.FlushError(); err != nil {
			return recorder, err
		}
		body = body[n:]
	}
	return recorder, w.Finish()
}

func request(fields ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	return r
}

// TestCodings: in every coding, any cut of the encoded body gives the text that a whole
// one gives.
func TestCodings(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 6))
	for i := range 100 {
		text := randomText(r)
		kind := []string{"application/json", "text/html"}[i%2]
		for _, name := range codings {
			h := http.Header{"Content-Type": {kind}}
			if name != "" {
				h["Content-Encoding"] = []string{name}
			}
			most := 1 + r.IntN(20)
			got, err := respond(request(), h, 200, encode(t, text, name, r), func(int) int { return 1 + r.IntN(most) }, ignore)
			if err != nil {
				t.Fatalf("seed %d, %s: %v", seed, name, err)
			}
			if body := decode(t, got.Body.Bytes(), name); body != testNames().String(string(text)) {
				t.Fatalf("seed %d, %s: %q becomes %q", seed, name, text, body)
			}
		}
	}
}

// TestResponses: what is changed, and what the header says of it.
func TestResponses(t *testing.T) {
	const local, public = `"https://shop.localhost/"`, `"https://shop-k3.t.example.com/"`
	json := []string{"application/json"}
	utf16 := "\xff\xfe" + strings.Join(strings.Split(local, ""), "\x00") + "\x00"
	for _, test := range []struct {
		name   string
		h      http.Header
		status int
		body   string
		want   string
		told   int
	}{
		{"JSON", http.Header{"Content-Type": json}, 200, local, public, 0},
		{"an error", http.Header{"Content-Type": {"application/problem+json"}}, 500, local, public, 0},
		{"SVG", http.Header{"Content-Type": {"image/svg+xml"}}, 200, local, public, 0},
		{"a manifest", http.Header{"Content-Type": {"application/manifest+json; charset=utf-8"}}, 200, local, public, 0},
		{"a script with a wrong parameter", http.Header{"Content-Type": {"Text/JavaScript; charset"}}, 200, local, public, 0},
		{"no-transform", http.Header{"Content-Type": {"text/event-stream"}, "Cache-Control": {"no-cache, no-transform"}}, 200, local, public, 0},
		{"the mark of UTF-8", http.Header{"Content-Type": json}, 200, "\ufeff" + local, "\ufeff" + public, 0},
		{"one byte", http.Header{"Content-Type": json}, 200, "\xff", "\xff", 0},
		{"plain text", http.Header{"Content-Type": {"text/plain"}}, 200, local, local, 0},
		{"without a type", http.Header{}, 200, local, local, 0},
		{"gRPC", http.Header{"Content-Type": {"application/grpc+json"}}, 200, local, local, 0},
		{"another charset", http.Header{"Content-Type": {"text/html; charset=utf-16le"}}, 200, utf16, utf16, 1},
		{"the mark of UTF-16", http.Header{"Content-Type": {"text/html"}}, 200, utf16, utf16, 1},
		{"an unknown coding", http.Header{"Content-Type": json, "Content-Encoding": {"dcb"}}, 200, local, local, 1},
		{"two codings", http.Header{"Content-Type": json, "Content-Encoding": {"gzip", "br"}}, 200, local, local, 1},
		{"a part that nobody requested", http.Header{"Content-Type": json, "Content-Range": {"bytes 0-24/99"}}, 206, local, local, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.h["Content-Length"] = []string{fmt.Sprint(len(test.body))}
			test.h["Repr-Digest"] = []string{"sha-256=:x:"}
			test.h["Last-Modified"] = []string{"Mon, 02 Jan 2006 15:04:05 GMT"}
			told := 0
			got, err := respond(request(), test.h, test.status, []byte(test.body), func(int) int { return 3 }, func(string) { told++ })
			changed := test.want != test.body
			if err != nil || got.Code != test.status || got.Body.String() != test.want || told != test.told {
				t.Errorf("%d %q, %v, told %d times; want %q, told %d times", got.Code, got.Body, err, told, test.want, test.told)
			}
			for _, name := range []string{"Content-Length", "Repr-Digest", "Last-Modified"} {
				if changed && got.Header().Get(name) != "" && name != "Content-Length" {
					t.Errorf("%s: %s", name, got.Header().Get(name))
				}
			}
		})
	}
}

// TestLengths: a body that differs from its declared length is an error.
func TestLengths(t *testing.T) {
	for body, fails := range map[string]bool{"{}": false, "{": true, "{} ": true} {
		h := http.Header{"Content-Type": {"application/json"}, "Content-Length": {"2"}}
		if _, err := respond(request(), h, 200, []byte(body), whole, ignore); (err != nil) != fails {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// TestGivenUp: a response that breaks off leaves nothing behind; leaktest sees the
// decoder.
func TestGivenUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	for _, name := range codings[1:] {
		body := encode(t, []byte(strings.Repeat("https://shop.localhost/ ", 1000)), name, r)
		names := testNames()
		w := NewResponse(httptest.NewRecorder(), &Request{Request: request()}, Options{Names: names, Tell: ignore})
		w.Header()["Content-Type"], w.Header()["Content-Encoding"] = []string{"text/css"}, []string{name}
		if _, err := w.Write(body[:len(body)/2]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w.Free()
		w.Free()
	}
}

// TestEncodedErrors: what is not what its coding says is an error, and so is a body that
// grows without end.
func TestEncodedErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	bomb := encode(t, make([]byte, maxFree+1), "zstd", r)
	good := encode(t, []byte("{}"), "zstd", r)
	for name, body := range map[string][]byte{"a bomb": bomb, "no coding at all": []byte("{}{}{}{}"), "cut off": good[:len(good)-2]} {
		h := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"zstd"}}
		if _, err := respond(request(), h, 200, body, whole, ignore); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestEntityTags(t *testing.T) {
	for _, tag := range []string{`"a"`, `W/"a"`, `""`, `"a~dp-1s"`} {
		marked := markTag(tag, "1f")
		if upstream, mark, ok := unmarkTag(marked); upstream != tag || mark != "1f" || !ok || !strings.HasPrefix(marked, `W/"`) {
			t.Errorf("%s becomes %s, and that %s, %s", tag, marked, upstream, mark)
		}
	}
	for _, test := range []struct{ name, field, want string }{
		{"If-None-Match", `W/"a~dp-1fs", "b", W/"c~dp-1fw", W/"d~dp-22s"`, `"a", "b", W/"c"`},
		{"If-None-Match", `W/"d~dp-22s"`, ``},
		{"If-None-Match", `*`, `*`},
		{"If-None-Match", `"a,b" , "c"`, `"a,b" , "c"`},
		{"If-None-Match", `"unclosed`, `"unclosed`},
		{"If-Match", `W/"a~dp-22s"`, `"a"`},
		{"If-None-Match", `W/"~dp-"`, `W/"~dp-"`},
	} {
		h := http.Header{test.name: {test.field}, "If-Modified-Since": {"x"}}
		unmarkTags(h, "1f")
		if got := h.Get(test.name); got != test.want || (test.want == "") != (h.Get("If-Modified-Since") == "") {
			t.Errorf("%s: %s becomes %q, want %q; %v", test.name, test.field, got, test.want, h)
		}
	}
}

// TestParts: nothing of a part of a text is written, nor of several parts, which may be of
// one.
func TestParts(t *testing.T) {
	for kind, held := range map[string]bool{"text/css": true, "Multipart/Byteranges; boundary=x": true, "video/mp4": false} {
		recorder := httptest.NewRecorder()
		in, err := NewRequest(request("Range", "bytes=0-1"), testNames(), "0", netip.Addr{}, false)
		if err != nil {
			t.Fatal(err)
		}
		w := NewResponse(recorder, in, Options{Names: testNames(), Tell: ignore})
		w.Header()["Content-Type"] = []string{kind}
		w.WriteHeader(http.StatusPartialContent)
		if _, err := w.Write([]byte("a")); (err != nil) != held || (w.FlushError() != nil) != held || w.Part() != held || recorder.Flushed == held || (recorder.Body.Len() == 0) != held {
			t.Errorf("%s: %v, %+v", kind, err, recorder)
		}
	}
}

// A request with effects must not be answered again, so it asks for no part.
func TestRangeIsForGet(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		r := request("Range", "bytes=0-1")
		r.Method = method
		if _, err := NewRequest(r, testNames(), "0", netip.Addr{}, true); err != nil {
			t.Fatal(err)
		}
		if asks := r.Header.Get("Range") != ""; asks != (method == http.MethodGet) {
			t.Errorf("%s asks for a part: %v", method, asks)
		}
	}
}

// Slow readers of compressed responses are given no encoder each.
func TestCompressedResponsesAreLimited(t *testing.T) {
	var open []*Request
	ask := func() string {
		in, err := NewRequest(request("Accept-Encoding", "gzip, br"), testNames(), "0", netip.Addr{}, true)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, in)
		return in.Header.Get("Accept-Encoding")
	}
	for range maxCompressed {
		if got := ask(); got != "gzip, br" {
			t.Fatalf("request %d accepts %q", len(open), got)
		}
	}
	for range 2 {
		if got := ask(); got != "identity" {
			t.Errorf("request %d accepts %q", len(open), got)
		}
	}
	open[0].Free()
	open = open[1:]
	if got := ask(); got != "gzip, br" {
		t.Errorf("after one has ended, the next accepts %q", got)
	}
	for _, in := range open {
		in.Free()
	}
	if left := compressed.Load(); left != 0 {
		t.Errorf("%d requests are counted after the last", left)
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`<script src=/a integrity=x></script><style>a</style><!-- x --><meta http-equiv=content-security-policy content="'sha256-x'">`), uint64(1))
	f.Add([]byte(`<script>self.__next_f.push([1,"1:T18,https://shop.loc"])</script><script>self.__next_f.push([1,"alhost\n2:o2,"])</script><script>self.__next_f.push([3,"aGk="])</script>`), uint64(2))
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 9))
		want, _, _ := pageThrough(t, string(text), nil, whole)
		got, _, _ := pageThrough(t, string(text), nil, func(int) int { return 1 + r.IntN(20) })
		if got != want {
			t.Errorf("%q in pieces becomes\n%q, as a whole\n%q", text, got, want)
		}
	})
}

func ignore(string) {}
