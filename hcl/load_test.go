package hcl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write creates a file and its folders.
func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const smallest = "host \"shop.localhost\" { upstream = 5173 }\n"

func TestFind(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "a", "b")
	top := write(t, filepath.Join(root, "Proxyfile"), smallest)
	write(t, filepath.Join(root, "Proxyfile.hcl"), smallest)
	second := write(t, filepath.Join(root, "a", "Proxyfile.hcl"), smallest)
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{root: top, filepath.Join(root, "a"): second, inner: second} {
		if got, err := Find(dir); err != nil || got != want {
			t.Errorf("Find(%s) = %s, %v; want %s", dir, got, err, want)
		}
	}
	// A folder named Proxyfile further up is not the Proxyfile of inner.
	if err := os.Mkdir(filepath.Join(root, "a", "Proxyfile"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(inner); err != nil || got != second {
		t.Errorf("below a folder named Proxyfile: %s, %v; want %s", got, err, second)
	}
	if got, err := Find(filepath.Join(root, "a")); err != nil || got != filepath.Join(root, "a", "Proxyfile") {
		t.Errorf("next to a folder named Proxyfile: %s, %v; want that folder", got, err)
	}
}

func TestFindNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Find(dir)
	var notFound *NotFoundError
	if !errors.As(err, &notFound) || notFound.Dir != dir || len(notFound.Looked) < 2 || notFound.Looked[0] != dir {
		t.Errorf("%#v", err)
	}
	var unreadable *FileError
	if _, err := Find(filepath.Join(dir, "none")); !errors.As(err, &unreadable) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that does not exist: %v", err)
	}
}

func TestLoadCannotRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(path("folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, path("large"), strings.Repeat("#", 10<<20))
	write(t, path("limit"), smallest+strings.Repeat("#", maxFileSize+1-len(smallest)))
	for name, want := range map[string]error{
		"missing": fs.ErrNotExist, "folder": ErrFolder, "large": ErrTooLarge, "limit": ErrTooLarge,
	} {
		file, diags, err := Load(path(name), Options{})
		var unreadable *FileError
		if !errors.Is(err, want) || !errors.As(err, &unreadable) || unreadable.Fix == "" || unreadable.Path != path(name) || len(diags) > 0 {
			t.Errorf("%s: %v, %v; want %v", name, err, diags, want)
		}
		if diff := cmp.Diff([]string{path(name), path(LocalName)}, file.Watch); diff != "" {
			t.Errorf("%s: watch (-want +got):\n%s", name, diff)
		}
	}
	write(t, path("just"), smallest+strings.Repeat("#", maxFileSize-len(smallest)))
	if _, diags, err := Load(path("just"), Options{}); err != nil || len(diags) > 0 {
		t.Errorf("a file of the largest size: %v %v", err, diags)
	}
	// A local file that exists must be readable.
	if err := os.Mkdir(path(LocalName), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(path("just"), Options{}); !errors.Is(err, ErrFolder) {
		t.Errorf("a folder named %s: %v", LocalName, err)
	}
}

func TestLoadNames(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "project", "Proxyfile"), smallest)
	for workDir, want := range map[string]string{
		"": path, dir: filepath.Join("project", "Proxyfile"), filepath.Dir(path): "Proxyfile",
		filepath.Join(dir, "project", "web"): filepath.Join("..", "Proxyfile"),
		"/" + strings.Repeat("x/", 200):      path,
	} {
		file, _, err := Load(path, Options{WorkDir: workDir})
		if err != nil || file.Hosts[0].Range.File != want || string(file.Sources[want]) != smallest {
			t.Errorf("from %q: %q, %v; want %q", workDir, file.Hosts[0].Range.File, err, want)
		}
		if file.Path != path || file.Dir != filepath.Dir(path) {
			t.Errorf("path %s, dir %s", file.Path, file.Dir)
		}
	}
}

func TestForPort(t *testing.T) {
	file := ForPort(5173, "shop.localhost")
	want, _ := decodeText("host \"shop.localhost\" { upstream = 5173 }", "")
	got, members := file.Hosts[0], file.Hosts[0].Upstream.Members
	if got.Name.Value != "shop.localhost" || file.Domain != want.Domain || got.Upstream.Text != want.Hosts[0].Upstream.Text {
		t.Errorf("%+v", got)
	}
	wanted := want.Hosts[0].Upstream.Members
	wanted[0].Range = Range{}
	if diff := cmp.Diff(wanted, members); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
