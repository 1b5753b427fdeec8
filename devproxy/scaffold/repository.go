package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxFile is the longest file that is read, in bytes: far longer than any
	// configuration that people write.
	maxFile = 1 << 20
	// maxRead limits the bytes that are read of all files together.
	maxRead = 32 << 20
	// maxDepth is how many folders deep the walk goes: apps/web/ of a monorepo.
	maxDepth = 3
	// maxEntries limits the walk, which must not hang on a home folder.
	maxEntries = 20_000
)

// repository is the folder that is read. Every file is opened through root, which
// no symbolic link can leave.
type repository struct {
	root  *os.Root
	files []string        // by name, shallow folders first
	has   map[string]bool // the same, and folders
	texts map[string][]byte
	read  int                          // bytes
	env   map[string]map[string]string // variables by folder
	notes *notes
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

// walk lists the files level by level, so that a large folder does not hide the
// ones next to it.
func (r *repository) walk() {
	for queue := []string{"."}; len(queue) > 0; {
		dir := queue[0]
		folders, whole := r.list(dir)
		if !whole {
			r.notes.add(Note{File: dir, Text: "too many files; the rest was not read"})
			return
		}
		if queue = queue[1:]; len(parents(dir)) <= maxDepth {
			queue = append(queue, folders...)
		}
	}
}

// list adds the files of a folder, and returns the folders in it. whole is false
// if maxEntries is reached.
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
			if !skippedFolder.MatchString(entry.Name()) || keptFolder.MatchString(entry.Name()) {
				folders = append(folders, name)
			}
		}
	}
	return folders, true
}

var (
	// skippedFolder matches folders of dependencies, of build output and of tests,
	// whose servers are not the project's.
	skippedFolder = regexp.MustCompile(`^([._].*|(test|tests|e2e|testing)[-_].*|.*(-e2e|[-_]tests)|` +
		`node_modules|bower_components|vendor|venv|env|site-packages|Pods|dist|build|out|target|tmp|logs?|coverage|public|static|` +
		`tests?|e2e|cypress|playwright|specs?|testdata|fixtures|mocks|examples?|samples|templates|benchmarks|contrib)$`)
	keptFolder = regexp.MustCompile(`^\.(vitepress|storybook|devcontainer)$`)
)

// named returns the files whose base name is one of names, or matches one such as
// "*.py".
func (r *repository) named(names ...string) []string {
	return slices.DeleteFunc(slices.Clone(r.files), func(file string) bool {
		return !slices.ContainsFunc(names, func(name string) bool {
			matches, _ := path.Match(name, path.Base(file))
			return matches
		})
	})
}

// folders returns the folders that have a file with one of the base names.
func (r *repository) folders(names ...string) []string {
	found := r.named(names...)
	for i, file := range found {
		found[i] = path.Dir(file)
	}
	return slices.Compact(found) // the files of a folder are next to each other
}

// in returns the first of names that is a file in folder; empty if there is none.
// Names may lead into folders that the walk skips.
func (r *repository) in(folder string, names ...string) string {
	for _, name := range names {
		if file := path.Join(folder, name); r.has[file] || strings.Contains(name, "/") && r.has[r.deep(file)] {
			return file
		}
	}
	return ""
}

// deep returns file. It makes a regular file known that the walk did not reach.
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

// script returns the first of names that is a file in folder, with an extension
// of JavaScript or TypeScript; empty if there is none.
func (r *repository) script(folder string, names ...string) string {
	for _, name := range names {
		for _, ext := range scriptExtensions {
			if file := r.in(folder, name+ext); file != "" {
				return file
			}
		}
	}
	return ""
}

var scriptExtensions = []string{".ts", ".js", ".mjs", ".mts", ".cjs", ".cts"}

// text returns a file's content; empty if it does not exist. A file that cannot
// be read, or is larger than maxFile, becomes a note.
func (r *repository) text(file string) []byte {
	if text, done := r.texts[file]; done || !r.has[file] {
		return text
	}
	text, err := r.load(file)
	if err != nil {
		r.notes.add(Note{File: file, Text: err.Error()})
	}
	r.texts[file] = text
	return text
}

var errUnreadable = errors.New("it can't be read")

func (r *repository) load(file string) ([]byte, error) {
	if r.read > maxRead {
		return nil, errors.New("too many large files; this one was not read")
	}
	f, err := r.root.Open(file)
	if err != nil {
		return nil, errUnreadable
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errUnreadable
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	r.read += len(text)
	switch {
	case err != nil:
		return nil, errUnreadable
	case len(text) > maxFile:
		return nil, fmt.Errorf("it is larger than %d KiB and was not read", maxFile>>10)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil // editors on Windows write a byte order mark
}

// contains reports whether file has one of words in it.
func (r *repository) contains(file string, words ...string) bool {
	text := string(r.text(file))
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// number returns the first group of pattern in file that is a port, and its line.
func (r *repository) number(file string, pattern *regexp.Regexp) (port, line int) {
	text := string(r.text(file))
	for _, m := range pattern.FindAllStringSubmatchIndex(text, 20) {
		for g := 2; g+1 < len(m); g += 2 {
			if m[g] < 0 {
				continue
			}
			if port = portOf(text[m[g]:m[g+1]]); port != 0 {
				return port, lineAt(text, m[0])
			}
		}
	}
	return 0, 0
}

// firstNumber returns the port that pattern matches in the first of the files in
// folder that has one.
func (r *repository) firstNumber(folder string, names []string, pattern *regexp.Regexp) (port int, file string, line int) {
	for _, name := range names {
		file = path.Join(folder, name)
		if port, line = r.number(r.deep(file), pattern); port != 0 {
			return port, file, line
		}
	}
	return 0, "", 0
}

// lineAt returns the line, from 1, of an offset in text.
func lineAt(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }

// lineOf returns the line, from 1, in which part first occurs; 0 if it does not.
func lineOf(text, part string) int {
	if i := strings.Index(text, part); i >= 0 {
		return lineAt(text, i)
	}
	return 0
}

// parents returns folder and those above it, up to the project's own.
func parents(folder string) []string {
	all := []string{folder}
	for folder != "." && folder != "/" {
		folder = path.Dir(folder)
		all = append(all, folder)
	}
	return all
}
