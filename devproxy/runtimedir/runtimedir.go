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
		return fmt.Errorf("cannot make the runtime directory: %w; set XDG_RUNTIME_DIR to one of your folders", err)
	}
	return Check(dir)
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
