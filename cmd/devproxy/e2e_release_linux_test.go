//go:build e2e

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v4"
)

const (
	// nfpm makes packages as goreleaser does, of which it is a part, and builds
	// much faster. It is the version that the goreleaser of the Makefile has.
	nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2"
	// releaseVersion is the version of the packages of these tests. It can't be that
	// of a checkout.
	releaseVersion = "987.6.5"
)

// releaseAssets is a folder with devproxy as a release has it, its manual and
// its completions.
func releaseAssets(t *testing.T) string {
	t.Helper()
	dir := shortDir(t)
	cmd := exec.Command(".ci/release/assets", filepath.Join(dir, "assets"), "v"+releaseVersion)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "assets")
}

// packageWith makes a package from the nfpms section of goreleaser's
// configuration, and returns its path.
func packageWith(t *testing.T, assets, packager string) string {
	t.Helper()
	config := readRelease(t).Nfpms[0]
	for _, key := range []string{"formats", "file_name_template", "bindir", "mtime"} { // goreleaser's own
		delete(config, key)
	}
	config["name"] = config["package_name"]
	delete(config, "package_name")
	config["version"], config["arch"], config["platform"] = releaseVersion, runtime.GOARCH, "linux"
	contents := config["contents"].([]any)
	for _, entry := range contents {
		entry := entry.(map[string]any)
		entry["src"] = strings.ReplaceAll(entry["src"].(string), "bin/release", assets)
		delete(entry["file_info"].(map[string]any), "mtime")
	}
	config["contents"] = append(contents, map[string]any{
		"src": filepath.Join(assets, "devproxy"), "dst": "/usr/bin/devproxy", "file_info": map[string]any{"mode": 0o755},
	})
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	saveFile(t, filepath.Join(dir, "nfpm.yaml"), string(text))
	path := filepath.Join(dir, "devproxy."+packager)
	cmd := exec.Command("go", "run", nfpm, "package", "--config", filepath.Join(dir, "nfpm.yaml"), "--packager", packager, "--target", path)
	cmd.Dir = "../.." // LICENSE is there
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nfpm: %v\n%s\nof\n%s", err, out, text)
	}
	return path
}

// cleanRoot is a folder with what dpkg needs of a machine, and a home of
// nobody's with a project.
func cleanRoot(t *testing.T) string {
	t.Helper()
	root := shortDir(t)
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "etc", "home/shop", "home/run"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"status", "available"} {
		saveFile(t, filepath.Join(root, "var/lib/dpkg", file), "")
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"home", "home/shop", "home/run"} {
		if err := os.Chown(filepath.Join(root, dir), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// listing is every file and folder of a root with its mode, but for dpkg's own
// records and the user's home.
func listing(t *testing.T, root string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path = strings.TrimPrefix(path, root)
		if path == "/home" || path == "/var/lib/dpkg" {
			return fs.SkipDir
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		list = append(list, fmt.Sprintf("%s %s", path, info.Mode()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// dpkg runs dpkg on root, which has no ldconfig and needs none.
func dpkg(t *testing.T, root string, args ...string) {
	t.Helper()
	cmd := exec.Command(needTool(t, "dpkg"), append([]string{"--root=" + root, "--log=/dev/null"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("dpkg %v: %v\n%s", args, err, out)
	}
}

// TestE2ERelease installs devproxy as people do: the packages of Linux and those
// of npm, made as a release makes them.
func TestE2ERelease(t *testing.T) {
	assets := releaseAssets(t)
	t.Run("rpm", func(t *testing.T) {
		t.Parallel()
		rpmInstalls(t, packageWith(t, assets, "rpm"))
	})
	t.Run("deb", func(t *testing.T) {
		t.Parallel()
		debInstalls(t, packageWith(t, assets, "deb"))
	})
	t.Run("npm", func(t *testing.T) {
		t.Parallel()
		npmInstalls(t, filepath.Join(assets, "devproxy"))
	})
}

// debInstalls installs a .deb in a root that has nothing else, runs it there as
// an ordinary user, and removes it.
func debInstalls(t *testing.T, deb string) {
	needTool(t, "dpkg")
	root := cleanRoot(t)
	// 443 and 5173 are free there. Nothing below needs the network.
	enterNamespace(t, "80")
	before := listing(t, root)
	dpkg(t, root, "--install", deb)
	installed := listing(t, root)

	for _, want := range []string{
		"/usr/bin/devproxy -rwxr-xr-x",
		"/usr/share/man/man1/devproxy.1.gz -rw-r--r--",
		"/usr/share/man/man1/devproxy-up.1.gz -rw-r--r--",
		// Where bash-completion, zsh and fish of Debian look for packages.
		"/usr/share/bash-completion/completions/devproxy -rw-r--r--",
		"/usr/share/zsh/vendor-completions/_devproxy -rw-r--r--",
		"/usr/share/fish/vendor_completions.d/devproxy.fish -rw-r--r--",
		"/usr/share/doc/devproxy/copyright -rw-r--r--",
	} {
		if !slices.Contains(installed, want) {
			t.Errorf("the package does not install %s", want)
		}
	}
	t.Run("version", func(t *testing.T) {
		out, err := inRoot(t.Context(), root, "version").Output()
		if want := fmt.Sprintf("devproxy v%s linux/%s ", releaseVersion, runtime.GOARCH); err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("devproxy version: %v, %s", err, out)
		}
		// Sources without a repository, as in an archive, have no commit.
		head, err := exec.Command("git", "rev-parse", "HEAD").Output()
		if err != nil {
			return
		}
		out, err = inRoot(t.Context(), root, "version", "--json").Output()
		if err != nil || !strings.Contains(string(out), `"commit":"`+strings.TrimSpace(string(head))+`"`) {
			t.Errorf("devproxy version --json: %v, %s, want the commit %s", err, out, head)
		}
	})
	t.Run("man", func(t *testing.T) { manShows(t, filepath.Join(root, "usr/share/man")) })
	t.Run("completions", func(t *testing.T) { completionsLoad(t, root) })
	// Not a subtest: it must stay on the thread that is in the namespace.
	upInRoot(t, root)

	dpkg(t, root, "--remove", "devproxy") // the package has no conffiles to purge
	if after := listing(t, root); !slices.Equal(after, before) {
		t.Errorf("after removal there is\n%q, before installation\n%q", after, before)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "var/lib/dpkg/info/devproxy.*")); len(left) > 0 {
		t.Errorf("dpkg still has %q", left)
	}
}

// inRoot is the installed devproxy in the project of nobody, who has nothing
// but root.
func inRoot(ctx context.Context, root string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/usr/bin/devproxy", args...)
	cmd.Dir = "/home/shop"
	cmd.Env = []string{"HOME=/home", "XDG_RUNTIME_DIR=/home/run", "PATH=/usr/bin", "NO_COLOR=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

// upInRoot runs `devproxy up 5173` and gets a page from it, over HTTPS with
// the CA that it has made.
func upInRoot(t *testing.T, root string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:5173")
	if err != nil {
		t.Fatal(err)
	}
	upstream := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })}
	go upstream.Serve(ln)
	t.Cleanup(func() { upstream.Close() })

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	up := inRoot(ctx, root, "up", "5173", "--json")
	var said bytes.Buffer
	up.Stderr = &said
	out, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	u := &upProcess{t: t, events: make(chan upEvent, maxEvents)}
	go u.read(out)
	ready := u.await("ready")
	if !slices.Equal(ready.URLs, []string{"https://shop.localhost"}) {
		t.Errorf("up says %s\n%s", ready.Line, said.String())
	}
	roots := rootsOf(t, filepath.Join(root, "home/.local/share/devproxy/root.pem"))
	conn, err := tls.Dial("tcp", "127.0.0.1:443", &tls.Config{RootCAs: roots, ServerName: "shop.localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n")
	if body := readBody(t, conn); body != "hello" {
		t.Errorf("the page is %q", body)
	}
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	for range u.events { // until standard output is closed
	}
	if err := up.Wait(); err != nil {
		t.Errorf("up ends with %v\n%s", err, said.String())
	}
}

// manShows has man find the pages below a folder by their names.
func manShows(t *testing.T, folder string) {
	for page, want := range map[string]string{
		"devproxy":             "EXIT STATUS\n       0      Done.\n",
		"devproxy-up":          "devproxy up 5173\n",
		"devproxy-relay-login": "DEVPROXY_RELAY_TOKEN",
	} {
		cmd := exec.Command(needTool(t, "man"), "--warnings", "--manpath", folder, page)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=80", "MANPAGER=cat")
		var text, warnings bytes.Buffer
		cmd.Stdout, cmd.Stderr = &text, &warnings
		if err := cmd.Run(); err != nil || warnings.Len() > 0 || !strings.Contains(text.String(), want) {
			t.Errorf("man %s: %v\n%s\n%s", page, err, warnings.String(), text.String())
		}
	}
}

// completionsLoad has bash read its file, and holds how zsh and fish know
// theirs.
func completionsLoad(t *testing.T, root string) {
	share := filepath.Join(root, "usr/share")
	out, err := exec.Command(needTool(t, "bash"), "-c", `source "$1" && complete -p devproxy`, "bash", filepath.Join(share, "bash-completion/completions/devproxy")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " devproxy\n") {
		t.Errorf("bash: %v\n%s", err, out)
	}
	for path, want := range map[string]string{
		"zsh/vendor-completions/_devproxy":        "#compdef devproxy\n",
		"fish/vendor_completions.d/devproxy.fish": "complete -c devproxy ",
	} {
		if text := readText(t, filepath.Join(share, path)); !strings.Contains(text, want) {
			t.Errorf("%s does not have %q", path, want)
		}
	}
}

// rpmInstalls reads what an .rpm installs from its header. rpm itself is not
// needed.
func rpmInstalls(t *testing.T, path string) {
	t.Helper()
	text := readText(t, path)
	for _, want := range []string{"/usr/share/man/man1/", "devproxy-up.1.gz", "/usr/share/zsh/site-functions/", "/usr/share/bash-completion/completions/", "/usr/share/fish/vendor_completions.d/", "/usr/share/licenses/devproxy/", "nss-tools"} {
		if !strings.Contains(text, want) {
			t.Errorf("the header of the .rpm does not have %s", want)
		}
	}
	if strings.Contains(text, "vendor-completions/_devproxy") {
		t.Error("the .rpm installs files of Debian's")
	}
}
