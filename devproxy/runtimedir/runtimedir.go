// Package runtimedir is the user's runtime directory: where running instances
// keep their locks and sockets, for this user's processes alone.
package runtimedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"github.com/devproxy/devproxy/devproxy/failure"
)

const (
	// MaxSocketPath is the longest path of a unix socket on any system: 104 bytes
	// with the final zero on macOS, 108 on Linux.
	MaxSocketPath = 103
	// MaxName is the longest name of a socket that fits in the folder that Path
	// returns.
	MaxName = 24
)

// Path is the runtime directory: below $XDG_RUNTIME_DIR, which belongs to the
// user alone, else in the temporary directory under the user's id. It need not
// exist; see Ensure. getenv is os.Getenv or a test's.
func Path(getenv func(string) string) (string, error) {
	return pathOf(runtime.GOOS, os.Geteuid(), getenv)
}

func pathOf(goos string, uid int, getenv func(string) string) (string, error) {
	if goos == "windows" {
		// Its temporary directory is below this one, and is cleaned up.
		if dir := getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "devproxy", "run"), nil
		}
		return "", errors.New("no place for the control socket: LocalAppData is not set; set it to one of your folders")
	}
	name := "devproxy-" + strconv.Itoa(uid)
	for _, dir := range []string{under(getenv("XDG_RUNTIME_DIR"), "devproxy"), under(getenv("TMPDIR"), name)} {
		if dir != "" {
			return dir, nil
		}
	}
	return filepath.Join("/tmp", name), nil
}

// under is name in dir; empty if dir is relative or missing, as it is after a session
// has ended, or if the path would be too long for a socket.
func under(dir, name string) string {
	info, err := os.Stat(dir)
	path := filepath.Join(dir, name)
	if !filepath.IsAbs(dir) || err != nil || !info.IsDir() || len(path)+len("/")+MaxName > MaxSocketPath {
		return ""
	}
	return path
}

// Ensure makes dir, or makes sure that it is private already.
func Ensure(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return WriteError("make the runtime directory", dir, err)
	}
	return Check(dir)
}

// WriteError is the error of a file or socket that could not be made in dir. It says what
// that would have done ("lock the folder"), names dir instead of the file, and has a fix.
func WriteError(doing, dir string, err error) error {
	fix := "set XDG_RUNTIME_DIR to a folder that you can write to"
	number, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return failure.Errorf(fix, "cannot %s: %w", doing, err)
	}
	if number == syscall.ENOSPC || number == syscall.EDQUOT {
		fix = "free some space there, or set XDG_RUNTIME_DIR to a folder on another disk"
	}
	return failure.Errorf(fix, "cannot %s: %s: %w", doing, dir, number)
}

// Check makes sure that dir is a folder of this user's that no one else can
// use: in a temporary directory anyone may have made it first, even as a link
// to a folder that is private. The error is fs.ErrNotExist if there is none.
func Check(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("cannot look at the runtime directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("the runtime directory %s is not a folder: remove it, or set XDG_RUNTIME_DIR to one of your folders", dir)
	}
	return checkPrivate(dir, info)
}
