//go:build e2e

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ownHosts gives this goroutine's thread, and the processes that it starts, a hosts file of
// their own as a mount, and a C library that reads only that file. The thread ends with
// the goroutine.
func ownHosts(t *testing.T, text string) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"hosts": text, "nsswitch.conf": "passwd: files\nhosts: files\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(filepath.Join(dir, name), "/etc/"+name, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount("/etc/"+name, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
}

// The clients that a test runs; each gets one URL.
const (
	goClient = `package main

import ("fmt"; "io"; "net/http"; "os")

func main() {
	res, err := http.Get(os.Args[1])
	if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
	io.Copy(os.Stdout, res.Body)
}
`
	javaClient = `class Client {
	public static void main(String[] args) throws Exception {
		try (var in = new java.net.URL(args[0]).openStream()) { in.transferTo(System.out); }
	}
}
`
	pythonClient = `import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())`
	nodeClient   = `fetch(process.argv[1]).then(r => r.text()).then(console.log, e => { console.error(e.cause ?? e); process.exit(1) })`
)

// TestE2ENamesRealClients has the programs of this machine, which do not know *.localhost,
// reach a project on port 443 by its name after `devproxy names sync`.
func TestE2ENamesRealClients(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	const original = "127.0.0.1\tlocalhost\n::1\tlocalhost\n10.0.0.7 nas"
	ownHosts(t, original)
	put := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	dir := t.TempDir()
	put(filepath.Join(dir, "Proxyfile"), "host \"shop.localhost\" {\n  aliases = [\"www.shop.localhost\"]\n  respond = { status = 200, body = \"the shop\" }\n}\n"+
		"host \"api.shop.test\" { respond = { status = 200, body = \"the api\" } }\n")
	program := devproxyBinary(t)
	trusted := exec.CommandContext(t.Context(), program, "trust", "--domain", "shop.test", "--store", "chromium")
	trusted.Env = place.env
	if out, err := trusted.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	up := startBeside(t, place, dir, "up", "--json")
	up.ready = up.await("ready")
	run := func(argv ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		cmd.Env, cmd.Dir = place.env, dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
		}
		return string(out), err
	}
	must := func(argv ...string) string {
		t.Helper()
		out, err := run(argv...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}

	put(filepath.Join(dir, "client.go"), goClient)
	// Go's own resolver, and that of the C library.
	for cgo, tag := range map[string]string{"0": "netgo", "1": "netcgo"} {
		build := exec.CommandContext(t.Context(), "go", "build", "-tags", tag, "-o", filepath.Join(dir, tag), "client.go")
		build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED="+cgo, "GOFLAGS=", "GO111MODULE=off")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	put(filepath.Join(dir, "Client.java"), javaClient)
	must("keytool", "-importcert", "-noprompt", "-alias", "root", "-file", up.rootFile(), "-keystore", filepath.Join(dir, "roots.p12"), "-storetype", "PKCS12", "-storepass", "changeit")
	const url = "https://www.shop.localhost/"
	withTrust := []string{program, "env", "--"}
	clients := map[string][]string{
		"Node":   append(withTrust[:3:3], "node", "-e", nodeClient, url),
		"Python": append(withTrust[:3:3], "python3", "-c", pythonClient, url),
		"Go":     append(withTrust[:3:3], filepath.Join(dir, "netgo"), url),
		"cgo":    append(withTrust[:3:3], filepath.Join(dir, "netcgo"), url),
		"Java":   {"java", "-Djavax.net.ssl.trustStore=" + filepath.Join(dir, "roots.p12"), "-Djavax.net.ssl.trustStorePassword=changeit", "Client.java", url},
	}
	for name, argv := range clients {
		if out, err := run(argv...); err == nil {
			t.Errorf("%s finds the name already: %s", name, out)
		}
	}
	if out, err := run(program, "names", "--check"); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("names before: %v: %s", err, out)
	}
	before := inode(t, "/etc/hosts")
	must(program, "names", "sync", "--yes")
	if inode(t, "/etc/hosts") != before {
		t.Error("the mount was replaced")
	}
	clients["curl"] = append(withTrust[:3:3], "curl", "-sS", url)
	for name, argv := range clients {
		if out, err := run(argv...); err != nil || !strings.Contains(out, "the shop") {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
	// The other domain is on the shared port too, with its own CA.
	for _, client := range []string{"Node", "Python", "Go", "cgo", "curl"} {
		argv := append(clients[client][:len(clients[client])-1:len(clients[client])-1], "https://api.shop.test/")
		if out, err := run(argv...); err != nil || !strings.Contains(out, "the api") {
			t.Errorf("%s, the other domain: %q, %v", client, out, err)
		}
	}
	if out := must(program, "names", "--check"); strings.Count(out, "found, in the hosts file") != 4 {
		t.Errorf("names after: %s", out)
	}
	if out := must("getent", "ahosts", "shop.localhost"); !strings.Contains(out, "127.0.0.1") || !strings.Contains(out, "::1") {
		t.Errorf("getent: %s", out)
	}
	must(program, "names", "clean", "--yes")
	if text, err := os.ReadFile("/etc/hosts"); err != nil || string(text) != original {
		t.Errorf("after clean: %q, %v", text, err)
	}
}

// TestE2ENamesUnwritable has a hosts file on a read-only mount. The error says so, and
// nothing is left next to it.
func TestE2ENamesUnwritable(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	const original = "127.0.0.1 localhost\n"
	ownHosts(t, original)
	program := devproxyBinary(t)
	write := func() string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), program, "names", "write", "--user", "1000", "shop.localhost").CombinedOutput()
		if _, failed := errors.AsType[*exec.ExitError](err); !failed {
			t.Errorf("it was written: %v: %s", err, out)
		}
		return string(out)
	}
	if err := unix.Mount("", "/etc/hosts", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if out := write(); !strings.Contains(out, "/etc/hosts is on a read-only file system") {
		t.Errorf("read-only: %s", out)
	}
	if text, err := os.ReadFile("/etc/hosts"); err != nil || string(text) != original {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Lstat("/etc/.hosts.devproxy"); !os.IsNotExist(err) {
		t.Errorf("the new file is left: %v", err)
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}
