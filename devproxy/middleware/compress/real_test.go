package compress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// serve is a server of what next answers, over TLS and with HTTP/2 if h2. An
// error cuts the answer off, as devproxy does.
func serve(t *testing.T, h2 bool, next func(http.ResponseWriter, *http.Request) error) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := Serve(w, r, next); err != nil {
			panic(http.ErrAbortHandler)
		}
	}))
	server.EnableHTTP2 = h2
	if h2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// fetch is an answer as it comes, not decoded.
func fetch(t *testing.T, server *httptest.Server, coding string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", coding)
	client := *server.Client()
	client.Timeout = patience
	return client.Do(r)
}

// TestShorterThanDeclared: an answer that ends before its declared length must
// not look whole; a file that is cut while it is read has no other sign of it.
func TestShorterThanDeclared(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for _, coding := range []string{"zstd", "br", "gzip", "identity"} {
			for _, n := range []int{0, 1000, 5 * maxBuffered} {
				for _, flush := range []bool{false, true} {
					a := answer{header: map[string]string{"Content-Type": "text/plain", "Content-Length": strconv.Itoa(2*n + 300)}, pieces: []string{text(n)}, flush: flush}
					res, err := fetch(t, serve(t, h2, a.handler), coding)
					if err != nil {
						continue
					}
					// Not decoded: zstd's decoder takes nothing at all for whole.
					body, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err == nil {
						t.Errorf("h2 %v, %s, flush %v: %d bytes for %d of %d look whole", h2, coding, flush, len(body), n, 2*n+300)
					}
				}
			}
		}
	}
}

// TestLongerThanDeclared: bytes beyond the declared length are refused, as in
// net/http.
func TestLongerThanDeclared(t *testing.T) {
	for _, n := range []int{400, 5 * maxBuffered} {
		a := answer{header: map[string]string{"Content-Type": "text/plain", "Content-Length": strconv.Itoa(n)}, pieces: []string{text(n), "!"}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", all)
		if err := Serve(httptest.NewRecorder(), r, a.handler); !errors.Is(err, http.ErrContentLength) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// TestProgressHTTP2: what the upstream has flushed arrives before it continues.
func TestProgressHTTP2(t *testing.T) {
	for _, coding := range []string{"zstd", "br", "gzip"} {
		next := make(chan struct{})
		server := serve(t, true, func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			control := http.NewResponseController(w)
			for i := range 3 {
				if err := control.Flush(); err != nil {
					return err
				}
				fmt.Fprintf(w, "piece %d", i)
				if err := control.Flush(); err != nil {
					return err
				}
				select {
				case <-next:
				case <-r.Context().Done():
					return r.Context().Err()
				}
			}
			return nil
		})
		res, err := fetch(t, server, coding)
		if err != nil {
			t.Fatal(err)
		}
		if res.ProtoMajor != 2 || res.Header.Get("Content-Encoding") != coding {
			t.Fatalf("%s: %s %v", coding, res.Proto, res.Header)
		}
		body := decoder(t, coding, res.Body)
		for i := range 3 {
			piece := make([]byte, len("piece 0"))
			if _, err := io.ReadFull(body, piece); err != nil || string(piece) != fmt.Sprint("piece ", i) {
				t.Fatalf("%s %d: %q, %v", coding, i, piece, err)
			}
			next <- struct{}{}
		}
		if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
			t.Errorf("%s: %q, %v after the end", coding, rest, err)
		}
		res.Body.Close()
	}
}

// TestTrailers: fields after the body pass, of short and of long answers.
func TestTrailers(t *testing.T) {
	for _, n := range []int{2, 1000, 5 * maxBuffered} {
		server := serve(t, false, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Trailer", "Checksum")
			_, err := io.WriteString(w, text(n))
			w.Header().Set("Checksum", "abc")
			return err
		})
		res, err := fetch(t, server, "gzip")
		if err != nil {
			t.Fatal(err)
		}
		body, err := decoded(res.Header.Get("Content-Encoding"), res.Body)
		if err != nil || body != text(n) || res.Trailer.Get("Checksum") != "abc" {
			t.Errorf("%d: %d bytes, %v, %v", n, len(body), err, res.Trailer)
		}
		res.Body.Close()
	}
}

// curl is curl's path and its features.
func curl(t *testing.T) (path, features string) {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("curl is not installed: make deps")
		}
		t.Skip("curl is not installed: make deps")
	}
	version, err := exec.CommandContext(t.Context(), path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	return path, string(version)
}

// TestCurl has other implementations decode: each coding that curl knows.
func TestCurl(t *testing.T) {
	path, features := curl(t)
	body := text(5 * maxBuffered)
	for coding, feature := range map[string]string{"gzip": "libz", "br": "brotli", "zstd": "zstd"} {
		if !strings.Contains(features, feature) {
			t.Logf("this curl does not know %s", coding)
			continue
		}
		for _, flush := range []bool{false, true} {
			a := answer{header: map[string]string{"Content-Type": "text/plain"}, pieces: []string{body[:7], body[7:100_000], body[100_000:]}, flush: flush}
			cmd := exec.CommandContext(t.Context(), path, "--silent", "--show-error", "--fail", "--max-time", "20", "--compressed", "--header", "Accept-Encoding: "+coding, serve(t, false, a.handler).URL)
			var failed bytes.Buffer
			cmd.Stderr = &failed
			if got, err := cmd.Output(); err != nil || string(got) != body {
				t.Errorf("%s, flushed %v: %d bytes, %v: %s", coding, flush, len(got), err, failed.Bytes())
			}
		}
	}
}
