package compress

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const all = "gzip, deflate, br, zstd"

// patience bounds what should happen at once; only a failing test waits for it.
const patience = 20 * time.Second

// answer is the upstream's response.
type answer struct {
	status int
	header map[string]string
	pieces []string
	flush  bool // after each piece
	err    error
}

func (a answer) handler(w http.ResponseWriter, _ *http.Request) error {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	for _, piece := range a.pieces {
		if _, err := io.WriteString(w, piece); err != nil {
			return err
		}
		if a.flush {
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
		}
	}
	return a.err
}

func (a answer) to(t testing.TB, method, accept string, fields ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	r.Header.Set("Accept-Encoding", accept)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	if err := Serve(w, r, a.handler); !errors.Is(err, a.err) {
		t.Fatalf("%v, want %v", err, a.err)
	}
	return w
}

// decoded undoes a coding with another implementation than the one that made
// it, where there is one.
func decoded(coding string, from io.Reader) (string, error) {
	to := from
	switch coding {
	case "zstd":
		d, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20)) // RFC 9659
		if err != nil {
			return "", err
		}
		defer d.Close()
		to = d
	case "br":
		to = brotli.NewReader(from)
	case "gzip":
		d, err := gzip.NewReader(from)
		if err != nil {
			return "", err
		}
		to = d
	}
	body, err := io.ReadAll(to)
	return string(body), err
}

func text(n int) string { return strings.Repeat("all work and no play ", n/21+1)[:n] }

// TestRoundTrip cuts the input at every place, for each coding, with and
// without a flush there.
func TestRoundTrip(t *testing.T) {
	body := text(700)
	for _, coding := range []string{"zstd", "br", "gzip", ""} {
		for cut := range body {
			for _, flush := range []bool{false, true} {
				a := answer{header: map[string]string{"Content-Type": "text/plain"}, pieces: []string{body[:cut], body[cut:]}, flush: flush}
				w := a.to(t, "GET", coding)
				if got := w.Header().Get("Content-Encoding"); got != coding {
					t.Fatalf("%q at %d: Content-Encoding %q", coding, cut, got)
				}
				if got, err := decoded(coding, w.Body); err != nil || got != body {
					t.Fatalf("%q at %d: %d bytes, %v", coding, cut, len(got), err)
				}
			}
		}
	}
}

// TestLong has bodies beyond what is tried whole, in pieces of any length.
func TestLong(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for _, body := range []string{text(maxBuffered), text(maxBuffered + 1), text(1_000_000), string(noise)} {
		for _, coding := range []string{"zstd", "br", "gzip"} {
			a := answer{header: map[string]string{"Content-Type": "text/plain", "Content-Length": strconv.Itoa(len(body))}}
			for rest := body; rest != ""; {
				n := min(1+random.IntN(50_000), len(rest))
				a.pieces, rest = append(a.pieces, rest[:n]), rest[n:]
			}
			w := a.to(t, "GET", coding)
			if got, err := decoded(w.Header().Get("Content-Encoding"), w.Body); err != nil || got != body {
				t.Errorf("%s of %d: %d bytes, %v", coding, len(body), len(got), err)
			}
		}
	}
}

func TestHeads(t *testing.T) {
	long := text(2000)
	tests := []struct {
		name   string
		method string
		accept string
		status int
		header map[string]string
		body   string
		coding string
		vary   string
	}{
		{name: "best of equals", accept: all, coding: "zstd", vary: "Accept-Encoding"},
		{name: "by weight", accept: "zstd;q=0.5, br;q=0.8, gzip;q=0.7", coding: "br", vary: "Accept-Encoding"},
		{name: "anything", accept: "*", coding: "zstd", vary: "Accept-Encoding"},
		{name: "anything but", accept: "*, zstd;q=0", coding: "br", vary: "Accept-Encoding"},
		{name: "nothing", accept: "", vary: "Accept-Encoding"},
		{name: "rather not", accept: "identity, gzip;q=0.5", vary: "Accept-Encoding"},
		{name: "unknown", accept: "lzma", vary: "Accept-Encoding"},
		{name: "an error", accept: all, status: 500, coding: "zstd", vary: "Accept-Encoding"},
		{name: "an event stream", accept: all, header: map[string]string{"Content-Type": "text/event-stream"}},
		{name: "an image", accept: all, header: map[string]string{"Content-Type": "image/png"}},
		{name: "no type", accept: all, header: map[string]string{"Content-Type": ""}},
		{name: "svg", accept: all, header: map[string]string{"Content-Type": "image/svg+xml"}, coding: "zstd", vary: "Accept-Encoding"},
		{name: "gRPC", accept: all, header: map[string]string{"Content-Type": "application/grpc"}},
		{name: "gRPC in JSON", accept: all, header: map[string]string{"Content-Type": "application/grpc+json"}},
		{name: "gRPC-Web in JSON", accept: all, header: map[string]string{"Content-Type": "application/grpc-web+json"}},
		{name: "a range", accept: all, status: 206, header: map[string]string{"Content-Range": "bytes 0-1999/5000"}},
		{name: "a range of nothing", accept: all, status: 416, header: map[string]string{"Content-Range": "bytes */5000"}},
		{name: "has a coding", accept: all, header: map[string]string{"Content-Encoding": "gzip"}, coding: "gzip"},
		{name: "identity is none", accept: all, header: map[string]string{"Content-Encoding": "identity"}, coding: "zstd", vary: "Accept-Encoding"},
		{name: "no-transform", accept: all, header: map[string]string{"Cache-Control": "max-age=5, No-Transform"}},
		{name: "varies already", accept: all, header: map[string]string{"Vary": "Origin, accept-encoding"}, coding: "zstd", vary: "Origin, accept-encoding"},
		{name: "varies by anything", accept: all, header: map[string]string{"Vary": "*"}, coding: "zstd", vary: "*"},
		{name: "small", accept: all, header: map[string]string{"Content-Length": "5"}, body: "small"},
		{name: "does not shrink", accept: all, body: "k3v9x2m7qpr4t8wz", vary: "Accept-Encoding"},
		{name: "empty", accept: all, body: "-", vary: "Accept-Encoding"},
		{name: "HEAD", method: "HEAD", accept: all, header: map[string]string{"Content-Length": "70000"}, coding: "zstd", vary: "Accept-Encoding"},
	}
	for _, test := range tests {
		a := answer{status: test.status, header: map[string]string{"Content-Type": "text/html; charset=utf-8", "Accept-Ranges": "bytes", "ETag": `"x"`}}
		for name, value := range test.header {
			a.header[name] = value
		}
		body := long
		if test.body != "" {
			body = strings.Trim(test.body, "-")
		}
		method := test.method
		if method == "" {
			method = "GET"
		}
		if method == "HEAD" {
			a.status = 200
		} else {
			a.pieces = []string{body}
		}
		w := a.to(t, method, test.accept)
		h := w.Header()
		if h.Get("Content-Encoding") != test.coding && test.header["Content-Encoding"] != "identity" || strings.Join(h["Vary"], ", ") != test.vary {
			t.Errorf("%s: %v", test.name, h)
		}
		changed := test.coding != "" && test.coding != test.header["Content-Encoding"]
		want := `"x"`
		if changed {
			want = `W/"x"`
		}
		if h.Get("ETag") != want || changed == (h.Get("Accept-Ranges") != "") {
			t.Errorf("%s: %v", test.name, h)
		}
		if n := h.Get("Content-Length"); n != "" && method != "HEAD" && n != strconv.Itoa(w.Body.Len()) {
			t.Errorf("%s: Content-Length %s of %d bytes", test.name, n, w.Body.Len())
		}
		if changed && method == "HEAD" && h.Get("Content-Length") != "" {
			t.Errorf("%s: the length of something else: %v", test.name, h)
		}
		if changed && method != "HEAD" {
			if got, err := decoded(test.coding, w.Body); err != nil || got != body {
				t.Errorf("%s: %d bytes, %v", test.name, len(got), err)
			}
		}
	}
}

// TestHeadIsOfGet: a HEAD names no coding and no length that the GET does not have.
func TestHeadIsOfGet(t *testing.T) {
	noise := make([]byte, 5000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for name, body := range map[string]string{
		"small": "small", "shrinks": text(5000), "does not shrink": string(noise), "long": text(100_000), "long noise": strings.Repeat(string(noise), 20),
		"tiny text": "k3v9x2m7qpr4t8wz", "most kept": text(maxBuffered), "one more": text(maxBuffered + 1),
	} {
		for _, declared := range []bool{false, true} {
			a := answer{header: map[string]string{"Content-Type": "text/plain", "ETag": `"x"`}, pieces: []string{body}}
			if declared {
				a.header["Content-Length"] = strconv.Itoa(len(body))
			}
			get := a.to(t, "GET", all)
			a.status, a.pieces = 200, nil
			head := a.to(t, "HEAD", all).Header()
			if coding := head.Get("Content-Encoding"); coding != "" && coding != get.Header().Get("Content-Encoding") {
				t.Errorf("%s, declared %v: HEAD has the coding %q, GET %q", name, declared, coding, get.Header().Get("Content-Encoding"))
			}
			if length := head.Get("Content-Length"); length != "" && length != strconv.Itoa(get.Body.Len()) {
				t.Errorf("%s, declared %v: HEAD has the length %s, GET %d bytes", name, declared, length, get.Body.Len())
			}
			if get.Header().Get("Vary") != head.Get("Vary") {
				t.Errorf("%s, declared %v: HEAD varies by %q", name, declared, head.Get("Vary"))
			}
		}
	}
}

// TestFewMatches: text of numbers has few repeated strings and a small alphabet.
func TestFewMatches(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var numbers strings.Builder
	for range 2000 {
		fmt.Fprintf(&numbers, "%d,", random.Uint32())
	}
	sizes := map[string]int{}
	for _, coding := range []string{"zstd", "br", "gzip"} {
		w := answer{header: map[string]string{"Content-Type": "application/json"}, pieces: []string{numbers.String()}}.to(t, "GET", coding)
		if w.Header().Get("Content-Encoding") != coding {
			t.Errorf("%s: %v", coding, w.Header())
		}
		sizes[coding] = w.Body.Len()
	}
	if sizes["zstd"] > sizes["br"]*5/4 {
		t.Errorf("%d bytes become %v", numbers.Len(), sizes)
	}
}

// TestBrokenTypes: a broken parameter does not matter.
func TestBrokenTypes(t *testing.T) {
	for kind, want := range map[string]bool{
		"text/plain; charset": true, "text/plain;": true, "text/html; charset=": true, "Text/HTML ; charset=utf-8; charset=utf-8": true, `application/json; a="`: true,
		"text/plain charset=utf-8": true, "application/problem+json;;": true, "image/png; charset": false, "text/event-stream; charset": false,
		"": false, ";": false, "application/grpc; x": false, "font/woff2": false,
	} {
		if got := compressible(kind); got != want {
			t.Errorf("%q: %v", kind, got)
		}
	}
}

// TestUpstreamKnowsItsTags has an upstream that compares tags as text.
func TestUpstreamKnowsItsTags(t *testing.T) {
	for _, tag := range []string{`"strong-1"`, `W/"weak-1"`, `"with W/ in it"`} {
		asked := http.Header{}
		upstream := func(w http.ResponseWriter, r *http.Request) error {
			asked = r.Header
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("ETag", tag)
			if r.Header.Get("If-None-Match") == tag {
				w.WriteHeader(http.StatusNotModified)
				return nil
			}
			_, err := io.WriteString(w, text(3000))
			return err
		}
		ask := func(fields ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept-Encoding", all)
			for i := 0; i < len(fields); i += 2 {
				r.Header.Set(fields[i], fields[i+1])
			}
			before := r.Header.Clone()
			w := httptest.NewRecorder()
			if err := Serve(w, r, upstream); err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(before, r.Header, slices.Equal) {
				t.Errorf("the request was changed: %v", r.Header)
			}
			return w
		}
		given := ask().Header().Get("ETag")
		w := ask("If-None-Match", given, "If-Match", given, "If-Range", given)
		if w.Code != 304 || w.Header().Get("ETag") != given {
			t.Errorf("%s: asked with %s: %d %v", tag, given, w.Code, w.Header())
		}
		if asked.Get("If-Match") != tag || asked.Get("If-Range") != given {
			t.Errorf("%s: the upstream got a request %v", tag, asked)
		}
	}
	weakTags.note(`W/"w"`)
	for list, want := range map[string]string{
		`W/"a", "b", W/"w",W/"c"`: `"a", "b", W/"w","c"`, "*": "*", "": "", `W/"open`: `W/"open`, `"a W/"b"`: `"a W/"b"`, "W/x": "W/x",
	} {
		if got := strengthened(list); got != want {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
	for i := range 2 * maxWeakTags {
		weakTags.note(fmt.Sprintf(`W/"%d"`, i))
	}
	if len(weakTags.tags) > maxWeakTags {
		t.Errorf("%d tags are remembered", len(weakTags.tags))
	}
}

// TestNotModified: a client with the compressed representation keeps a weak tag
// of it, and a client with the plain one a strong one.
func TestNotModified(t *testing.T) {
	a := answer{status: 304, header: map[string]string{"ETag": `"x"`}}
	for asked, want := range map[string]string{`W/"x"`: `W/"x"`, `"y", W/"x"`: `W/"x"`, `"x"`: `"x"`} {
		w := a.to(t, "GET", all, "If-None-Match", asked)
		if got := w.Header().Get("ETag"); got != want || w.Header().Get("Vary") != "Accept-Encoding" || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: %v", asked, w.Header())
		}
	}
}

// TestBrokenOff: an answer without its end must not look whole.
func TestBrokenOff(t *testing.T) {
	broken := errors.New("broken off")
	for _, coding := range []string{"zstd", "br", "gzip"} {
		a := answer{header: map[string]string{"Content-Type": "text/plain"}, pieces: []string{text(5000)}, flush: true, err: broken}
		w := a.to(t, "GET", coding)
		if _, err := decoded(coding, bytes.NewReader(w.Body.Bytes())); err == nil {
			t.Errorf("%s: what was broken off ends well", coding)
		}
	}
	a := answer{header: map[string]string{"Content-Type": "text/plain"}, pieces: []string{"not sent yet"}, err: broken}
	if w := a.to(t, "GET", all); w.Body.Len() != 0 {
		t.Errorf("%q was written in addition to an error", w.Body)
	}
}

// TestProgress: what the upstream has flushed arrives before it continues,
// compressed or as an event stream.
func TestProgress(t *testing.T) {
	for _, kind := range []string{"text/html", "text/event-stream"} {
		for _, coding := range []string{"zstd", "br", "gzip"} {
			t.Run(kind+" "+coding, func(t *testing.T) {
				next := make(chan struct{})
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_ = Serve(w, r, func(w http.ResponseWriter, _ *http.Request) error {
						w.Header().Set("Content-Type", kind)
						for i := range 3 {
							fmt.Fprintf(w, "data: %d\n\n", i)
							if err := http.NewResponseController(w).Flush(); err != nil {
								return err
							}
							<-next
						}
						return nil
					})
				}))
				defer server.Close()
				request, _ := http.NewRequest("GET", server.URL, nil)
				request.Header.Set("Accept-Encoding", coding)
				res, err := (&http.Client{Timeout: patience}).Do(request)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				body := decoder(t, res.Header.Get("Content-Encoding"), res.Body)
				for i := range 3 {
					piece := make([]byte, len("data: 0\n\n"))
					if _, err := io.ReadFull(body, piece); err != nil || string(piece) != fmt.Sprintf("data: %d\n\n", i) {
						t.Fatalf("piece %d: %q, %v", i, piece, err)
					}
					next <- struct{}{}
				}
			})
		}
	}
}

// decoder undoes a coding piece by piece.
func decoder(t *testing.T, coding string, from io.Reader) io.Reader {
	t.Helper()
	switch coding {
	case "zstd":
		d, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20)) // RFC 9659
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	case "br":
		return brotli.NewReader(from)
	case "gzip":
		d, err := gzip.NewReader(from)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	return from
}

// FuzzServe: whatever the head says and however the body comes, what is decoded
// is what was written.
func FuzzServe(f *testing.F) {
	f.Add("zstd", "text/plain", "", []byte("some text, some more text"), uint16(7), true)
	f.Add("br;q=0.1", "application/json", "max-age=1", bytes.Repeat([]byte("abc"), 40_000), uint16(999), false)
	f.Fuzz(func(t *testing.T, accept, kind, control string, body []byte, step uint16, flush bool) {
		a := answer{header: map[string]string{"Content-Type": kind, "Cache-Control": control}, flush: flush}
		for rest := body; len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			a.pieces, rest = append(a.pieces, string(rest[:n])), rest[n:]
		}
		w := a.to(t, "GET", accept)
		if got, err := decoded(w.Header().Get("Content-Encoding"), w.Body); err != nil || got != string(body) {
			t.Fatalf("%v: %d bytes of %d, %v", w.Header(), len(got), len(body), err)
		}
	})
}
