package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// RuntimeDir is where instances keep their locks and sockets: below
// $XDG_RUNTIME_DIR, which belongs to the user alone, else in the temporary
// directory under the user's id. It need not exist; Acquire makes it.
// getenv is os.Getenv or a test's.
func RuntimeDir(getenv func(string) string) (string, error) {
	return runtimeDirOf(runtime.GOOS, os.Geteuid(), getenv)
}

func runtimeDirOf(goos string, uid int, getenv func(string) string) (string, error) {
	if goos == "windows" {
		// Its temporary directory is below this one, and is cleaned up.
		if dir := getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "devproxy", "run"), nil
		}
		return "", errors.New("there is no place for the control socket, as LocalAppData is not set; set it to a folder of yours")
	}
	// A path that is relative, or of a session that has ended, is none.
	if dir := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && isDir(dir) {
		if dir = filepath.Join(dir, "devproxy"); fits(dir) {
			return dir, nil
		}
	}
	name := "devproxy-" + strconv.Itoa(uid)
	if dir := getenv("TMPDIR"); filepath.IsAbs(dir) && isDir(dir) {
		if dir = filepath.Join(dir, name); fits(dir) {
			return dir, nil
		}
	}
	return filepath.Join("/tmp", name), nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// fits reports whether a socket in dir has a path short enough.
func fits(dir string) bool { return len(base(dir, ""))+len(socketSuffix) <= maxSocketPath }

// ensureDir makes dir, or makes sure that it is private already.
func ensureDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the runtime directory: %w; set XDG_RUNTIME_DIR to a folder of yours", err)
	}
	return checkDir(dir)
}

// checkDir makes sure that dir is a folder of this user's that nobody else can
// use: in a temporary directory anyone may have made it first, also as a link
// to a folder that is private indeed.
func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("cannot look at the runtime directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("the runtime directory %s is not a folder: remove it, or set XDG_RUNTIME_DIR to a folder of yours", dir)
	}
	return checkPrivate(dir, info)
}
