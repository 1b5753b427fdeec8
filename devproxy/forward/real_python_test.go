package forward

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pythonServer serves the folder of its argument as `python3 -m http.server`
// does, in HTTP/1.0. Below /old an answer has no length: its end is the end of
// the connection.
const pythonServer = `
import http.server, functools, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if not self.path.startswith("/old"):
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        for i in range(1000):
            self.wfile.write(b"%04d\n" % i)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()
        self.wfile.write(self.request_version.encode() + b" " + body)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=sys.argv[1]))
print(server.server_address[1], flush=True)
server.serve_forever()`

func TestRealPythonHTTPServer(t *testing.T) {
	dir := t.TempDir()
	large := strings.Repeat("0123456789", 100_000)
	for name, content := range map[string]string{"index.html": "<h1>hello</h1>", "large.txt": large, "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	python := startProgram(t, "python3", "-c", pythonServer, dir)
	for _, visitor := range visitorModes {
		p := newProxy(t, visitor, Options{}, python)
		for path, want := range map[string]string{"/": "<h1>hello</h1>", "/large.txt": large, "/empty": "", "/old": numbered()} {
			for range 3 { // nothing of the one before is in the next
				if res, body := p.ask(t, "GET", path, nil); res.StatusCode != 200 || body != want {
					t.Errorf("%s %s: %s, %d bytes, want %d", visitor, path, res.Status, len(body), len(want))
				}
			}
		}
		testPythonsOtherAnswers(t, visitor, p)
	}
}

func testPythonsOtherAnswers(t *testing.T, visitor string, p *proxy) {
	res, _ := p.ask(t, "GET", "/large.txt", nil)
	modified := res.Header.Get("Last-Modified")
	if res, body := p.ask(t, "GET", "/large.txt", nil, "If-Modified-Since", modified); modified == "" || res.StatusCode != 304 || body != "" {
		t.Errorf("%s: not modified since %q: %s %q", visitor, modified, res.Status, body)
	}
	if res, body := p.ask(t, "HEAD", "/large.txt", nil); res.StatusCode != 200 || res.ContentLength != 1_000_000 || body != "" {
		t.Errorf("%s: HEAD: %s, length %d, %q", visitor, res.Status, res.ContentLength, body)
	}
	if res, body := p.ask(t, "POST", "/form", strings.NewReader("a=b")); res.StatusCode != 201 || body != "HTTP/1.1 a=b" {
		t.Errorf("%s: POST: %s %q", visitor, res.Status, body)
	}
	if res, _ := p.ask(t, "GET", "/missing", nil); res.StatusCode != 404 {
		t.Errorf("%s: missing: %s", visitor, res.Status)
	}
	if res, _ := p.ask(t, "DELETE", "/", nil); res.StatusCode != 501 {
		t.Errorf("%s: DELETE: %s", visitor, res.Status)
	}
}

// pythonOneThread is a server with one thread, which is bound to a connection
// until that is closed.
const pythonOneThread = `
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = str(len(self.rfile.read(int(self.headers.get("Content-Length", 0))))).encode()
        time.sleep(0.002)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_PUT = do_GET
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()`

func TestRealPythonWithOneThread(t *testing.T) {
	get, post := poolRequest{method: "GET"}, poolRequest{method: "POST", body: 5}
	pattern := [][]poolRequest{{get}, {post}, {get, get, get}, {post, get}, slices30(get), {post}}
	python := startProgram(t, "python3", "-c", pythonOneThread)
	direct := &http.Client{Timeout: stallLimit, Transport: &http.Transport{MaxConnsPerHost: 6, DisableKeepAlives: true}}
	for _, visitor := range []string{"h1", "h2"} { // 30 handshakes take longer than all else
		var took, want time.Duration
		for range 3 { // the machine may be busy with something else
			p := newProxy(t, visitor, Options{}, python)
			client := p.client()
			client.Timeout = stallLimit
			var err error
			if took, err = runPattern(client, p.URL, pattern); err != nil {
				t.Fatalf("%s: after %v: %v", visitor, took, err)
			}
			p.upstream.closeIdle()
			if want, err = runPattern(direct, "http://"+python.Addrs[0], pattern); err != nil {
				t.Fatalf("direct, after %v: %v", want, err)
			}
			if took <= slowdown*want {
				break
			}
		}
		t.Logf("%s: %v, direct connections %v", visitor, took, want)
		if took > slowdown*want {
			t.Errorf("%s: took %v, direct connections %v", visitor, took, want)
		}
	}
}

// numbered is what pythonServer answers below /old.
func numbered() string {
	var all strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&all, "%04d\n", i)
	}
	return all.String()
}
