//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/doctor"
)

// onMachine reports whether the test runs in a network of its own and with files in
// /etc that it may change. Otherwise it runs the test there and returns false.
func onMachine(t *testing.T) bool {
	t.Helper()
	if os.Getenv(namespaceVariable) == t.Name() {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		mount := func(source, target, kind string, flags uintptr) {
			t.Helper()
			if err := syscall.Mount(source, target, kind, flags, ""); err != nil {
				t.Fatalf("mount %s: %v", target, err)
			}
			if target != "/" {
				t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) }) // before the folders are removed
			}
		}
		mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE)
		for _, dir := range []string{"/etc", "/usr/local/share/ca-certificates"} {
			copied := t.TempDir()
			if out, err := exec.Command("cp", "-a", dir+"/.", copied).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			mount(copied, dir, "", syscall.MS_BIND)
		}
		// sysctl --system must set nothing but what the test has written.
		for _, dir := range []string{"/etc/sysctl.d", "/usr/lib/sysctl.d", "/usr/local/lib/sysctl.d", "/run/sysctl.d"} {
			if _, err := os.Stat(dir); err == nil {
				mount("tmpfs", dir, "tmpfs", 0)
			}
		}
		saveFile(t, "/etc/sysctl.conf", "")
		saveFile(t, "/etc/hosts", "127.0.0.1 localhost\n")
		return true
	}
	needRoot(t, "to make network and mount namespaces")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), namespaceVariable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("on its own machine: %v\n%s", err, out)
	}
	return false
}

// patient is a shell of a person who runs doctor and the commands that it prints.
type patient struct {
	t     *testing.T
	place *upProcess
	dir   string
	bin   string // a folder with devproxy and what else the fixes of devproxy need
	shell string // commands that were typed into this shell, as they change it
}

func newPatient(t *testing.T, proxyfile string) *patient {
	t.Helper()
	p := &patient{t: t, place: &upProcess{}, dir: projectDir(t, proxyfile), bin: shortDir(t)}
	p.place.home, p.place.state, p.place.env = privateState(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Symlink(devproxyBinary(t), filepath.Join(p.bin, "devproxy")))
	must(os.Symlink("/usr/bin/python3", filepath.Join(p.bin, "python3"))) // not one of a version manager
	// Everything here runs as root already.
	must(os.WriteFile(filepath.Join(p.bin, "sudo"), []byte("#!/bin/sh\n[ \"$1\" = -- ] && shift\nexec \"$@\"\n"), 0o755))
	p.place.env = append(p.place.env, "PATH="+p.bin+":"+os.Getenv("PATH"), "LC_ALL=C", "JAVA_HOME=", "JAVA_TOOL_OPTIONS=")
	return p
}

// run types a command into the shell.
func (p *patient) run(command string, env ...string) (string, error) {
	cmd := exec.CommandContext(p.t.Context(), "/bin/sh", "-c", p.shell+command)
	cmd.Dir, cmd.Env = p.dir, append(slices.Clone(p.place.env), env...)
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return string(out), err
}

// quick is an environment without the clients, which take seconds.
func (p *patient) quick() string {
	for _, tool := range []string{"sh", "rm", "flock", "kill", "sed"} {
		if path, err := exec.LookPath(tool); err == nil {
			_ = os.Symlink(path, filepath.Join(p.bin, tool)) // it may be there
		}
	}
	os.Remove(filepath.Join(p.bin, "python3"))
	return "PATH=" + p.bin
}

// doctor returns the findings of devproxy doctor.
func (p *patient) doctor(env ...string) []doctor.Finding {
	p.t.Helper()
	out, err := p.run("devproxy doctor --json", env...)
	all := findings(p.t, out)
	faults := slices.ContainsFunc(all, func(f doctor.Finding) bool { return f.State == doctor.Fault })
	failed, ok := errors.AsType[*exec.ExitError](err)
	if len(all) == 0 || (err != nil) != faults || ok && failed.ExitCode() != 1 {
		p.t.Fatalf("doctor ended with %v: %s", err, out)
	}
	return all
}

// findings reads what devproxy doctor --json has printed.
func findings(t *testing.T, out string) (all []doctor.Finding) {
	t.Helper()
	for line := range strings.Lines(out) {
		var f doctor.Finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		all = append(all, f)
	}
	return all
}

// expect returns the finding of a check, which must have this state.
func (p *patient) expect(all []doctor.Finding, check string, state doctor.State, detail string) doctor.Finding {
	p.t.Helper()
	i := slices.IndexFunc(all, func(f doctor.Finding) bool { return f.Group+" "+f.Check == check })
	if i < 0 || all[i].State != state || !strings.Contains(all[i].Detail, detail) {
		p.t.Fatalf("%s is not %s with %q:\n%+v", check, state, detail, all)
	}
	return all[i]
}

// absent fails if there is a finding of a check.
func (p *patient) absent(all []doctor.Finding, check string) {
	p.t.Helper()
	if i := slices.IndexFunc(all, func(f doctor.Finding) bool { return f.Group+" "+f.Check == check }); i >= 0 {
		p.t.Fatalf("%s: %+v", check, all[i])
	}
}

// fix types the command of a finding.
func (p *patient) fix(f doctor.Finding, env ...string) {
	p.t.Helper()
	command := f.Fix
	if strings.HasPrefix(command, "devproxy names sync") {
		command = "devproxy names sync --yes" // a person confirms it on the terminal
	}
	if strings.HasPrefix(command, "eval ") || strings.HasPrefix(command, "export ") {
		p.shell += command + "\n"
		return
	}
	if out, err := p.run(command, env...); err != nil {
		p.t.Fatalf("the fix %q of %s: %v\n%s", command, f.Check, err, out)
	}
}

const goClientProgram = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	response, err := http.Get(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(response.Body)
	fmt.Println(string(body))
}
`

const javaClientProgram = `import java.net.URI;
import java.net.http.*;

class Get {
    public static void main(String[] args) throws Exception {
        System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(args[0])).build(), HttpResponse.BodyHandlers.ofString()).body());
    }
}
`

// TestE2EDoctor starts on a machine where nothing is set up. What doctor prints makes
// every client reach the project.
func TestE2EDoctor(t *testing.T) {
	if !onMachine(t) {
		return
	}
	for _, tool := range []string{"curl", "node", "java", "go", "certutil", "chromium"} {
		needTool(t, tool)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello from the shop") }))
	defer server.Close()
	p := newPatient(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n}\n", server.Listener.Addr()))
	up := startBeside(t, p.place, p.dir, "up", "--json")
	up.ready = up.await("ready")

	all := p.doctor()
	p.expect(all, "ports 443", doctor.Fine, "used by devproxy in ")
	p.expect(all, "ports 80", doctor.Fine, "used by devproxy in ")
	p.expect(all, "names browser", doctor.Fine, "finds every name below localhost")
	for _, client := range []string{"Node", "Python", "Go", "Java"} {
		p.expect(all, "names "+client, doctor.Fault, "does not find shop.localhost")
	}
	p.expect(all, "trust CA", doctor.Fine, "valid until")
	p.expect(all, "trust system", doctor.Fault, "not accepted by")
	p.expect(all, "trust chromium", doctor.Fault, "the browser does not trust the CA")
	p.expect(all, "trust this shell", doctor.Warning, "not trust the CA in this shell")
	p.expect(all, "project upstreams", doctor.Fine, "answers")

	for _, f := range all {
		if f.Fix != "" {
			p.fix(f)
		}
	}
	for _, f := range p.doctor() {
		if f.State != doctor.Fine {
			t.Errorf("after all fixes: %+v", f)
		}
	}

	clients := shortDir(t)
	saveFile(t, filepath.Join(clients, "main.go"), goClientProgram)
	saveFile(t, filepath.Join(clients, "Get.java"), javaClientProgram)
	program := filepath.Join(clients, "get")
	build := exec.Command("go", "build", "-o", program, filepath.Join(clients, "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const url = "https://shop.localhost"
	for name, command := range map[string]string{
		"curl":   "curl -sS " + url,
		"Node":   `node -e 'require("https").get("` + url + `", (r) => r.pipe(process.stdout))'`,
		"Python": `python3 -c 'import urllib.request; print(urllib.request.urlopen("` + url + `").read().decode())'`,
		"Go":     program + " " + url,
		"Java":   "java " + filepath.Join(clients, "Get.java") + " " + url,
		"browser": "chromium --headless=new --no-sandbox --disable-gpu --user-data-dir=" + filepath.Join(clients, "profile") +
			" --dump-dom " + url + " 2>/dev/null",
	} {
		if out, err := p.run(command); err != nil || !strings.Contains(out, "hello from the shop") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	up.stop()

	p.expect(p.doctor(p.quick()), "ports 443", doctor.Fine, "free")
}

// TestE2EDoctorFaults breaks one thing after the other. Each has its line, and its fix
// makes it fine.
func TestE2EDoctorFaults(t *testing.T) {
	if !onMachine(t) {
		return
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	proxyfile := "host \"shop.localhost\" {\n  upstream = " + port + "\n}\n"
	p := newPatient(t, proxyfile)
	quick := p.quick()

	t.Run("nginx on 443", func(t *testing.T) {
		p := p.within(t)
		conf := filepath.Join(p.dir, "nginx.conf")
		saveFile(t, conf, "daemon off; pid "+p.dir+"/nginx.pid; error_log stderr; events {}\nhttp { access_log off; server { listen 127.0.0.1:443; } }\n")
		nginx := startTool(t, p.dir, needTool(t, "nginx"), "-c", conf, "-p", p.dir)
		waitListening(t, "127.0.0.1:443")
		f := p.expect(p.doctor(quick), "ports 443", doctor.Warning, "nginx (pid ")
		p.fix(f)
		_ = nginx.Wait() // killed
		p.expect(p.doctor(quick), "ports 443", doctor.Fine, "free")
	})

	t.Run("443 is not allowed", func(t *testing.T) {
		p := p.within(t)
		dir := nobodysProject(t)
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("1024"), 0o644); err != nil {
			t.Fatal(err)
		}
		ofNobody := func() []doctor.Finding {
			cmd := asNobody(t.Context(), dir, "doctor", "--json")
			cmd.Env = append(cmd.Env, quick)
			out, _ := cmd.Output() // other checks may have faults
			return findings(t, string(out))
		}
		f := p.expect(ofNobody(), "ports 443", doctor.Warning, "this machine does not allow it")
		p.fix(f)
		p.expect(ofNobody(), "ports 443", doctor.Fine, "free")
		p.expect(ofNobody(), "ports 80", doctor.Fine, "free")
	})

	t.Run("hosts file", func(t *testing.T) {
		p := p.within(t)
		saveFile(t, "/etc/hosts", "127.0.0.1 localhost\n10.1.2.3 shop.localhost\n")
		f := p.expect(p.doctor(quick), "names hosts file", doctor.Fault, "line 2 sends shop.localhost to 10.1.2.3")
		p.fix(f)
		p.absent(p.doctor(quick), "names hosts file")
		if text := readText(t, "/etc/hosts"); text != "127.0.0.1 localhost\n# 10.1.2.3 shop.localhost\n" {
			t.Errorf("the hosts file is %q", text)
		}
	})

	t.Run("proxy", func(t *testing.T) {
		p := p.within(t)
		const secret = "HTTPS_PROXY=http://ann:pa55word@proxy.example:8080"
		f := p.expect(p.doctor(quick, secret), "machine proxy", doctor.Fault, "HTTPS_PROXY is set, and NO_PROXY does not have localhost")
		p.fix(f)
		p.expect(p.doctor(quick, secret), "machine proxy", doctor.Fine, "covers the names")
		if out, err := p.run("devproxy doctor", quick, secret); err != nil || strings.Contains(out, "pa55word") {
			t.Errorf("%v: %s", err, out)
		}
	})

	t.Run("a dead upstream", func(t *testing.T) {
		p := p.within(t)
		dead := httptest.NewServer(http.NotFoundHandler())
		_, port, _ := strings.Cut(dead.Listener.Addr().String(), ":")
		dead.Close()
		saveFile(t, filepath.Join(p.dir, "Proxyfile"), "host \"shop.localhost\" {\n  upstream = "+port+"\n}\n")
		p.expect(p.doctor(quick), "project :"+port, doctor.Fault, "nothing listens on :"+port)
		// The dev server took another port.
		startTool(t, p.dir, "/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "18471")
		waitListening(t, "127.0.0.1:18471")
		f := p.expect(p.doctor(quick), "project :"+port, doctor.Fault, "listens on 18471")
		if f.Fix != "write 18471 at Proxyfile:2" {
			t.Errorf("the fix is %q", f.Fix)
		}
		saveFile(t, filepath.Join(p.dir, "Proxyfile"), "host \"shop.localhost\" {\n  upstream = 18471\n}\n")
		p.expect(p.doctor(quick), "project upstreams", doctor.Fine, ":18471 answers")
	})

	t.Run("two servers on a port", func(t *testing.T) {
		p := p.within(t)
		saveFile(t, filepath.Join(p.dir, "Proxyfile"), "host \"shop.localhost\" {\n  upstream = 18472\n}\n")
		startTool(t, p.dir, "/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "18472")
		other := startTool(t, shortDir(t), "/usr/bin/python3", "-m", "http.server", "--bind", "::1", "18472")
		waitListening(t, "127.0.0.1:18472")
		waitListening(t, "[::1]:18472")
		f := p.expect(p.doctor(quick), "project :18472", doctor.Warning, "two servers: python3")
		if f.Fix != fmt.Sprintf("kill %d", other.Process.Pid) {
			t.Errorf("the fix is %q, and the other server has pid %d", f.Fix, other.Process.Pid)
		}
		p.fix(f)
		_ = other.Wait() // killed
		p.expect(p.doctor(quick), "project upstreams", doctor.Fine, ":18472 answers")
	})

	t.Run("sockets of a killed devproxy", func(t *testing.T) {
		p := p.within(t)
		saveFile(t, filepath.Join(p.dir, "Proxyfile"), proxyfile)
		up := startBeside(t, p.place, p.dir, "up", "--json")
		up.ready = up.await("ready")
		p.expect(p.doctor(quick), "machine leftovers", doctor.Fine, "")
		up.kill()
		up.stopped = true
		_ = up.cmd.Wait()
		f := p.expect(p.doctor(quick), "machine leftovers", doctor.Warning, "killed")
		p.fix(f, quick)
		p.expect(p.doctor(quick), "machine leftovers", doctor.Fine, "")
	})

	t.Run("a stopped devproxy", func(t *testing.T) {
		p := p.within(t)
		up := startBeside(t, p.place, p.dir, "up", "--json")
		up.ready = up.await("ready")
		if err := up.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		f := p.expect(p.doctor(quick), fmt.Sprintf("ports pid %d", up.cmd.Process.Pid), doctor.Fault, "does not answer")
		p.fix(f)
		p.absent(p.doctor(quick), fmt.Sprintf("ports pid %d", up.cmd.Process.Pid))
		up.stop()
	})

	t.Run("roots of other tools", func(t *testing.T) {
		p := p.within(t)
		needTool(t, "openssl")
		const anchor = "/usr/local/share/ca-certificates/mkcert_development_CA_1.crt"
		if out, err := p.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null -subj '/O=mkcert development CA/CN=mkcert ann@host' -out " + anchor + " && update-ca-certificates"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		f := p.expect(p.doctor(quick), "machine mkcert", doctor.Warning, "its CA is in the system store")
		p.fix(f)
		p.absent(p.doctor(quick), "machine mkcert")
	})
}

// within is p for a subtest, with a shell of its own.
func (p *patient) within(t *testing.T) *patient {
	own := *p
	own.t = t
	return &own
}

// startTool runs a program in dir until the test ends.
func startTool(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd
}

// waitListening returns when something accepts connections on addr.
func waitListening(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
