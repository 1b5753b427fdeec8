// Package scaffold is `devproxy init`: it reads the files of other tools in a
// folder and writes the Proxyfile that says the same. It runs nothing of what
// it reads.
package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Found is a file that said something.
type Found struct {
	File string // relative to the folder, with slashes
	Text string // "port 5173, server.proxy \"/api\" -> localhost:3000"
}

// Note is what could not be carried over, and where it stands.
type Note struct {
	File string
	Line int // from 1; 0 means the whole file
	Text string
}

// Result is what a folder holds.
type Result struct {
	Found []Found
	Notes []Note
	// Text is the Proxyfile, formatted; nil when nothing here names a server.
	Text []byte
	// Host is the name that the project has, NAME.localhost.
	Host string
}

// Read looks through dir, absolute, and the folders in it, and makes a
// Proxyfile of what it finds. The error is about dir itself; a file that
// cannot be read or understood is a Note.
func Read(dir string) (*Result, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the folder: %w", err)
	}
	defer root.Close()
	s := &scan{root: root, draft: &draft{}}
	s.walk(".", 0)
	s.draft.project = label(s.projectName(filepath.Base(dir)))
	for _, read := range readers() {
		for _, file := range s.files {
			if read.takes(base(file)) {
				s.read(file, read)
			}
		}
	}
	s.draft.settle()
	return s.draft.result(), nil
}

// reader turns one kind of file into hosts.
type reader struct {
	takes func(name string) bool
	read  func(s *scan, file string, text []byte)
}

// readers are in the order of who wins: what names hosts itself, then what
// configures a dev server, then what starts one, then what runs beside it.
func readers() []reader {
	return []reader{
		{named(".slim.yaml", ".slim.yml"), readSlim},
		{named(".localias.yaml"), readLocalias},
		{named("portless.json"), readPortless},
		{named("Caddyfile"), readCaddy},
		{isViteConfig, readVite},
		{named("package.json"), readPackage},
		{named("Procfile.dev", "Procfile"), readProcfile},
		{isCompose, readCompose},
	}
}

func named(names ...string) func(string) bool {
	return func(name string) bool {
		for _, n := range names {
			if n == name {
				return true
			}
		}
		return false
	}
}

func (s *scan) read(file string, r reader) {
	text, err := s.text(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.draft.note(file, 0, err.Error())
	default:
		r.read(s, file, text)
	}
}

// ErrExists is of Write: there is a Proxyfile, and it is left alone.
var ErrExists = errors.New("it is there already")

// Write makes path with text in it. It never overwrites: the error is then
// ErrExists. A file that could not be written whole is removed.
func Write(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return fmt.Errorf("cannot make it: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("cannot write it: %w", err), os.Remove(path))
	}
	return nil
}
