package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

const (
	// maxFile is the longest file that is read, in bytes: a configuration that
	// people write is far below it.
	maxFile = 1 << 20
	// maxRead bounds the bytes that are read of all files together.
	maxRead = 32 << 20
	// maxDepth is how many folders deep the walk goes: apps/web/ of a monorepo.
	maxDepth = 3
	// maxEntries bounds the walk: a home folder by mistake must not hang.
	maxEntries = 20_000
)

// repository is the folder that is read. Everything is opened through root,
// which no symbolic link leads out of.
type repository struct {
	root  *os.Root
	files []string        // by name, shallow folders first
	has   map[string]bool // the same, and folders
	texts map[string][]byte
	read  int // bytes
	env   map[string]map[string]string
	notes *notes
}

// skipped are folders with other people's files, with what tools make, and with
// tests, whose servers are not the project's.
func skipped(name string) bool {
	if strings.HasPrefix(name, "_") {
		return true
	}
	if strings.HasPrefix(name, ".") {
		return !slices.Contains([]string{".vitepress", ".storybook", ".devcontainer"}, name)
	}
	for _, word := range []string{"test", "tests", "e2e", "testing"} {
		if strings.HasPrefix(name, word+"-") || strings.HasPrefix(name, word+"_") {
			return true
		}
	}
	if strings.HasSuffix(name, "-e2e") || strings.HasSuffix(name, "-tests") || strings.HasSuffix(name, "_tests") {
		return true
	}
	return slices.Contains([]string{
		"node_modules", "bower_components", "vendor", "venv", "env", "site-packages", "__pycache__", "Pods",
		"dist", "build", "out", "target", "tmp", "log", "logs", "coverage", "public", "static",
		"test", "tests", "e2e", "cypress", "playwright", "spec", "specs", "__tests__", "testdata", "fixtures", "__fixtures__", "mocks",
		"examples", "example", "samples", "templates", "benchmarks", "contrib",
	}, name)
}

func openRepository(dir string) (*repository, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the folder: %w", err)
	}
	r := &repository{root: root, has: map[string]bool{}, texts: map[string][]byte{}, env: map[string]map[string]string{}, notes: &notes{}}
	r.walk()
	return r, nil
}

func (r *repository) close() { _ = r.root.Close() }

// walk lists the files, level by level, so that a large folder does not hide the
// ones next to it.
func (r *repository) walk() {
	level := []string{"."}
	for depth := 0; depth <= maxDepth; depth++ {
		var next []string
		for _, dir := range level {
			folders, whole := r.list(dir)
			if !whole {
				r.notes.add(Note{File: dir, Text: "too many files; the rest was not read"})
				return
			}
			next = append(next, folders...)
		}
		level = next
	}
}

// list takes the files of a folder, and returns the folders in it. whole is
// false when maxEntries was reached.
func (r *repository) list(dir string) (folders []string, whole bool) {
	f, err := r.root.Open(dir)
	if err != nil {
		return nil, true
	}
	list, err := f.ReadDir(maxEntries)
	_ = f.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		r.notes.add(Note{File: dir, Text: "the folder can't be read"})
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, entry := range list {
		if len(r.has) >= maxEntries {
			return nil, false
		}
		name := path.Join(dir, entry.Name())
		switch {
		case entry.Type().IsRegular():
			r.files = append(r.files, name)
			r.has[name] = true
		case entry.IsDir():
			r.has[name] = true
			if !skipped(entry.Name()) {
				folders = append(folders, name)
			}
		}
	}
	return folders, true
}

// named returns the files with one of the base names.
func (r *repository) named(names ...string) []string {
	return r.matching(func(base string) bool { return slices.Contains(names, base) })
}

func (r *repository) matching(takes func(base string) bool) []string {
	var found []string
	for _, file := range r.files {
		if takes(path.Base(file)) {
			found = append(found, file)
		}
	}
	return found
}

// in returns the first of names that is a file in folder; empty for none. Names
// may lead into folders that the walk leaves out.
func (r *repository) in(folder string, names ...string) string {
	for _, name := range names {
		if file := path.Join(folder, name); r.has[file] || strings.Contains(name, "/") && r.has[r.deep(file)] {
			return file
		}
	}
	return ""
}

// deep makes a regular file known that the walk did not reach. It returns its
// argument.
func (r *repository) deep(file string) string {
	if !r.has[file] && len(r.has) < 2*maxEntries {
		if info, err := r.root.Lstat(file); err == nil && info.Mode().IsRegular() {
			r.has[file] = true
		}
	}
	return file
}

// isFolder reports whether name is a folder, and not a link to one.
func (r *repository) isFolder(name string) bool {
	info, err := r.root.Lstat(name)
	return err == nil && info.IsDir()
}

// script returns the file NAME.js, NAME.ts and so on in folder; empty for none.
func (r *repository) script(folder string, names ...string) string {
	for _, name := range names {
		for _, ext := range []string{".ts", ".js", ".mjs", ".mts", ".cjs", ".cts"} {
			if file := r.in(folder, name+ext); file != "" {
				return file
			}
		}
	}
	return ""
}

// folders returns the folders that have a file for which takes is true, in the
// order of files.
func (r *repository) folders(names ...string) []string {
	var found []string
	for _, file := range r.named(names...) {
		if dir := path.Dir(file); !slices.Contains(found, dir) {
			found = append(found, dir)
		}
	}
	return found
}

// text is a file's content, empty when there is none. What cannot be read, or is
// larger than maxFile, is a note.
func (r *repository) text(file string) []byte {
	if text, done := r.texts[file]; done || !r.has[file] {
		return text
	}
	text, err := r.load(file)
	if err != nil {
		r.notes.add(Note{File: file, Text: err.Error()})
		text = nil
	}
	r.texts[file] = text
	return text
}

func (r *repository) load(file string) ([]byte, error) {
	if r.read > maxRead {
		return nil, errors.New("too many large files; this one was not read")
	}
	f, err := r.root.Open(file)
	if err != nil {
		return nil, errors.New("it can't be read")
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("it can't be read")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	r.read += len(text)
	if err != nil {
		return nil, errors.New("it can't be read")
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("it is larger than %d KiB and was not read", maxFile>>10)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil // editors of Windows write a byte order mark
}

// contains reports whether file has one of words in it.
func (r *repository) contains(file string, words ...string) bool {
	text := string(r.text(file))
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// json reads JSON, with comments and trailing commas where people write them.
func (r *repository) json(file string) (javascript.Value, bool) {
	return javascript.ParseJSON(r.text(file))
}

// javascript reads a file that exports a configuration, in which variables have
// the values of the environment files next to it, and those of a command.
func (r *repository) javascript(file string, command map[string]string) *javascript.Program {
	return javascript.Parse(r.text(file), func(name string) (string, bool) {
		if v, set := command[name]; set {
			return v, true
		}
		return r.variable(path.Dir(file), name)
	})
}
