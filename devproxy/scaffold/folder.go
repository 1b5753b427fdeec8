package scaffold

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

const (
	// maxFile is the longest file that is read, in bytes: a configuration that
	// people write is far below it.
	maxFile = 1 << 20
	// maxDepth is how many folders deep is looked: apps/web/ of a monorepo.
	maxDepth = 3
	// maxEntries bounds the walk: a home folder by mistake must not hang.
	maxEntries = 5000
)

// scan is one look through a folder. Everything is opened through root, which
// no symbolic link leads out of.
type scan struct {
	root    *os.Root
	files   []string // what readers may take; shallow ones first
	entries int
	draft   *draft
	apps    map[string]bool // folders whose dev server is known
	names   map[string]string
}

// skipped are folders with other people's files, or with what tools make.
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") ||
		slices.Contains([]string{"node_modules", "vendor", "dist", "build", "out", "target", "testdata", "fixtures", "examples", "tmp", "log", "coverage"}, name)
}

func (s *scan) walk(dir string, depth int) {
	f, err := s.root.Open(dir)
	if err != nil {
		return
	}
	list, err := f.ReadDir(maxEntries)
	_ = f.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		s.draft.note(dir, 0, "the folder cannot be read")
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	var folders []string
	for _, entry := range list {
		if s.entries++; s.entries > maxEntries {
			if s.entries == maxEntries+1 {
				s.draft.note(dir, 0, "too many files; what comes after was not looked at")
			}
			return
		}
		name := path.Join(dir, entry.Name())
		switch {
		case entry.Type().IsRegular():
			s.take(name)
		case entry.IsDir() && depth < maxDepth && !skipped(entry.Name()):
			folders = append(folders, name)
		}
	}
	for _, folder := range folders {
		s.walk(folder, depth+1)
	}
}

func (s *scan) take(file string) {
	for _, r := range readers() {
		if r.takes(base(file)) {
			s.files = append(s.files, file)
			return
		}
	}
}

func base(file string) string { return path.Base(file) }

// text is a file's content. It reads no more than maxFile.
func (s *scan) text(file string) ([]byte, error) {
	f, err := s.root.Open(file)
	if err != nil {
		return nil, errors.New("it cannot be read")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, errors.New("it cannot be read")
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("it is larger than %d KiB and was not read", maxFile>>10)
	}
	return text, nil
}

// lineAt is the line, from 1, of a place in text.
func lineAt(text []byte, offset int) int {
	return 1 + strings.Count(string(text[:min(max(offset, 0), len(text))]), "\n")
}
