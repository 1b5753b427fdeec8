//go:build unix

package front

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// projectVariable makes the test binary a project in a process of its own; its value
// is the runtime directory.
const projectVariable = "FRONT_TEST_PROJECT"

// passedVariable is set for a project that gets its sockets as systemd passes them:
// HTTPS, HTTP and the front's are the descriptors 3 to 5.
const passedVariable = "FRONT_TEST_PASSED"

func passedSockets(context.Context) (s Sockets, err error) {
	for i, sockets := range []*[]*net.TCPListener{&s.HTTPS, &s.HTTP} {
		l, err := net.FileListener(os.NewFile(uintptr(3+i), "tcp"))
		if err != nil {
			return s, err
		}
		*sockets = append(*sockets, l.(*net.TCPListener))
	}
	return s, nil
}

// soon is far longer than anything takes that is bound to happen.
const soon = 30 * time.Second

// runProject takes part in the shared sockets and serves its pid. It reads commands
// from standard input, one per line, and answers each with a line.
func runProject() int {
	var losses lost
	p, err := joinProject(context.Background(), os.Getenv(projectVariable), losses.add)
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	https, http := p.Listeners()
	fmt.Println("joined", https[0].Addr(), http[0].Addr())
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		verb, rest, _ := strings.Cut(commands.Text(), " ")
		switch verb {
		case "names":
			err = p.Register(context.Background(), namesOf(strings.Fields(rest)...))
		case "entry": // a name with file and line, and names without
			fields := strings.Fields(rest)
			names := []Name{{Name: fields[0], File: fields[1]}}
			fmt.Sscan(fields[2], &names[0].Line)
			for _, name := range fields[3:] {
				names = append(names, Name{Name: name})
			}
			err = p.Register(context.Background(), names)
		case "stepdown":
			p.StepDown()
		case "role":
			stage, _ := p.current()
			err = fmt.Errorf("%T", stage)
		case "limit":
			var limit syscall.Rlimit
			_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
			fmt.Sscan(rest, &limit.Cur)
			err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
		case "lost":
			_, err = losses.last()
		case "losses":
			n, _ := losses.last()
			err = fmt.Errorf("%d", n)
		case "add":
			var more Sockets
			if more, err = bindFree(context.Background()); err == nil {
				err = p.Add(context.Background(), more)
			}
			if err == nil {
				https, http := p.Listeners()
				err = fmt.Errorf("%s %s", https[0].Addr(), http[0].Addr())
			}
		case "close":
			err = p.Close()
		}
		if err != nil {
			fmt.Println("error:", err)
		} else {
			fmt.Println("ok")
		}
		err = nil
	}
	return 0
}

// lost notes what Lost was called with.
type lost struct {
	mu  sync.Mutex
	all []error
}

func (l *lost) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, err)
}

func (l *lost) last() (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return 0, nil
	}
	return len(l.all), l.all[len(l.all)-1]
}

func namesOf(all ...string) (names []Name) {
	for i, name := range all {
		names = append(names, Name{Name: name, File: fmt.Sprintf("/%d/Proxyfile", os.Getpid()), Line: i + 1})
	}
	return names
}

// joinProject joins, and serves the process id with the name that was requested.
func joinProject(ctx context.Context, dir string, lost func(error)) (*Shared, error) {
	opts := Options{Dir: dir, Bind: bindFree, Lost: lost}
	if os.Getenv(passedVariable) != "" {
		opts.Bind, opts.Socket = passedSockets, os.NewFile(5, "front")
	}
	shared, err := Join(ctx, opts)
	if err != nil {
		return nil, err
	}
	https, plain := shared.Listeners()
	config := &tls.Config{Certificates: []tls.Certificate{selfSigned()}, NextProtos: []string{"http/1.1"}}
	for _, l := range append(plain, tls.NewListener(https[0], config)) {
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, os.Getpid())
		})}
		go server.Serve(l)
	}
	return shared, nil
}

func bindFree(context.Context) (s Sockets, err error) {
	for _, sockets := range []*[]*net.TCPListener{&s.HTTPS, &s.HTTP} {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return s, err
		}
		*sockets = append(*sockets, l)
	}
	return s, nil
}

func selfSigned() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// nobody is the user of a project whose directory belongs to it.
const nobody = 65534

// project is a process that takes part in the shared sockets.
type project struct {
	*exec.Cmd
	t           *testing.T
	stdin       io.WriteCloser
	lines       *bufio.Scanner
	https, http string // the addresses of the shared sockets
	name        string // the first of its names
}

// begin starts a project, which has not joined yet when it returns.
func begin(t *testing.T, dir string, passed ...*os.File) *project {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), projectVariable+"="+dir)
	if len(passed) > 0 {
		cmd.Env, cmd.ExtraFiles = append(cmd.Env, passedVariable+"=1"), passed
	}
	cmd.Stderr = t.Output()
	if info, err := os.Stat(dir); err == nil && info.Sys().(*syscall.Stat_t).Uid == nobody {
		cmd.Path = filepath.Join(dir, "program") // a copy: the original is in a folder of ours
		if _, err := os.Stat(cmd.Path); err != nil {
			program, err := os.ReadFile(self)
			must(t, err)
			must(t, os.WriteFile(cmd.Path, program, 0o755))
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	p := &project{Cmd: cmd, t: t, stdin: stdin, lines: bufio.NewScanner(stdout)}
	t.Cleanup(p.kill)
	return p
}

// joined waits for a project that was started.
func (p *project) joined() *project {
	p.t.Helper()
	if _, err := fmt.Sscanf(p.line(), "joined %s %s", &p.https, &p.http); err != nil {
		p.t.Fatal(err)
	}
	return p
}

// start starts a project with names.
func start(t *testing.T, dir string, names ...string) *project {
	t.Helper()
	return begin(t, dir).joined().named(names...)
}

// named gives a project that has joined its names.
func (p *project) named(names ...string) *project {
	p.t.Helper()
	p.name = names[0]
	p.does("names " + strings.Join(names, " "))
	return p
}

func (p *project) line() string {
	p.lines.Scan()
	return p.lines.Text()
}

// do sends a command and returns the answer.
func (p *project) do(command string) string {
	p.t.Helper()
	p.asks(command)
	return p.line()
}

// asks sends a command.
func (p *project) asks(command string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.stdin, command); err != nil {
		p.t.Fatal(err)
	}
}

// says expects an answer.
func (p *project) says(want string) {
	p.t.Helper()
	if got := p.line(); got != want {
		p.t.Fatalf("got %q, want %q", got, want)
	}
}

func (p *project) does(command string) {
	p.t.Helper()
	if got := p.do(command); got != "ok" {
		p.t.Fatalf("%s: %s", command, got)
	}
}

func (p *project) pid() string { return fmt.Sprint(p.Process.Pid) }

func (p *project) isFront() bool { return strings.Contains(p.do("role"), "role") }

func (p *project) signal(s syscall.Signal) {
	p.t.Helper()
	must(p.t, p.Process.Signal(s))
}

// kill ends the process with SIGKILL. It may be called twice.
func (p *project) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

// client sends requests for one name.
type client struct {
	t    *testing.T
	base string
	*http.Client
}

// overTLS is a client with connections of its own to the HTTPS port.
func (p *project) overTLS(name string) *client { return newClient(p.t, "https", name, p.https) }

func (p *project) overHTTP(name string) *client { return newClient(p.t, "http", name, p.http) }

func newClient(t *testing.T, scheme, name, addr string) *client {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t, scheme + "://" + name + "/", &http.Client{Transport: transport, Timeout: soon}}
}

// get returns the pid of the process that answers.
func (c *client) get() (string, error) {
	res, err := c.Get(c.base)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// reaches checks which project answers.
func (c *client) reaches(p *project) {
	c.t.Helper()
	got, err := c.get()
	if err != nil {
		c.t.Error(err)
	} else if got != p.pid() {
		c.t.Errorf("%s: answered by %s, want %s", c.base, got, p.pid())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shortDir is a folder with a path short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "f")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o700))
	return dir
}

// eventually waits for another process.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// wireTo connects to the front.
func wireTo(t *testing.T, dir string) *wire {
	t.Helper()
	conn, err := net.Dial("unix", SocketPath(dir))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return &wire{conn: conn.(*net.UnixConn)}
}

// dialed sends the beginning of a connection.
func dialed(t *testing.T, addr, begin string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	_, err = io.WriteString(c, begin)
	must(t, err)
	return c
}

const (
	requestForB   = "GET / HTTP/1.1\r\nHost: b.localhost\r\n\r\n"
	requestBegins = "GET / HTTP/1.1\r\nHo"
	requestEnds   = "st: b.localhost\r\n\r\n"
)
