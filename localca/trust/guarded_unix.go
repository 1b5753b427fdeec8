//go:build unix

package trust

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// maxLinks bounds the symbolic links on the way to one file, as Linux does.
const maxLinks = 40

// guarded returns nil when only root and the users in others can change what path leads
// to: every folder and link on the way belongs to one of them, and no one else can write
// there. The error names the first that fails.
func guarded(path string, others ...uint32) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s is not an absolute path", path)
	}
	at, rest, links := "/", strings.Split(path, "/"), 0
	for {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		if err := guardedEntry(at, info, others); err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(at)
			if err != nil {
				return err
			}
			if links++; links > maxLinks {
				return fmt.Errorf("%s: too many symbolic links", path)
			}
			rest = append(strings.Split(target, "/"), rest...)
			if at = filepath.Dir(at); filepath.IsAbs(target) {
				at = "/"
			}
		}
		if len(rest) == 0 {
			return nil
		}
		// at has no links in it, so ".." means its parent. An empty part and "." change
		// nothing.
		at, rest = filepath.Join(at, rest[0]), rest[1:]
	}
}

// guardedEntry checks one folder, file or link. In a folder with the sticky bit everyone
// may create names, and no one can change another user's.
func guardedEntry(path string, info fs.FileInfo, others []uint32) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("can't read the owner of %s", path)
	}
	if stat.Uid != 0 && !slices.Contains(others, stat.Uid) {
		return fmt.Errorf("%s belongs to the user with the id %d", path, stat.Uid)
	}
	mode := info.Mode()
	sticky := mode.IsDir() && mode&fs.ModeSticky != 0
	groups := mode&0o020 != 0 && stat.Gid != 0
	if mode&fs.ModeSymlink == 0 && !sticky && (groups || mode&0o002 != 0) {
		return fmt.Errorf("users other than its owner can write to %s", path)
	}
	return nil
}

// guardedProgram returns nil when root can run the JDK's program at path without running
// what another user wrote: the program itself, and the libraries and settings that it
// loads from the folders lib and conf next to its own.
func guardedProgram(path string) error {
	if err := guarded(path); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	home := filepath.Dir(filepath.Dir(real))
	for _, dir := range []string{"bin", "lib", "conf", "jre"} {
		err := filepath.WalkDir(filepath.Join(home, dir), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case os.IsNotExist(err) && path == filepath.Join(home, dir):
				return nil
			case err != nil:
				return err
			case strings.HasSuffix(entry.Name(), "cacerts"):
				return nil // the store to write, not code
			case entry.Type()&fs.ModeSymlink != 0:
				if err := guarded(path); !os.IsNotExist(err) {
					return err
				}
				return nil // a broken link loads nothing, and only root can change that
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			return guardedEntry(path, info, nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// privateDir makes a folder that only this user and root can change or replace. It uses
// TMPDIR only if that holds below it.
func privateDir() (string, error) {
	self := uint32(os.Geteuid())
	var why error
	for _, parent := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if why = guarded(parent, self); why == nil {
			return os.MkdirTemp(parent, "devproxy-")
		}
	}
	return "", fmt.Errorf("no folder for temporary files is writable by you alone (%w); set TMPDIR to one", why)
}
