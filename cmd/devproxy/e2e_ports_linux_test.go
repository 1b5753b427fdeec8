//go:build e2e

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ordinary is a process of an ordinary user.
type ordinary struct {
	*exec.Cmd
	t      *testing.T
	ready  upEvent
	events *bufio.Scanner
}

// begin starts cmd, an `up --json`. Its ready event has not been read when it returns.
func begin(t *testing.T, cmd *exec.Cmd) *ordinary {
	t.Helper()
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &ordinary{Cmd: cmd, t: t, events: bufio.NewScanner(out)}
	t.Cleanup(o.kill)
	return o
}

// awaitReady waits until it serves.
func (o *ordinary) awaitReady() *ordinary {
	o.t.Helper()
	for o.events.Scan() {
		if err := json.Unmarshal(o.events.Bytes(), &o.ready); err != nil {
			o.t.Fatal(err)
		}
		if o.ready.Event == "ready" {
			return o
		}
	}
	o.t.Fatalf("up ended before it was ready: %s", o.events.Text())
	return nil
}

func (o *ordinary) kill() {
	_ = o.Process.Kill() // it may have ended
	_ = o.Wait()
}

// projectOfNobody is another folder of nobody's, with a host that answers with its name.
func projectOfNobody(t *testing.T, name string) string {
	t.Helper()
	dir := projectDir(t, answeringHost(name))
	for _, path := range []string{dir, filepath.Join(dir, "Proxyfile")} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// connection is one connection to a host, for any number of requests.
type connection struct {
	t    *testing.T
	name string
	*tls.Conn
	reader *bufio.Reader
}

func connect(t *testing.T, state, name, address string) *connection {
	t.Helper()
	root, err := os.ReadFile(filepath.Join(state, "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, &tls.Config{RootCAs: roots, ServerName: name})
	if err != nil {
		t.Fatalf("%s at %s: %v", name, address, err)
	}
	t.Cleanup(func() { c.Close() })
	return &connection{t, name, c, bufio.NewReader(c)}
}

// answers sends a request, and wants the host's name as the body.
func (c *connection) answers() {
	c.t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", c.name)
	if body := readBody(c.t, c.reader); body != c.name {
		c.t.Errorf("%s at %s answers %q", c.name, c.RemoteAddr(), body)
	}
}

// TestE2EAllow443 has an ordinary user asked whether port 443 shall be allowed, in a
// network where it is not: with no, once, then with yes, while another project runs on
// 8443.
func TestE2EAllow443(t *testing.T) {
	enterNamespace(t, "1024")
	ownSysctlFolder(t)
	s := newScreen(t, 150, 40)
	s.write("Proxyfile", answeringHost("shop.localhost"))
	becomeNobody(t, s)
	blogDir := projectOfNobody(t, "blog.localhost")
	startBlog := func() *ordinary {
		cmd := exec.Command(filepath.Join(filepath.Dir(s.dir), "bin", "devproxy"), "up", "--json")
		cmd.Dir, cmd.Env, cmd.SysProcAttr = blogDir, s.env, &syscall.SysProcAttr{Credential: s.as}
		return begin(t, cmd).awaitReady()
	}
	blog := startBlog()
	if blog.ready.HTTPS != "127.0.0.1:8443" {
		t.Fatalf("the other project is at %s", blog.ready.HTTPS)
	}

	s.open()
	s.run("devproxy up")
	s.waitFor(`^Run it\? \[y/N\]`)
	const command = "  echo net.ipv4.ip_unprivileged_port_start=80 | sudo tee /etc/sysctl.d/50-devproxy.conf && sudo sysctl -p /etc/sysctl.d/50-devproxy.conf\n"
	if !strings.Contains(s.whole(), command) {
		t.Errorf("the question does not show the command in full:\n%s", s.whole())
	}
	s.press("Enter")
	s.waitFor(`^Using port 8443: this machine does not allow 443$`)
	s.waitFor(`q quit`)
	s.press("q")
	s.waitFor(`^stopped`)
	if _, err := os.Stat(sysctlFile); err == nil {
		t.Fatal("Enter alone has run the command")
	}

	s.fresh("devproxy up", `does not allow 443\. To allow it permanently:\n`+"(?s:.*)q quit")
	if strings.Contains(s.whole(), "Run it?") {
		t.Errorf("it asks again:\n%s", s.whole())
	}
	s.press("q")
	s.waitFor(`^stopped`)

	open := connect(t, s.state(), "blog.localhost", "127.0.0.1:8443")
	open.answers()
	if err := os.Remove(filepath.Join(s.state(), "ports.json")); err != nil {
		t.Fatal(err)
	}
	s.fresh("devproxy up", `Run it\? \[y/N\]`)
	s.run("y")
	s.waitFor(`^https://shop\.localhost +Proxyfile:1`)
	s.waitFor(`until you start them again, their addresses have port 8443\.$`)
	s.waitFor(`q quit`)
	wantFile(t, sysctlFile, "net.ipv4.ip_unprivileged_port_start=80\n")
	wantFile(t, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "80\n")
	open.answers()
	for _, address := range []string{"127.0.0.1:443", "[::1]:443", "127.0.0.1:8443"} {
		for _, name := range []string{"shop.localhost", "blog.localhost"} {
			connect(t, s.state(), name, address).answers()
		}
	}

	// The process that had the sockets of 8443 ends: the other has all.
	blog.kill()
	for _, address := range []string{"127.0.0.1:443", "127.0.0.1:8443"} {
		connect(t, s.state(), "shop.localhost", address).answers()
	}
	if blog = startBlog(); blog.ready.HTTPS != "127.0.0.1:443" || blog.ready.URLs[0] != "https://blog.localhost" {
		t.Errorf("a project that starts now is at %s, %v", blog.ready.HTTPS, blog.ready.URLs)
	}
	connect(t, s.state(), "blog.localhost", "[::1]:443").answers()
	s.press("q")
	s.waitFor(`^stopped`)
	connect(t, s.state(), "blog.localhost", "127.0.0.1:443").answers()
}

// sysctlFile is what the command writes.
const sysctlFile = "/etc/sysctl.d/50-devproxy.conf"

// ownSysctlFolder hides the machine's folder from this thread and what it starts.
func ownSysctlFolder(t *testing.T) {
	t.Helper()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", filepath.Dir(sysctlFile), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
}

// becomeNobody makes the screen an ordinary user's, with devproxy and a sudo that asks
// for nothing: env with the permissions of root.
func becomeNobody(t *testing.T, s *screen) {
	t.Helper()
	bin := filepath.Join(filepath.Dir(s.dir), "bin") // nothing in the project's folder is run
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]string{"devproxy": needTool(t, "devproxy"), "sudo": needTool(t, "env")} {
		text, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(bin, "sudo"), 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(s.dir), s.dir, s.home, s.runtime()} {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	s.as = &syscall.Credential{Uid: nobody, Gid: nobody}
	s.env = append(s.env, "PATH="+bin+":"+os.Getenv("PATH"))
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is %q (%v), want %q", path, got, err, want)
	}
}

// activated is devproxy up in dir of an ordinary user, started by systemd-socket-activate
// at the first connection to one of the sockets, which root has made. place has the
// program, the state and the runtime folder.
func activated(ctx context.Context, t *testing.T, place, dir string, sockets ...string) *exec.Cmd {
	t.Helper()
	var args []string
	for _, socket := range sockets {
		args = append(args, "--listen="+socket)
	}
	up := asNobody(ctx, place)
	for _, entry := range up.Env {
		args = append(args, "--setenv="+entry)
	}
	id := fmt.Sprint(nobody)
	args = append(args, needTool(t, "setpriv"), "--reuid="+id, "--regid="+id, "--clear-groups", "--no-new-privs", filepath.Join(place, "devproxy"), "up", "--json")
	cmd := exec.CommandContext(ctx, needTool(t, "systemd-socket-activate"), args...)
	cmd.Dir, cmd.Env = dir, up.Env
	return cmd
}

// TestE2ESocketActivation: sockets that systemd has are shared by two projects. The first
// is started when the second, which is started by hand, looks for the front. The second
// goes on when the first ends.
func TestE2ESocketActivation(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	place := nobodysProject(t)
	if err := os.Mkdir(filepath.Join(place, "run", "devproxy"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(place, "run", "devproxy"), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	state, front := filepath.Join(place, "state"), filepath.Join(place, "run", "devproxy", "front.sock")
	blogDir, shopDir := projectOfNobody(t, "blog.localhost"), projectOfNobody(t, "shop.localhost")
	shop := begin(t, activated(t.Context(), t, place, shopDir, "127.0.0.1:443", "[::1]:443", "127.0.0.1:80", front))
	waitUntilListening(t, front)
	if err := os.Chown(front, nobody, nobody); err != nil { // SocketUser= of a unit
		t.Fatal(err)
	}
	byHand := func() *ordinary {
		cmd := asNobody(t.Context(), place, "up", "--json")
		cmd.Dir = blogDir
		return begin(t, cmd)
	}
	blog := byHand() // connects to the front's socket, and so has systemd start the first
	shop.awaitReady()
	blog.awaitReady()
	for name, o := range map[string]*ordinary{"shop": shop, "blog": blog} {
		if o.ready.HTTPS != "127.0.0.1:443" || o.ready.URLs[0] != "https://"+name+".localhost" {
			t.Errorf("%s is at %s, %v", name, o.ready.HTTPS, o.ready.URLs)
		}
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", shop.Process.Pid))
	if err != nil || !strings.Contains(string(environ), "LISTEN_FDS=4") {
		t.Errorf("the first was not started with sockets: %q, %v", environ, err)
	}
	open := connect(t, state, "blog.localhost", "127.0.0.1:443")
	for _, address := range []string{"127.0.0.1:443", "[::1]:443"} {
		for _, name := range []string{"shop.localhost", "blog.localhost"} {
			connect(t, state, name, address).answers()
		}
	}
	plain, err := net.Dial("tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	fmt.Fprint(plain, "GET / HTTP/1.1\r\nHost: blog.localhost\r\nConnection: close\r\n\r\n")
	if head, _ := io.ReadAll(plain); !strings.Contains(string(head), "\r\nLocation: https://blog.localhost/\r\n") {
		t.Errorf("plain HTTP answers\n%s", head)
	}

	shop.kill()
	open.answers()
	connect(t, state, "blog.localhost", "127.0.0.1:443").answers()
	open.answers()
}

// waitUntilListening waits until a unix socket exists.
func waitUntilListening(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not exist", path)
		}
	}
}

// TestE2ESocketsOfOthers: sockets that others could reach, and ports next to sockets, are
// refused with what to change.
func TestE2ESocketsOfOthers(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	place := nobodysProject(t)
	for listen, want := range map[string]string{
		"0.0.0.0:443": "systemd passed the socket 0.0.0.0:443, which others could reach, and devproxy serves this machine only: write ListenStream=127.0.0.1:443 and ListenStream=[::1]:443",
		"/a.sock":     "but projects look for the front at " + filepath.Join(place, "run", "devproxy", "front.sock"),
	} {
		if strings.HasPrefix(listen, "/") {
			listen = filepath.Join(place, "a.sock")
		}
		cmd := activated(t.Context(), t, place, place, listen)
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		dialed := make(chan struct{})
		go func() { // the first connection starts it
			defer close(dialed)
			network := "tcp"
			address := strings.Replace(listen, "0.0.0.0", "127.0.0.1", 1)
			if filepath.IsAbs(listen) {
				network = "unix"
			}
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				if c, err := net.Dial(network, address); err == nil {
					defer c.Close()
					return
				}
			}
		}()
		_ = cmd.Wait() // the exit code tells
		<-dialed
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(said.String(), want) {
			t.Errorf("%s: exit code %d\n%s", listen, code, said.String())
		}
	}
}

// TestE2EUnits has systemd read the units of README.md.
func TestE2EUnits(t *testing.T) {
	analyze := needTool(t, "systemd-analyze")
	blocks := regexp.MustCompile("(?s)```ini\n(.*?)```").FindAllStringSubmatch(readText(t, "README.md"), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of units", len(blocks))
	}
	for _, block := range blocks {
		dir := t.TempDir()
		args := []string{"verify", "--man=no", "--recursive-errors=no"}
		if strings.HasPrefix(block[1], "# ~/.config/systemd/user/") {
			args = append(args, "--user")
		}
		for _, unit := range regexp.MustCompile(`(?ms)^# (\S+)\n(.*?)(?:^# |\z)`).FindAllStringSubmatch(strings.ReplaceAll(block[1], "\n# ", "\n# \n# "), -1) {
			path := filepath.Join(dir, filepath.Base(unit[1]))
			saveFile(t, path, strings.ReplaceAll(unit[2], "/usr/bin/devproxy", needTool(t, "devproxy")))
			args = append(args, path)
		}
		if n := strings.Count(strings.Join(args, " "), dir); n != 2 {
			t.Fatalf("%d units in\n%s", n, block[1])
		}
		out, err := runTool(t, patience, append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir), analyze, args...)
		if err != nil || out != "" {
			t.Errorf("systemd-analyze %q: %v\n%s", args, err, out)
		}
	}
}
