package journal

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

func TestFileKeepsOneOldFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	for run := range 3 {
		f, err := Create(dir, "shop")
		must(t, err)
		fmt.Fprintf(f, "run %d\n", run)
		must(t, f.Close())
		must(t, f.Close())
	}
	path := Path(dir, "shop")
	if got := contents(t, path) + contents(t, path+".1"); got != "run 2\nrun 1\n" {
		t.Errorf("the files have %q", got)
	}
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) != 2 {
		t.Errorf("%d files", len(files))
	}
	if runtime.GOOS == "windows" {
		return
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, path: 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

func TestFileIsBounded(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(dir, "shop")
	must(t, err)
	defer f.Close()
	line := strings.Repeat("x", 1<<16-1) + "\n"
	for range 3*maxFile/len(line) - 16 { // three files, the last not full
		_, err := f.Write([]byte(line))
		must(t, err)
	}
	for _, path := range []string{f.Name(), f.Name() + ".1"} {
		if n := len(contents(t, path)); n > maxFile || n < maxFile/2 {
			t.Errorf("%s has %d bytes", path, n)
		}
	}
}

// TestOpen reads all of the last run, and nothing of the run before.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	read := func() []string {
		t.Helper()
		r, err := Open(dir, "shop")
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
		return strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	run := func(name string, files int) {
		t.Helper()
		f, err := Create(dir, "shop")
		must(t, err)
		defer f.Close()
		filler := strings.Repeat("x", 1<<16) + "\n"
		for i := range files {
			fmt.Fprintf(f, "%s %d\n", name, i)
			for range maxFile/len(filler) - 1 {
				_, err := f.Write([]byte(filler))
				must(t, err)
			}
			_, err := f.Write([]byte(filler[:1<<15] + "\n")) // less than another begin leaves room for
			must(t, err)
		}
		fmt.Fprintf(f, "end of %s\n", name)
	}
	for _, c := range []struct {
		name        string
		files       int
		first, last string
	}{
		{"short", 0, "end of short", "end of short"},
		{"long", 2, "long 0\n", "end of long"},
		{"short again", 0, "end of short again", "end of short again"},
	} {
		run(c.name, c.files)
		lines := read()
		if lines[0] != c.first || lines[len(lines)-1] != c.last {
			t.Errorf("%s: from %.20q to %.20q", c.name, lines[0], lines[len(lines)-1])
		}
	}
	run("longer", 5)
	for _, line := range read() {
		if strings.HasPrefix(line, "(") {
			t.Errorf("shown: %q", line)
		}
	}
	must(t, os.Remove(Path(dir, "shop")+".1"))
	if lines := read(); lines[len(lines)-1] != "end of longer" {
		t.Errorf("%.20q", lines[len(lines)-1])
	}
}

func TestOldFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"old.log", "old.log.1", "new.log", "notes.txt"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		if name != "new.log" {
			long := time.Now().Add(-maxAge - time.Hour)
			must(t, os.Chtimes(filepath.Join(dir, name), long, long))
		}
	}
	f, err := Create(dir, "shop")
	must(t, err)
	must(t, f.Close())
	left, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, entry := range left {
		names = append(names, entry.Name())
	}
	if got := strings.Join(names, " "); got != "new.log notes.txt shop.log" {
		t.Errorf("left are %s", got)
	}
}
