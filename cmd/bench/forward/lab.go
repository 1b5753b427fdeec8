package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/devproxy/devproxy/cmd/bench/harness"
)

// hostName is what clients ask every proxy for.
const hostName = "bench.localhost"

// lab holds the upstreams and the running proxies of one run, and the folder of
// their files.
type lab struct {
	bench    bench
	dir      string
	tools    map[string]string // program name -> path
	upstream string            // address of nginx with the files
	sockets  *echoServer       // upstream of WebSockets
	origin   *harness.Child    // that nginx
	proxies  []*proxy
}

// openLab starts everything. The caller closes the lab.
func (b bench) openLab(ctx context.Context) (_ *lab, err error) {
	l := &lab{bench: b, tools: map[string]string{}}
	for _, name := range []string{"h2load", "nginx"} {
		if l.tools[name], err = find(name); err != nil {
			return nil, fmt.Errorf("%w; `make deps-bench` installs it", err)
		}
	}
	if err := pinProcess(b.loadCPU); err != nil {
		return nil, fmt.Errorf("run on core %d: %w", b.loadCPU, err)
	}
	if l.dir, err = os.MkdirTemp("", "bench-forward-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if err := l.startUpstreams(); err != nil {
		return nil, err
	}
	makers, err := b.makers()
	if err != nil {
		return nil, err
	}
	for _, m := range makers {
		p, err := l.newProxy(m)
		if err != nil {
			return nil, err
		}
		l.proxies = append(l.proxies, p)
		if err := p.start(ctx); err != nil {
			return nil, err
		}
		if p.idle, err = p.residentMB(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *lab) close() error {
	for _, p := range l.proxies {
		p.stop()
	}
	l.origin.Stop()
	if l.sockets != nil {
		l.sockets.close()
	}
	return os.RemoveAll(l.dir)
}

// startUpstreams starts nginx with the files of bodies, and the server of
// WebSockets.
func (l *lab) startUpstreams() (err error) {
	root := filepath.Join(l.dir, "files")
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(l.dir, 0o755); err != nil { // nginx's worker may be another user
		return err
	}
	for _, b := range bodies {
		if err := os.WriteFile(filepath.Join(root, b.name), make([]byte, b.bytes), 0o644); err != nil {
			return err
		}
	}
	l.sockets = startEcho()
	if l.upstream, err = freeAddr(); err != nil {
		return err
	}
	config := filepath.Join(l.dir, "upstream.conf")
	if err := fill(config, upstreamConfig, map[string]string{"ADDR": l.upstream, "ROOT": root, "DIR": l.dir}); err != nil {
		return err
	}
	l.origin, err = harness.Start("the upstream nginx", exec.Command(l.tools["nginx"], "-c", config), l.bench.verbose)
	if err != nil {
		return err
	}
	return awaitAnswer(l.origin, l.upstream, "/1k")
}

const upstreamConfig = `daemon off;
master_process off;
pid DIR/upstream.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 300s;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16;
  client_body_temp_path DIR/u1; proxy_temp_path DIR/u2; fastcgi_temp_path DIR/u3; uwsgi_temp_path DIR/u4; scgi_temp_path DIR/u5;
  server { listen ADDR backlog=4096; root ROOT; }
}
`

// find looks for a program on PATH, and where Debian keeps servers.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// freeAddr is a loopback address whose port was free a moment ago.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

func portOf(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port) // our own address
	return n
}
