package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/devproxy/devproxy/localca"
)

// maxText is the longest text that standard input may have, in bytes: what a
// file may have too.
const maxText = 1 << 20

// readInput reads standard input.
func readInput(r io.Reader) ([]byte, error) {
	src, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err == nil && len(src) > maxText {
		err = fmt.Errorf("it is longer than %d KiB", maxText>>10)
	}
	return src, err
}

// write puts the formatted text in the file's place, whole or not at all. A
// link stays one, and the mode stays what it is. A file that its owner made
// read-only is not replaced, although the folder would allow it.
func (f *formatted) write() error {
	target, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return writeFailure(f.name, err)
	}
	info, err := os.Stat(target)
	if err != nil {
		return writeFailure(f.name, err)
	}
	if info.Mode().Perm()&0o200 == 0 {
		return writeFailure(f.name, fs.ErrPermission)
	}
	if err := localca.WriteFile(target, f.after, info.Mode().Perm()); err != nil {
		return writeFailure(f.name, err)
	}
	return nil
}

// writeFailure says why a file was not written, and what would help.
func writeFailure(name string, err error) error {
	// The text of a PathError would name the temporary file.
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	fix := "the file is as it was; free some space, or format it elsewhere: devproxy fmt - <" + name
	if errors.Is(err, fs.ErrPermission) {
		fix = "make it and its folder writable: chmod u+w " + name + " " + filepath.Dir(name)
	}
	return failf(fix, "cannot write %s: %w", name, err)
}
