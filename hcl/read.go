package hcl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFileSize bounds a Proxyfile. The largest real one is some kilobytes; a
// file of more is something else under that name.
const maxFileSize = 1 << 20

// LocalName is the name of the file beside a Proxyfile that is merged over it.
const LocalName = "Proxyfile.local"

// fileNames are the names of a Proxyfile, the first wins.
func fileNames() []string { return []string{"Proxyfile", "Proxyfile.hcl"} }

// What a path can be instead of a file to read; FileError wraps them.
var (
	ErrFolder     = errors.New("it is a folder")
	ErrNotRegular = errors.New("it is not a regular file")
	ErrForeign    = errors.New("it belongs to another user")
	ErrTooLarge   = fmt.Errorf("it is larger than %d KiB", maxFileSize>>10)
)

// NotFoundError says that there is no Proxyfile in a folder or above it.
type NotFoundError struct {
	Dir    string   // where the search began, absolute
	Looked []string // the folders searched, nearest first
}

func (e *NotFoundError) Error() string {
	if len(e.Looked) < 2 {
		return fmt.Sprintf("no Proxyfile in %s", e.Dir)
	}
	return fmt.Sprintf("no Proxyfile in %s or a folder above it", e.Dir)
}

// FileError says that a file of the language cannot be read. It wraps
// fs.ErrNotExist, fs.ErrPermission, ErrFolder, ErrNotRegular, ErrForeign or ErrTooLarge,
// or another error of the system.
type FileError struct {
	Path string // absolute
	Err  error
	// Fix is the command or edit that helps; empty where none is known.
	Fix string
}

func (e *FileError) Error() string { return fmt.Sprintf("cannot read %s: %v", e.Path, e.Err) }

// Unwrap gives the reason.
func (e *FileError) Unwrap() error { return e.Err }

// Find is the absolute path of the Proxyfile, or Proxyfile.hcl, of dir or its
// nearest parent that has one. A folder of that name counts in dir itself
// only, where Load refuses it: further up it is somebody's checkout.
//
// The error is a *NotFoundError, or what the system says of dir.
func Find(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("cannot tell which folder %s is: %w", dir, err)
	}
	if info, err := os.Stat(dir); err != nil {
		return "", newFileError(dir, err)
	} else if !info.IsDir() {
		return "", &FileError{Path: dir, Err: errors.New("it is not a folder"), Fix: "name the folder that holds the Proxyfile, or use -f FILE"}
	}
	notFound := &NotFoundError{Dir: dir}
	for at := dir; ; at = filepath.Dir(at) {
		notFound.Looked = append(notFound.Looked, at)
		for _, name := range fileNames() {
			path := filepath.Join(at, name)
			info, err := os.Stat(path)
			if err == nil && (at == dir || !info.IsDir()) {
				return path, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				// It is there and cannot be looked at: Load says why.
				return path, nil
			}
		}
		if at == filepath.Dir(at) {
			return "", notFound
		}
	}
}

// readFile reads the file at path, which is absolute and has at most
// maxFileSize bytes. The error is a *FileError.
func readFile(path string) ([]byte, error) {
	// Looked at before it is opened: opening a named pipe would wait for a
	// writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, newFileError(path, err)
	}
	if info.IsDir() {
		return nil, newFileError(path, ErrFolder)
	}
	if !info.Mode().IsRegular() {
		return nil, newFileError(path, ErrNotRegular)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, newFileError(path, err)
	}
	defer file.Close()
	if err := checkOwner(path, file); err != nil {
		return nil, err
	}
	// The size that Stat gave is not to be relied on: files grow.
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, newFileError(path, err)
	}
	if len(text) > maxFileSize {
		return nil, newFileError(path, ErrTooLarge)
	}
	return text, nil
}

func newFileError(path string, err error) *FileError {
	// The text of a PathError would name the path a second time.
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	e := &FileError{Path: path, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Fix = "check the name; without -f the Proxyfile of this folder or of one above it is taken"
	case errors.Is(err, fs.ErrPermission):
		e.Fix = "make it readable: chmod u+r " + path
	case errors.Is(err, ErrFolder):
		e.Fix = "a Proxyfile is a text file: rename the folder, or name another file with -f FILE"
	case errors.Is(err, ErrNotRegular):
		e.Fix = "put the text into a plain file, and name that with -f FILE"
	case errors.Is(err, ErrForeign):
		e.Fix = "read it first; if you trust it, make it yours: sudo chown -h \"$(id -un)\" '" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	case errors.Is(err, ErrTooLarge):
		e.Fix = "a Proxyfile is a short text: is this another file of that name? name the right one with -f FILE"
	}
	return e
}
