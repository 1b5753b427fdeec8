package devproxy

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestHotReplacementOfStorybook: the client of Vite connects to where its page came
// from, here and through a share, whatever port its server names.
func TestHotReplacementOfStorybook(t *testing.T) {
	const client = "const serverHost = \"localhost:5173/\";\nconst socketProtocol = null || \"wss\";\nconst hmrPort = %s;\nconst directSocketHost = \"localhost:%s/\";\n"
	var app *httptest.Server
	app = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, _ := url.Parse(app.URL)
		text := fmt.Sprintf(client, at.Port(), at.Port())
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Etag", `W/"1"`)
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			zipped := gzip.NewWriter(w)
			defer zipped.Close()
			fmt.Fprint(zipped, text)
			return
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(app.Close)
	at, _ := url.Parse(app.URL)
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %s\n  cache = true\n}\n", at.Port()), nil)
	patched := fmt.Sprintf(client, "0"+strings.Repeat(" ", len(at.Port())-1), at.Port())
	plain := fmt.Sprintf(client, at.Port(), at.Port())
	for path, want := range map[string]string{"/@vite/client": patched, "/base/@vite/client?t=1": patched, "/src/@vite/client.js": plain} {
		for _, got := range []reply{s.get(s.url(path), "Accept-Encoding", "gzip"), s.visit(path, "Accept-Encoding", "gzip"), s.get(s.url(path))} {
			if got.header.Get("Content-Encoding") == "gzip" {
				if want == patched {
					t.Errorf("%s is compressed", path)
				}
				continue
			}
			if got.body != want || !strings.HasPrefix(got.header.Get("Etag"), `W/"1`) { // a visitor's has a mark
				t.Errorf("%s: got\n%s\nwant\n%s", path, got.body, want)
			}
		}
	}
}

// TestAdviceOnHotReplacement: the terminal says once what to set where the client of
// webpack-dev-server connects past devproxy.
func TestAdviceOnHotReplacement(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/javascript; charset=UTF-8")
		text := "// nothing"
		if strings.HasPrefix(r.URL.Path, "/main") {
			text = "// a bundle\n" + `__webpack_require__("./node_modules/webpack-dev-server/client/index.js?protocol=ws%3A&hostname=0.0.0.0&port=8089&pathname=%2Fws&hot=true");`
		}
		w.Header().Set("Content-Encoding", "gzip")
		zipped := gzip.NewWriter(w)
		defer zipped.Close()
		fmt.Fprint(zipped, text)
	}))
	t.Cleanup(app.Close)
	for _, shared := range []bool{false, true} {
		s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n  route \"/other\" { upstream = %q }\n}\n", app.URL, app.URL), nil)
		for _, step := range []struct {
			path string
			told bool
		}{{"/vendor.js", false}, {"/main.js", true}, {"/main.js?again", false}, {"/other/main.js", false}} {
			if shared {
				s.visit(step.path, "Accept-Encoding", "gzip")
			} else {
				s.get(s.url(step.path), "Accept-Encoding", "gzip")
			}
			record := <-s.records
			if told := strings.Contains(strings.Join(record.Advice, "\n"), "--client-web-socket-url auto://0.0.0.0:0/ws"); told != step.told {
				t.Errorf("shared %v, %s: %q", shared, step.path, record.Advice)
			}
		}
	}
}

// TestScriptsAreLookedAtForAWhile: of each upstream the first scripts are kept.
func TestScriptsAreLookedAtForAWhile(t *testing.T) {
	var s scripts
	for n := range 2 * maxScripts {
		if s.look("a") != (n < maxScripts) {
			t.Errorf("script %d", n)
		}
	}
	if !s.look("b") {
		t.Error("another upstream's count too")
	}
	s.done("b")
	if s.look("b") {
		t.Error("looked at after it was found")
	}
	for n := range 3 * maxScriptUpstreams {
		s.look(fmt.Sprint(n))
	}
	if len(s.looked) > maxScriptUpstreams {
		t.Errorf("%d upstreams are counted", len(s.looked))
	}
}

// TestSentencesThatComeLate: what comes after the exchange was recorded, as a cache
// may bring it, gets the next one.
func TestSentencesThatComeLate(t *testing.T) {
	s := New(Options{})
	t.Cleanup(s.Close)
	first, second := &exchange{server: s}, &exchange{server: s}
	if told := first.told(); told != nil {
		t.Errorf("told %q", told)
	}
	first.tell("key", []string{"late"})
	second.tell("key", []string{"late"})
	if told := second.told(); len(told) != 1 {
		t.Errorf("told %q", told)
	}
}

// TestKept: the beginning of a body is kept, whatever its reads are; whether it was cut
// and whether it came to its end is known, and the reader notices nothing.
func TestKept(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		text       string
		err        error // after text; nil means its end
		kept       string
		cut, ended bool
	}{
		"shorter":    {"abc", nil, "abc", false, true},
		"as long":    {"abcde", nil, "abcde", false, true},
		"longer":     {"abcdef", nil, "abcde", true, true},
		"far longer": {"abcdefghijkl", nil, "abcde", true, true},
		"broken off": {"abc", broken, "abc", false, false},
	} {
		for size := 1; size < 8; size++ {
			body := io.Reader(strings.NewReader(test.text))
			if test.err != nil {
				body = io.MultiReader(body, failing{test.err})
			}
			res := &http.Response{Body: io.NopCloser(body)}
			k := keep(res, 5)
			text, err := io.ReadAll(readsOf{res.Body, size})
			if string(text) != test.text || !errors.Is(err, test.err) || string(k.seen) != test.kept || k.cut != test.cut || k.ended != test.ended {
				t.Errorf("%s in reads of %d: read %q, %v; kept %q, cut %t, ended %t", name, size, text, err, k.seen, k.cut, k.ended)
			}
		}
	}
}

// readsOf reads size bytes at once.
type readsOf struct {
	io.Reader
	size int
}

func (r readsOf) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), r.size)]) }
