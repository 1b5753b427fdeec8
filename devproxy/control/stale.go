package control

import (
	"context"
	"os"
)

// Left is what an instance has left that was killed.
type Left struct {
	// Lock is the path of the lock file. It stays: who removes the others holds it.
	Lock string
	// Files are the paths to remove.
	Files []string
}

// Stale returns what instances have left that were killed. The next instance of the
// folder replaces it.
func Stale(runtimeDir string) ([]Left, error) {
	all, err := bases(runtimeDir, lockSuffix)
	var stale []Left
	for _, base := range all {
		if files := staleFiles(base); len(files) > 0 {
			stale = append(stale, Left{Lock: base + lockSuffix, Files: files})
		}
	}
	return stale, err
}

// staleFiles returns the socket and the holder file at base if no process has them. The
// socket of the front has no holder file.
func staleFiles(base string) (files []string) {
	if _, running := readHolder(base); running {
		return nil
	}
	c := &Client{base: base}
	if !isGone(c.try(context.Background())) {
		return nil
	}
	for _, suffix := range []string{socketSuffix, holderSuffix} {
		if _, err := os.Lstat(base + suffix); err == nil {
			files = append(files, base+suffix)
		}
	}
	return files
}
