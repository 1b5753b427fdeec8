package devproxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/coding"
	"github.com/devproxy/devproxy/devproxy/share"
)

// appAt starts an app, and serves and shares it.
func appAt(t testing.TB, settings string, change func(*share.Options), app http.HandlerFunc) *shareSite {
	t.Helper()
	upstream := httptest.NewServer(app)
	t.Cleanup(upstream.Close)
	return shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n%s\n}\n", strings.TrimPrefix(upstream.URL, "http://"), settings), change)
}

// codings are those that browsers know; the empty one is none.
var codings = []string{"", "gzip", "br", "zstd", "deflate"}

func encoded(t *testing.T, text, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	e := coding.NewEncoder(&out, name)
	if _, err := io.WriteString(e, text); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func decoded(t *testing.T, body, name string) (text string) {
	t.Helper()
	err := coding.Decode(strings.NewReader(body), name, func(r io.Reader) error {
		all, err := io.ReadAll(r)
		text = string(all)
		return err
	})
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return text
}

// TestVisitorsGetPublicURLs: URLs in bodies are public for visitors, in every coding,
// with a header that fits; locally nothing changes.
func TestVisitorsGetPublicURLs(t *testing.T) {
	const page = `<a href="https://shop.localhost/a">a</a><script>fetch("http:\/\/shop.localhost\/b")</script>`
	const public = `<a href="https://` + publicName + `/a">a</a><script>fetch("https:\/\/` + publicName + `\/b")</script>`
	var known []string
	s := appAt(t, "", nil, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		name := r.URL.Query().Get("coding")
		h.Set("Content-Type", "text/html; charset=UTF-8")
		h.Set("ETag", `"v1"`)
		h.Set("Content-MD5", "x")
		h.Set("Accept-Ranges", "bytes")
		h.Set("Trailer", "Repr-Digest, X-Sum")
		if known = r.Header["If-None-Match"]; len(known) > 0 && known[0] == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if name != "" {
			h.Set("Content-Encoding", name)
		}
		if r.Method == http.MethodHead {
			h.Set("Content-Length", "99")
			return
		}
		_, _ = w.Write(encoded(t, page, name))
		h.Set("Repr-Digest", "sha-256=:x:")
		h.Set("X-Sum", "1")
	})
	for _, name := range codings {
		got := s.visit("/?coding="+name, "Accept-Encoding", "gzip, br, zstd, deflate")
		if text := decoded(t, got.body, name); got.header.Get("Content-Length") != "" || text != public || got.header.Get("Content-Encoding") != name {
			t.Errorf("%q: %q %s", name, got.header, text)
		}
		tag := got.header.Get("ETag")
		if !strings.HasPrefix(tag, `W/"v1~dp-`) || got.header.Get("Content-MD5") != "" || got.header.Get("Accept-Ranges") != "none" {
			t.Errorf("%q: %q", name, got.header)
		}
		again := s.visit("/?coding="+name, "If-None-Match", tag)
		if again.status != http.StatusNotModified || again.header.Get("ETag") != tag {
			t.Errorf("%q, asked again with %q: %d %q; the app was asked %q", name, tag, again.status, again.header, known)
		}
	}
	if head, err := do(t.Context(), s.visitors(), http.MethodHead, "http://"+publicName+"/"); err != nil || head.header.Get("Content-Length") != "" || !strings.HasPrefix(head.header.Get("ETag"), `W/"v1~dp-`) {
		t.Errorf("HEAD: %v %q", err, head.header)
	}
	if stale := s.visit("/", "If-None-Match", `W/"v1~dp-00000000s"`, "If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"); stale.status != http.StatusOK || len(known) > 0 {
		t.Errorf("a tag of other names: %d, the app was asked %q", stale.status, known)
	}
	if local := s.get(s.url("/")); local.body != page || local.header.Get("ETag") != `"v1"` {
		t.Errorf("locally: %q %q", local.header, local.body)
	}
	s.reshare(func(o *share.Options) { o.KeepBodies = true })
	if kept := s.visit("/"); kept.body != page || kept.header.Get("ETag") != `"v1"` {
		t.Errorf("with bodies kept: %q %q", kept.header, kept.body)
	}
}

// TestStreamsAreNotDelayed: each event reaches the visitor before the next is sent.
func TestStreamsAreNotDelayed(t *testing.T) {
	next := make(chan struct{})
	s := appAt(t, "", nil, func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("coding")
		w.Header().Set("Content-Type", "text/event-stream")
		if name != "" {
			w.Header().Set("Content-Encoding", name)
		}
		e := coding.NewEncoder(w, name)
		for i := range 3 {
			_, _ = fmt.Fprintf(e, "data: https://shop.localhost/%d\n\n", i)
			_ = e.Flush()
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
		_ = e.Close()
	})
	for _, name := range codings {
		t.Run("coding "+name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+publicName+"/?coding="+name, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept-Encoding", "gzip, br, zstd, deflate")
			res, err := s.visitors().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			err = coding.Decode(res.Body, name, func(r io.Reader) error {
				lines := bufio.NewScanner(r)
				for i := range 3 {
					if !lines.Scan() || lines.Text() != fmt.Sprintf("data: https://%s/%d", publicName, i) || !lines.Scan() {
						return fmt.Errorf("event %d: %q, %w", i, lines.Text(), lines.Err())
					}
					next <- struct{}{}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPartsOfTexts: a range of a text becomes the whole text, since places in it differ
// for visitors. A range of anything else stays one.
func TestPartsOfTexts(t *testing.T) {
	s := appAt(t, "\n  route \"/files\" {\n    files        = \"dir\"\n    strip_prefix = true\n  }", nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", map[bool]string{true: "text/css", false: "video/mp4"}[r.URL.Path == "/a.css"])
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("url(https://shop.localhost/)"))
	})
	dir := filepath.Join(s.folder, "dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.css"), []byte("url(https://shop.localhost/)"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/a.css", "/files/a.css"} {
		got := s.visit(path, "Range", "bytes=4-8")
		if got.status != http.StatusOK || got.body != "url(https://"+publicName+"/)" || got.header.Get("Content-Range") != "" {
			t.Errorf("%s: %d %q %q", path, got.status, got.header, got.body)
		}
	}
	if got := s.visit("/a.mp4", "Range", "bytes=4-8"); got.status != http.StatusPartialContent || got.body != "https" {
		t.Errorf("a video: %d %q", got.status, got.body)
	}
}

// TestBodiesThatBreakOff: a response that is not complete does not look complete.
func TestBodiesThatBreakOff(t *testing.T) {
	s := appAt(t, "", nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/short":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "https://shop.localhost/")
		case "/cut":
			w.Header().Set("Content-Encoding", "gzip")
			text := encoded(t, strings.Repeat("text", 1000), "gzip")
			_, _ = w.Write(text[:len(text)-12])
		case "/bomb":
			w.Header().Set("Content-Encoding", "br")
			_, _ = w.Write(encoded(t, strings.Repeat("\x00", 12<<20), "br"))
		}
	})
	for _, path := range []string{"/short", "/cut", "/bomb"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+publicName+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Encoding", "gzip, br")
		res, err := s.visitors().Do(request)
		if err != nil {
			continue // broken off before its head was sent
		}
		n, err := io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if err == nil {
			t.Errorf("%s looks complete, with %d bytes", path, n)
		}
	}
}

// TestBodiesOfCachesAndFiles: what was cached or compressed for local clients is
// public for visitors, and the other way round.
func TestBodiesOfCachesAndFiles(t *testing.T) {
	text := "url(https://shop.localhost/)" + strings.Repeat(" ", 1000)
	s := appAt(t, "  cache    = true\n  compress = true", nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		w.Header().Set("Cache-Control", "max-age=600")
		_, _ = io.WriteString(w, text)
	})
	for range 2 {
		for _, name := range []string{"", "zstd"} {
			fields := []string{"Accept-Encoding", name}
			if got := s.visit("/", fields...); !strings.HasPrefix(decoded(t, got.body, got.header.Get("Content-Encoding")), "url(https://"+publicName+"/)") || got.header.Get("Content-Encoding") != name {
				t.Errorf("a visitor gets %q %.50q", got.header, got.body)
			}
			if got := s.get(s.url("/"), fields...); decoded(t, got.body, got.header.Get("Content-Encoding")) != text {
				t.Errorf("locally: %q %.50q", got.header, got.body)
			}
		}
	}
}

// TestRequestBodies: URLs in what a page of the share sends are local for the project,
// those in what anyone else sends stay as they are, so that signatures hold.
func TestRequestBodies(t *testing.T) {
	s := appAt(t, "", nil, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || int64(len(body)) != r.ContentLength {
			t.Errorf("%d bytes of %d, %v", len(body), r.ContentLength, err)
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprintf(w, "%s %s", r.URL.RawQuery, body)
	})
	local := "shop.localhost:" + strconv.Itoa(int(s.port()))
	const form, document = "redirect_uri=https%3A%2F%2F" + publicName + "%2Fcb", `{"u":"https://` + publicName + `/cb"}`
	for _, test := range []struct{ name, site, kind, body, want string }{
		{"a form", "same-origin", "application/x-www-form-urlencoded", form, "redirect_uri=https%3A%2F%2F" + strings.Replace(local, ":", "%3A", 1) + "%2Fcb"},
		{"JSON from another host of the share", "same-site", "application/json; charset=utf-8", document, `{"u":"https://` + local + `/cb"}`},
		{"a webhook", "", "application/json", document, document},
		{"another site", "cross-site", "application/json", document, document},
		{"a file", "same-origin", "application/octet-stream", document, document},
		{"a long body", "same-origin", "application/json", document + strings.Repeat(" ", 1<<20), document + strings.Repeat(" ", 1<<20)},
	} {
		t.Run(test.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+publicName+"/?back=https%3A%2F%2F"+publicName, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", test.kind)
			if test.site != "" {
				request.Header.Set("Sec-Fetch-Site", test.site)
			}
			res, err := s.visitors().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			query, body, _ := strings.Cut(string(got), " ")
			if err != nil || body != test.want || query != "back=https%3A%2F%2F"+strings.Replace(local, ":", "%3A", 1) {
				t.Errorf("the app reads %.200q, %v, want %.200q", got, err, test.want)
			}
		})
	}
}

// TestUnreachableURLs: URLs that visitors can't follow are reported, once.
func TestUnreachableURLs(t *testing.T) {
	s := appAt(t, "", func(o *share.Options) {
		o.NotShared = []string{"admin.shop.localhost"}
		o.Upstreams = []share.Upstream{{Authority: "localhost:3000"}, {Authority: "localhost:5173", Host: o.Hosts[0].Local}}
	}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `["https://admin.shop.localhost","http://localhost:3000","http://127.0.0.1:5173/a","http://localhost:9999"]`)
	})
	got := s.visit("/")
	if want := `["https://admin.shop.localhost","http://localhost:3000","https://` + publicName + `/a","http://localhost:9999"]`; got.body != want {
		t.Errorf("%s, want %s", got.body, want)
	}
	if record := <-s.records; len(record.Advice) != 2 || !strings.Contains(record.Advice[0], "admin.shop.localhost") || !strings.Contains(record.Advice[1], "localhost:3000") {
		t.Errorf("told %q", record.Advice)
	}
	s.visit("/")
	if record := <-s.records; len(record.Advice) != 0 {
		t.Errorf("told again: %q", record.Advice)
	}
}
