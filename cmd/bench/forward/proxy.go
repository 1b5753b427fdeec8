package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/cmd/bench/harness"
)

// patience is how long a program may take to answer or to apply a change.
const patience = 20 * time.Second

// proxy is a program to measure, with its configuration.
type proxy struct {
	maker
	lab         *lab
	dir         string
	http, https string // addresses
	version     string
	child       *harness.Child
	idle        float64 // MB resident just after its start
	generation  int     // what /version returns
}

// newProxy gives m a folder and ports. It starts nothing.
func (l *lab) newProxy(m maker) (p *proxy, err error) {
	p = &proxy{maker: m, lab: l, dir: filepath.Join(l.dir, fmt.Sprint("proxy", len(l.proxies)))}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return nil, err
	}
	for _, addr := range []*string{&p.http, &p.https} {
		if *addr, err = freeAddr(); err != nil {
			return nil, err
		}
	}
	if m.versionArgs != nil {
		out, _ := exec.Command(m.program, m.versionArgs...).CombinedOutput() // nginx prints it to standard error
		p.version = firstVersion(string(out))
	}
	return p, harness.WriteCertificate(p.dir, hostName)
}

func (p *proxy) configFile() string { return filepath.Join(p.dir, p.configName) }

// configure writes the configuration for the current generation, as an editor
// saves: into a new file that replaces the old one.
func (p *proxy) configure() error {
	_, httpPort, _ := net.SplitHostPort(p.http)
	_, httpsPort, _ := net.SplitHostPort(p.https)
	err := fill(p.configFile()+".new", p.config, map[string]string{
		"DIR": p.dir, "UPSTREAM": p.lab.upstream, "SOCKETS": p.lab.sockets.Listener.Addr().String(),
		"HTTPS_PORT": httpsPort, "HTTP_PORT": httpPort, "HOST": hostName, "VERSION": strconv.Itoa(p.generation),
	})
	if err != nil {
		return err
	}
	return os.Rename(p.configFile()+".new", p.configFile())
}

// start configures and starts the proxy on its core, and returns at its first
// response from the upstream.
func (p *proxy) start(ctx context.Context) error {
	if err := p.configure(); err != nil {
		return err
	}
	args := append([]string{"-c", strconv.Itoa(p.lab.bench.proxyCPU), p.program}, p.args(p.configFile())...)
	cmd := exec.Command(p.lab.tools["taskset"], args...) // replaces itself with the program
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_RUNTIME_DIR="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir, "DEVPROXY_HOME="+filepath.Join(p.dir, "home"))
	var err error
	if p.child, err = harness.Start(p.name, cmd, p.lab.bench.verbose); err != nil {
		return err
	}
	go p.child.Drain()
	return awaitBody(ctx, p.child, p.http, "/1k", "")
}

func (p *proxy) cpu() (time.Duration, error) { return p.child.CPU(p.workers()...) }

func (p *proxy) residentMB() (float64, error) {
	kb, err := p.child.ResidentKB(p.workers()...)
	return float64(kb) / 1024, err
}

// workers are the processes that the proxy started.
func (p *proxy) workers() (pids []int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.child.PID(), p.child.PID()))
	if err != nil {
		return nil // it started none, or the kernel does not list them
	}
	for word := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitBody returns when the server at addr answers path with 200 and this body; an
// empty one is any. It tries once per millisecond.
func awaitBody(ctx context.Context, server *harness.Child, addr, path, body string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := request(ctx, addr, path, body)
		if err == nil {
			return nil
		}
		select {
		case <-server.Done():
			return fmt.Errorf("the server ended: %s", server.Last())
		case <-ctx.Done():
			return fmt.Errorf("no response from %s within %v: %w; %s", addr, patience, err, server.Last())
		case <-time.After(time.Millisecond):
		}
	}
}

// request sends one request over a new connection. Its error is nil when the response
// is as awaitBody expects it.
func request(ctx context.Context, addr, path, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return err
	}
	req.Host = hostName
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("status %d", res.StatusCode)
	case body != "" && body != string(text):
		return errors.New("the response is an old one")
	}
	return nil
}
