package forward

import (
	"bufio"
	"context"
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
	generation  int     // what /version answers
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
	if err := p.writeCertificate(); err != nil {
		return nil, err
	}
	if m.versionArgs != nil {
		out, _ := exec.Command(m.program, m.versionArgs...).CombinedOutput() // nginx prints it to standard error
		p.version = firstVersion(string(out))
	}
	return p, nil
}

// writeCertificate writes cert.pem, key.pem and both.pem.
func (p *proxy) writeCertificate() error {
	cert, err := harness.MakeCertificate(hostName)
	if err != nil {
		return err
	}
	certPEM, keyPEM, err := harness.EncodeCertificate(cert)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"cert.pem": certPEM, "key.pem": keyPEM, "both.pem": append(certPEM, keyPEM...)} {
		if err := os.WriteFile(filepath.Join(p.dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// configure writes the configuration for the current generation, as an editor
// saves: into a new file that replaces the old one.
func (p *proxy) configure() error {
	path := filepath.Join(p.dir, p.configName)
	err := fill(path+".new", p.config, map[string]string{
		"DIR": p.dir, "UPSTREAM": p.lab.upstream, "SOCKETS": p.lab.sockets.addr(), "HTTPS_PORT": strconv.Itoa(portOf(p.https)), "HTTP_PORT": strconv.Itoa(portOf(p.http)),
		"HOST": hostName, "VERSION": strconv.Itoa(p.generation),
	})
	if err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// start configures and starts the proxy on its core, and returns at its first
// answer from the upstream.
func (p *proxy) start(context.Context) error {
	if err := p.configure(); err != nil {
		return err
	}
	cmd := exec.Command(p.program, p.args(p.dir)...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_RUNTIME_DIR="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir, "DEVPROXY_HOME="+filepath.Join(p.dir, "home"))
	child, err := onCPU(p.lab.bench.proxyCPU, func() (*harness.Child, error) { return harness.Start(p.name, cmd, p.lab.bench.verbose) })
	if err != nil {
		return err
	}
	p.child = child
	go child.Drain()
	return awaitAnswer(child, p.http, "/1k")
}

func (p *proxy) stop() {
	p.child.Stop()
	p.child = nil
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
		return nil // it started none, or the kernel does not tell
	}
	for word := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitAnswer returns when the server at addr answers path with 200. It tries
// once a millisecond.
func awaitAnswer(server *harness.Child, addr, path string) error {
	return awaitBody(server, addr, path, func(string) bool { return true })
}

// awaitBody is awaitAnswer for a body that is enough.
func awaitBody(server *harness.Child, addr, path string, enough func(body string) bool) error {
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		status, text, err := ask(addr, path)
		if err == nil && status == http.StatusOK && enough(text) {
			return nil
		}
		select {
		case <-server.Done():
			return fmt.Errorf("the server ended: %s", server.Last())
		case <-deadline:
			if err == nil {
				err = fmt.Errorf("status %d", status)
			}
			return fmt.Errorf("no answer from %s within %v: %w; %s", addr, patience, err, server.Last())
		case <-tick.C:
		}
	}
}

// ask sends one request over a new connection.
func ask(addr, path string) (status int, text string, err error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, hostName); err != nil {
		return 0, "", err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// fill writes text to path with each word replaced by its value.
func fill(path, text string, values map[string]string) error {
	for name, value := range values {
		text = strings.ReplaceAll(text, name, value)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
