package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is an ordinary user id.
const nobody = 65534

// enterNamespace puts this goroutine's thread, and the processes it starts,
// into a network namespace of their own, in which ports below lowest need a
// permission. The thread ends with the goroutine.
func enterNamespace(t *testing.T, lowest string) {
	t.Helper()
	needRoot(t, "to make network namespaces")
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte(lowest), 0o644); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	loopback.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, loopback); err != nil {
		t.Fatal(err)
	}
}

func needRoot(t *testing.T, why string) {
	t.Helper()
	switch {
	case os.Getuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("needs root " + why)
	default:
		t.Skip("needs root " + why)
	}
}

// nobodysProject is a folder of nobody's with a Proxyfile and this program.
func nobodysProject(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nobody")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]struct {
		text []byte
		mode os.FileMode
	}{
		"devproxy":  {program, 0o755},
		"Proxyfile": {[]byte("host \"shop.localhost\" { respond = { status = 200, body = \"hello\" } }\n"), 0o644},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), file.text, file.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "run")} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// installSudo puts a sudo into PATH that anyone can find: what up prints names the
// program of this machine that becomes root.
func installSudo(t *testing.T) {
	t.Helper()
	bin, err := os.MkdirTemp("", "sudo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(bin) })
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/bin/true", filepath.Join(bin, "sudo")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// asNobody is devproxy in dir, run by an ordinary user without capabilities.
func asNobody(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "devproxy"), args...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "DEVPROXY_HOME=" + dir + "/state", "XDG_RUNTIME_DIR=" + dir + "/run", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

// bannerOf runs up until its last line of the banner and gives what it printed;
// ask is called meanwhile.
func bannerOf(t *testing.T, dir string, ask func()) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
	defer cancel()
	cmd := asNobody(ctx, dir, "up")
	cmd.Cancel = func() error { return cmd.Process.Kill() }
	var out bytes.Buffer
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, said := bufio.NewScanner(stderr), ""
	for lines.Scan() {
		said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "is watched") {
			ask()
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), said)
	}
	return out.String()
}

// askHello wants the route's answer over TLS from port. It dials on this
// goroutine's thread, which is in the namespace.
func askHello(t *testing.T, dir string, port int) {
	t.Helper()
	root, err := os.ReadFile(filepath.Join(dir, "state", "root.pem"))
	if err != nil {
		t.Error(err)
		return
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	for _, address := range []string{"127.0.0.1", "::1"} {
		conn, err := tls.Dial("tcp", net.JoinHostPort(address, fmt.Sprint(port)), &tls.Config{RootCAs: roots, ServerName: "shop.localhost"})
		if err != nil {
			t.Error(err)
			continue
		}
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: shop.localhost:%d\r\nConnection: close\r\n\r\n", port)
		if body := readBody(t, conn); body != "hello" {
			t.Errorf("%s answers %q", address, body)
		}
		conn.Close()
	}
}

func readBody(t *testing.T, from io.Reader) string {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(from), nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// TestUpWithoutPermissionFor443: up falls back, and prints the reason and the
// fix.
func TestUpWithoutPermissionFor443(t *testing.T) {
	enterNamespace(t, "1024")
	installSudo(t)
	dir := nobodysProject(t)
	said := bannerOf(t, dir, func() { askHello(t, dir, 8443) })
	for _, want := range []string{
		"https://shop.localhost:8443   Proxyfile:1\n",
		"\nUsing port 8443: this machine does not allow 443. To allow it permanently:\n" +
			"  echo net.ipv4.ip_unprivileged_port_start=80 | sudo tee /etc/sysctl.d/50-devproxy.conf && sudo sysctl -p /etc/sysctl.d/50-devproxy.conf\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("up does not say\n%s\nbut\n%s", want, said)
		}
	}
	if strings.Contains(said, "port 80") {
		t.Errorf("up reports plain HTTP, which was not requested:\n%s", said)
	}

	// Asked for by name, it is never replaced.
	var stderr strings.Builder
	cmd := asNobody(t.Context(), dir, "up", "--https", ":443")
	cmd.Stderr = &stderr
	_ = cmd.Run() // the exit code tells
	if code := cmd.ProcessState.ExitCode(); code != exitPort {
		t.Errorf("exit code %d, want %d", code, exitPort)
	}
	const want = "devproxy: cannot listen on 127.0.0.1:443: this machine does not allow it\n  allow it permanently: echo net.ipv4"
	if !strings.HasPrefix(stderr.String(), want) {
		t.Errorf("up --https :443 says\n%s\nwant\n%s", stderr.String(), want)
	}
}

// TestUpWith443 applies the setting of the fallback's fix.
func TestUpWith443(t *testing.T) {
	enterNamespace(t, "80")
	dir := nobodysProject(t)
	said := bannerOf(t, dir, func() {
		askHello(t, dir, 443)
		conn, err := net.Dial("tcp", "127.0.0.1:80")
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /a?b HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n")
		head, _ := io.ReadAll(conn)
		if !strings.Contains(string(head), "\r\nLocation: https://shop.localhost/a?b\r\n") {
			t.Errorf("plain HTTP answers\n%s", head)
		}
	})
	if !strings.HasPrefix(said, "https://shop.localhost   Proxyfile:1\n") || strings.Contains(said, "because") {
		t.Errorf("up says\n%s", said)
	}
}

// TestUpWithoutPermissionForFiles has an ordinary user meet files of root's:
// the error names the file and the command that helps.
func TestUpWithoutPermissionForFiles(t *testing.T) {
	needRoot(t, "to make files that another user may not read")
	for name, test := range map[string]struct {
		prepare      func(dir string) error
		begins, says string
	}{
		"Proxyfile": {
			func(dir string) error { return os.Chmod(filepath.Join(dir, "Proxyfile"), 0) },
			"devproxy: can't read ", "Proxyfile: permission denied\n  ",
		},
		"state folder": {
			func(dir string) error { return os.Mkdir(filepath.Join(dir, "state"), 0o755) },
			"devproxy: cannot ", " DEVPROXY_HOME",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := nobodysProject(t)
			if err := test.prepare(dir); err != nil {
				t.Fatal(err)
			}
			var stderr strings.Builder
			cmd := asNobody(t.Context(), dir, "up", "--https", ":0", "--http", ":0")
			cmd.Stderr = &stderr
			_ = cmd.Run() // the exit code tells
			code, said := cmd.ProcessState.ExitCode(), stderr.String()
			if code != exitFailed || !strings.HasPrefix(said, test.begins) || !strings.Contains(said, test.says) || strings.Count(said, "\n") < 2 {
				t.Errorf("exit code %d\n%s", code, said)
			}
		})
	}
}
