//go:build e2e

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// containerServer is the program in the containers. "/" answers with the container's
// name; "/sick" and "/well" decide what the health check says.
const containerServer = `package main

import (
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
)

func main() {
	const health = "http://127.0.0.1:8000/health"
	if len(os.Args) > 1 {
		response, err := http.Get(health)
		if err != nil || response.StatusCode != http.StatusOK {
			fmt.Println("the server is sick")
			os.Exit(1)
		}
		return
	}
	name, _ := os.Hostname()
	var sick atomic.Bool
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) })
	http.HandleFunc("/sick", func(w http.ResponseWriter, r *http.Request) { sick.Store(true) })
	http.HandleFunc("/well", func(w http.ResponseWriter, r *http.Request) { sick.Store(false) })
	http.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		if sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	if err := http.ListenAndServe(":8000", nil); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
`

// podman is Podman as root, with everything that it keeps in mounts of the test. Only
// a test on a machine of its own may use it: its networks and mounts go with it.
type podman struct {
	t      *testing.T
	socket string
	server *exec.Cmd
}

// newPodman returns a Podman with the image "server". Its API is not served yet.
func newPodman(t *testing.T) *podman {
	t.Helper()
	for _, tool := range []string{"podman", "runc", "iptables", "podman-compose"} {
		needTool(t, tool)
	}
	for _, dir := range []string{"/run", "/var/lib/containers", "/var/lib/cni"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			t.Fatalf("mount %s: %v", dir, err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	// It works without systemd and without the right to raise limits.
	saveFile(t, "/etc/containers/containers.conf", fmt.Sprintf(`[containers]
default_ulimits = ["nofile=%d:%[1]d", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "netavark"
`, min(files.Max, 1024)))
	saveFile(t, "/etc/containers/storage.conf", "[storage]\ndriver = \"vfs\"\nrunroot = \"/run/containers/storage\"\ngraphroot = \"/var/lib/containers/storage\"\n")

	p := &podman{t: t, socket: "/run/podman/podman.sock"}
	t.Cleanup(func() {
		p.stop()
		p.run("rm", "--all", "--force", "--time", "0")
		removeCgroups()
	})
	dir := shortDir(t)
	saveFile(t, filepath.Join(dir, "main.go"), containerServer)
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "server"), filepath.Join(dir, "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.image(dir, "server", "")
	return p
}

// image makes an image with the program server of dir and these lines.
func (p *podman) image(dir, name, lines string) {
	p.t.Helper()
	saveFile(p.t, filepath.Join(dir, "Containerfile"), `FROM scratch
COPY server /server
EXPOSE 8000
HEALTHCHECK --interval=1h --retries=1 CMD ["/server", "check"]
`+lines+`
CMD ["/server"]
`)
	p.run("build", "--format", "docker", "--isolation", "chroot", "--tag", "localhost/"+name, dir)
}

// run runs podman, which must succeed.
func (p *podman) run(args ...string) string {
	p.t.Helper()
	out, err := p.try("podman", args...)
	if err != nil {
		p.t.Errorf("podman %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// try runs a program and returns what it printed.
func (p *podman) try(name string, args ...string) (string, error) {
	p.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.WaitDelay = 5 * time.Second
	var out outputBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

// compose runs podman-compose in dir.
func (p *podman) compose(dir string, args ...string) {
	p.t.Helper()
	cmd := exec.Command("podman-compose", args...)
	cmd.Dir, cmd.WaitDelay = dir, 5*time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("podman-compose %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// serve starts the API.
func (p *podman) serve() {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.socket), 0o700); err != nil {
		p.t.Fatal(err)
	}
	p.server = exec.Command("podman", "system", "service", "--time", "0", "unix://"+p.socket)
	p.server.Stderr, p.server.WaitDelay = os.Stderr, 5*time.Second
	if err := p.server.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends the API. The containers go on.
func (p *podman) stop() {
	if p.server == nil {
		return
	}
	_ = p.server.Process.Kill() // it may have ended
	_ = p.server.Wait()
	p.server = nil
	_ = os.Remove(p.socket) // as systemd does
}

// removeCgroups removes the empty cgroups that Podman leaves without systemd.
func removeCgroups() {
	for _, pattern := range []string{"/sys/fs/cgroup/*/libpod_parent", "/sys/fs/cgroup/libpod_parent"} {
		tops, _ := filepath.Glob(pattern) // the pattern is valid
		for _, top := range tops {
			below, _ := filepath.Glob(top + "/*") // files stay, and don't keep the folder
			for _, dir := range append(below, top) {
				// The monitor of a container ends a moment after it.
				for late := time.Now().Add(patience); syscall.Rmdir(dir) == syscall.EBUSY && time.Now().Before(late); {
					time.Sleep(10 * time.Millisecond)
				}
			}
		}
	}
}
