package programs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// install puts an empty program into a folder, and returns its path.
func install(t *testing.T, folder, name string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// realDir is a new folder, links followed.
func realDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func joined(folders ...string) string {
	return strings.Join(folders, string(filepath.ListSeparator))
}

// TestFind has programs in the folder of a project, on PATH in every way that leads there.
func TestFind(t *testing.T) {
	project, system := realDir(t), realDir(t)
	bin := filepath.Join(project, "node_modules", ".bin")
	inside, outside := install(t, bin, "node"), install(t, system, "node")
	install(t, project, "curl")
	links := realDir(t)
	if err := os.Symlink(inside, filepath.Join(links, filepath.Base(inside))); err != nil {
		t.Skip(err) // Windows without the right
	}
	folderLink := filepath.Join(realDir(t), "bin")
	if err := os.Symlink(bin, folderLink); err != nil {
		t.Fatal(err)
	}
	t.Chdir(project)
	for _, test := range []struct {
		path string
		name string
		want string
		err  error
	}{
		{joined(bin, system), "node", outside, nil},
		{joined(folderLink, links, system), "node", outside, nil},
		{joined(".", "node_modules/.bin", "", system), "node", outside, nil},
		{joined(bin), "node", "", ErrInside},
		{joined(folderLink), "node", "", ErrInside},
		{joined(links), "node", "", ErrInside},
		{joined(".", "node_modules/.bin", ""), "node", "", exec.ErrNotFound},
		{joined("."), "curl", "", exec.ErrNotFound},
		{joined(system), "./curl", "", exec.ErrNotFound},
		{joined(system), "node_modules/.bin/node", "", exec.ErrNotFound},
		{joined(system), "", "", exec.ErrNotFound},
		{"", inside, "", ErrInside},
		{"", outside, outside, nil},
	} {
		got, err := NewPath(test.path, project).Find(test.name)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%q in %q is %q (%v), want %q (%v)", test.name, test.path, got, err, test.want, test.err)
		}
	}
	if got, err := NewPath(bin).Find("node"); got != inside || err != nil {
		t.Errorf("without a project: %q (%v)", got, err)
	}
	path := NewPath(joined(".", bin, folderLink, system, "", filepath.Join(system, "missing")), project)
	if got := path.String(); got != joined(system) {
		t.Errorf("programs get the PATH %q", got)
	}
	if got := path.Environment([]string{"A=b", "PATH=.", "PATHS=x"}); !slices.Equal(got, []string{"A=b", "PATHS=x", "PATH=" + system}) {
		t.Errorf("the environment is %q", got)
	}
}

// TestAsRoot has each of the programs that become root.
func TestAsRoot(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has none of them")
	}
	for installed, want := range map[string]string{
		"sudo su doas run0": "sudo rm '/a b'",
		"su doas run0":      "doas rm '/a b'",
		"su run0":           "run0 rm '/a b'",
		"su":                `su -c 'rm '\''/a b'\'''`,
		"":                  "sudo rm '/a b'",
	} {
		folder := realDir(t)
		for name := range strings.FieldsSeq(installed) {
			install(t, folder, name)
		}
		path := NewPath(folder)
		if got := path.RootLine("rm", "/a b"); got != want {
			t.Errorf("with %q: %s, want %s", installed, got, want)
		}
		if got := path.AsRoot("rm"); installed == "" && !slices.Equal(got, []string{"rm"}) {
			t.Errorf("with none: %q", got)
		}
	}
}

func TestLine(t *testing.T) {
	for want, argv := range map[string][]string{
		"sudo env A=/home/x/.b devproxy": {"sudo", "env", "A=/home/x/.b", "devproxy"},
		`'A=/home/it'\''s me' '' 'a;b'`:  {"A=/home/it's me", "", "a;b"},
		"'$(x)' '~' 'é' '*'":             {"$(x)", "~", "é", "*"},
		"09AZaz-_=+,./:@%":               {"09AZaz-_=+,./:@%"},
		"'[' '`' '{' ';' '!' 'a b'":      {"[", "`", "{", ";", "!", "a b"}, // next to letters and digits in ASCII, and others
	} {
		if got := Line(argv); got != want {
			t.Errorf("Line(%q) = %s, want %s", argv, got, want)
		}
	}
}
