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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

// maker says how to run a kind of proxy.
type maker struct {
	name    string
	program string
	// versionArgs make the program print its version; nil for none.
	versionArgs []string
	// config is a file of configs, and configName its name in the proxy's folder.
	config, configName string
	args               func(config string) []string
	// reload makes the proxy read its changed configuration; nil when it watches
	// the file.
	reload func(*proxy) error
}

// makers lists the peers that are installed, then every devproxy of the command
// line. Ratios refer to the first one.
func (b bench) makers() ([]maker, error) {
	var list []maker
	for _, m := range peers() {
		path, err := find(m.program)
		if err != nil || !slices.Contains(b.peers, m.name) {
			continue
		}
		m.program = path
		list = append(list, m)
	}
	for i, program := range strings.Split(b.devproxy, ",") {
		path, err := filepath.Abs(program)
		if err == nil {
			_, err = exec.LookPath(path)
		}
		if err != nil {
			return nil, fmt.Errorf("find devproxy: %w; `make build` makes it", err)
		}
		// It has a user's features on: the recorder, matching, its own CA. Only
		// the lines about requests are off.
		m := maker{
			name: "devproxy", program: path, config: "devproxy.hcl", configName: "Proxyfile",
			args: func(string) []string { return []string{"up", "--json", "--quiet"} },
		}
		if i > 0 {
			m.name += fmt.Sprint(" ", i+1)
		}
		list = append(list, m)
	}
	return list, nil
}

func peerNames() []string {
	var names []string
	for _, m := range peers() {
		names = append(names, m.name)
	}
	return names
}

func peers() []maker {
	return []maker{
		{
			name: "nginx", program: "nginx", versionArgs: []string{"-v"}, config: "nginx.conf", configName: "nginx.conf",
			args:   func(config string) []string { return []string{"-c", config} },
			reload: func(p *proxy) error { return p.child.Signal(syscall.SIGHUP) },
		},
		{
			name: "haproxy", program: "haproxy", versionArgs: []string{"-v"}, config: "haproxy.cfg", configName: "haproxy.cfg",
			args:   func(config string) []string { return []string{"-W", "-db", "-f", config} },
			reload: func(p *proxy) error { return p.child.Signal(syscall.Signal(12)) }, // SIGUSR2 on Linux
		},
		{
			name: "caddy", program: "caddy", versionArgs: []string{"version"}, config: "caddy.caddyfile", configName: "Caddyfile",
			args: func(config string) []string { return []string{"run", "--adapter", "caddyfile", "--config", config} },
			reload: func(p *proxy) error {
				out, err := exec.Command(p.program, "reload", "--adapter", "caddyfile", "--config", p.configFile(), "--address", "unix/"+filepath.Join(p.dir, "admin.sock")).CombinedOutput()
				if err != nil {
					return fmt.Errorf("caddy reload: %w\n%s", err, out)
				}
				return nil
			},
		},
	}
}

// firstVersion is the first word of text that looks like a version.
func firstVersion(text string) string {
	return regexp.MustCompile(`v?\d+\.\d+(\.\d+)?[-\w.]*`).FindString(text)
}
