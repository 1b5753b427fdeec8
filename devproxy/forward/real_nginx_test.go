//go:build unix

package forward

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// nginxServer is a running nginx with files and a proxied part.
type nginxServer struct {
	plan.Member
	t    *testing.T
	dir  string
	addr string
	cmd  *exec.Cmd
}

const nginxConfig = `
daemon off; master_process on; worker_processes 2; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 512; }
http {
  access_log off; types { text/html html; text/plain txt; }
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server {
    listen unix:%[1]s/inner;
    root %[1]s/files; gzip on; gzip_types text/plain; gzip_min_length 1; gzip_proxied any;
  }
  server {
    listen %[2]s; keepalive_requests 50; root %[1]s/files; add_header X-Version %[3]s;
    location /proxied/ { proxy_pass http://unix:%[1]s/inner:/; proxy_http_version 1.1; }
  }
}`

const nginxFile = "The quick brown fox jumps over the lazy dog. "

// startNginx serves large.txt until the test ends. It listens on a port that is
// free now: nginx cannot say which one it got.
func startNginx(t *testing.T) *nginxServer {
	t.Helper()
	path := needTool(t, "nginx")
	dir, err := os.MkdirTemp("", "nginx") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nginxServer{t: t, dir: dir, addr: ln.Addr().String()}
	_ = ln.Close()
	n.Member = tcpMember(n.addr)
	for _, name := range []string{dir, filepath.Join(dir, "files")} {
		_ = os.MkdirAll(name, 0o755)
		_ = os.Chmod(name, 0o755) // its workers are another user
	}
	n.write("files/large.txt", strings.Repeat(nginxFile, 2000))
	n.write("files/page.html", "<h1>page</h1>")
	n.configure(1)
	n.cmd = exec.Command(path, "-p", dir, "-c", "nginx.conf", "-e", dir+"/error.log")
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
		_ = n.cmd.Wait()
	})
	return n
}

func (n *nginxServer) write(name, content string) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, name), []byte(content), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

func (n *nginxServer) configure(version int) {
	n.write("nginx.conf", fmt.Sprintf(nginxConfig, n.dir, n.addr, fmt.Sprint(version)))
}

func TestRealNginxFiles(t *testing.T) {
	n := startNginx(t)
	large := strings.Repeat(nginxFile, 2000)
	for _, visitor := range visitorModes {
		p := newProxy(t, visitor, Options{}, n.Member) // held until nginx listens
		for _, prefix := range []string{"/", "/proxied/"} {
			path := prefix + "large.txt"
			res, body := p.ask(t, "GET", path, nil)
			if res.StatusCode != 200 || body != large || res.ContentLength != int64(len(large)) {
				t.Fatalf("%s %s: %s, %d bytes, length %d", visitor, path, res.Status, len(body), res.ContentLength)
			}
			tag := res.Header.Get("Etag")
			if res, body := p.ask(t, "GET", path, nil, "If-None-Match", tag); res.StatusCode != 304 || body != "" || res.Header.Get("Etag") != tag {
				t.Errorf("%s %s: If-None-Match %s: %s %q", visitor, path, tag, res.Status, body)
			}
			if res, body := p.ask(t, "GET", path, nil, "Range", "bytes=4-8"); res.StatusCode != 206 || body != "quick" ||
				res.Header.Get("Content-Range") != fmt.Sprintf("bytes 4-8/%d", len(large)) {
				t.Errorf("%s %s: a range: %s %q %v", visitor, path, res.Status, body, res.Header)
			}
			if res, body := p.ask(t, "GET", path, nil, "Range", "bytes=4-8", "If-Range", `"other"`); res.StatusCode != 200 || body != large {
				t.Errorf("%s %s: If-Range: %s, %d bytes", visitor, path, res.Status, len(body))
			}
			if res, body := p.ask(t, "GET", path, nil, "Range", "bytes=0-2,4-8"); res.StatusCode != 206 ||
				!strings.HasPrefix(res.Header.Get("Content-Type"), "multipart/byteranges") || !strings.Contains(body, "\r\nquick\r\n") {
				t.Errorf("%s %s: two ranges: %s %v %.300q", visitor, path, res.Status, res.Header, body)
			}
			if res, _ := p.ask(t, "GET", path, nil, "Range", fmt.Sprintf("bytes=%d-", len(large))); res.StatusCode != 416 {
				t.Errorf("%s %s: a range past the end: %s", visitor, path, res.Status)
			}
			if res, body := p.ask(t, "HEAD", path, nil); res.StatusCode != 200 || res.ContentLength != int64(len(large)) || body != "" {
				t.Errorf("%s %s: HEAD: %s, length %d", visitor, path, res.Status, res.ContentLength)
			}
		}
	}
}

// What nginx compresses arrives compressed and chunked, as the visitor asked.
func TestRealNginxGzip(t *testing.T) {
	n := startNginx(t)
	for _, visitor := range visitorModes {
		p := newProxy(t, visitor, Options{}, n.Member)
		res, body := p.ask(t, "GET", "/proxied/large.txt", nil, "Accept-Encoding", "gzip")
		if res.Header.Get("Content-Encoding") != "gzip" || res.ContentLength != -1 || !strings.HasPrefix(res.Header.Get("Etag"), "W/") {
			t.Errorf("%s: length %d, %v", visitor, res.ContentLength, res.Header)
		}
		unpacked, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", visitor, err)
		}
		if got, err := io.ReadAll(unpacked); err != nil || string(got) != strings.Repeat(nginxFile, 2000) {
			t.Errorf("%s: %d bytes unpacked, %v", visitor, len(got), err)
		}
	}
}

// nginx replaces its workers while visitors ask: no request fails, and after it
// the new configuration answers.
func TestRealNginxReloadsUnderLoad(t *testing.T) {
	n := startNginx(t)
	p := newProxy(t, "h1", Options{}, n.Member)
	var stop atomic.Bool
	var group sync.WaitGroup
	progress := make(chan bool, 1)
	for range 8 {
		group.Go(func() {
			for !stop.Load() {
				if fault := getOnce(p, "/page.html", "<h1>page</h1>"); fault != "" {
					t.Error(fault)
				}
				select {
				case progress <- true:
				default:
				}
			}
		})
	}
	for version := 2; version <= 4; version++ {
		within(t, "an answer", progress)
		n.configure(version)
		if err := n.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for version := fmt.Sprint(version); ; {
			if res, _ := p.ask(t, "GET", "/page.html", nil, "Connection", "close"); res.Header.Get("X-Version") == version {
				break
			}
		}
	}
	stop.Store(true)
	group.Wait()
}
