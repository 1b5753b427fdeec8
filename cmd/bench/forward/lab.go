package forward

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/cmd/bench/harness"
)

// hostName is the host that clients request of every proxy.
const hostName = "bench.localhost"

// configs are the configurations of the programs, with words in capitals to be
// filled in.
//
//go:embed config
var configs embed.FS

// lab holds the upstreams and the running proxies of one run, and the folder of
// their files.
type lab struct {
	bench    bench
	dir      string
	tools    map[string]string // program name -> path
	upstream string            // address of nginx with the files
	sockets  *httptest.Server  // upstream of WebSockets
	origin   *harness.Child    // that nginx
	proxies  []*proxy
}

// openLab starts everything. The caller closes the lab.
func (b bench) openLab(ctx context.Context) (_ *lab, err error) {
	l := &lab{bench: b, tools: map[string]string{}}
	for _, name := range []string{"h2load", "nginx", "taskset"} {
		if l.tools[name], err = find(name); err != nil {
			return nil, fmt.Errorf("%w; `make deps-bench` installs it", err)
		}
	}
	// This process, and the children that it starts.
	if out, err := exec.Command(l.tools["taskset"], "-apc", strconv.Itoa(b.loadCPU), strconv.Itoa(os.Getpid())).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot run on core %d: %w\n%s", b.loadCPU, err, out)
	}
	if l.dir, err = os.MkdirTemp("", "bench-forward-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if err := l.startUpstreams(ctx); err != nil {
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
		p.child.Stop()
	}
	l.origin.Stop()
	if l.sockets != nil {
		l.sockets.CloseClientConnections()
		l.sockets.Close()
	}
	return os.RemoveAll(l.dir)
}

// startUpstreams starts nginx with the files of bodies, and the server of
// WebSockets.
func (l *lab) startUpstreams(ctx context.Context) (err error) {
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
	l.sockets = httptest.NewServer(http.HandlerFunc(holdSocket))
	if l.upstream, err = freeAddr(); err != nil {
		return err
	}
	config := filepath.Join(l.dir, "upstream.conf")
	if err := fill(config, "upstream.conf", map[string]string{"ADDR": l.upstream, "ROOT": root, "DIR": l.dir}); err != nil {
		return err
	}
	l.origin, err = harness.Start("the upstream nginx", exec.Command(l.tools["nginx"], "-c", config), l.bench.verbose)
	if err != nil {
		return err
	}
	return awaitBody(ctx, l.origin, l.upstream, "/1k", "")
}

// holdSocket accepts a WebSocket and keeps it until its client closes it.
func holdSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	<-conn.CloseRead(r.Context()).Done()
}

// fill writes a configuration to path with each word replaced by its value.
func fill(path, config string, values map[string]string) error {
	data, err := configs.ReadFile("config/" + config)
	if err != nil {
		return err
	}
	text := string(data)
	for name, value := range values {
		text = strings.ReplaceAll(text, name, value)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

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
