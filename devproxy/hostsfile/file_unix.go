//go:build unix

package hostsfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/devproxy/devproxy/devproxy/failure"
)

const systemEnding = "\n"

// Path is the hosts file of this machine.
func Path() string { return "/etc/hosts" }

// lock is held by one writer of a hosts file. It is the new file, before that gets the
// name of the hosts file: only its owner can open it, so no other user can hold the lock.
// Where no file can be made in the folder, the lock is on the hosts file.
type lock struct {
	file *os.File
	path string // of the new file; empty if the lock is on the hosts file
}

// acquire takes the lock for the hosts file at path.
func acquire(ctx context.Context, path string) (*lock, error) {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".devproxy")
	for {
		l, err := tryAcquire(path, temp)
		if err != nil {
			return nil, explain(path, err)
		}
		if l != nil {
			return l, nil
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return nil, failure.Errorf("try again in a moment", "another process has been writing %s for %v", path, lockWait)
		}
	}
}

// tryAcquire returns nil if another process has the lock.
func tryAcquire(path, temp string) (*lock, error) {
	l := &lock{path: temp}
	var err error
	l.file, err = os.OpenFile(temp, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err == nil && !ownFile(l.file) {
		l.file.Close()
		return nil, failure.Errorf("remove that file", "%s is in the way: another user has made it", temp)
	}
	if err != nil {
		l.path = ""
		if l.file, err = os.Open(path); err != nil {
			return nil, err
		}
	}
	err = unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		l.file.Close()
		return nil, nil
	case err != nil:
		l.file.Close()
		return nil, fmt.Errorf("can't lock %s: %w", path, err)
	}
	// The writer before may have renamed or removed the file since it was opened.
	now, err := os.Stat(path)
	if l.path != "" {
		now, err = os.Lstat(l.path)
	}
	opened, statErr := l.file.Stat()
	if err != nil || statErr != nil || !os.SameFile(now, opened) {
		l.file.Close()
		return nil, nil
	}
	return l, nil
}

// ownFile reports whether this process's user owns a regular file that has no other
// name. It has none at all if the writer before has removed it since it was opened.
func ownFile(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && int(stat.Uid) == os.Geteuid() && stat.Nlink <= 1
}

// replace writes text to the new file and gives it the name of the hosts file. After an
// error nothing has changed.
func (l *lock) replace(path string, text []byte) error {
	if l.path == "" {
		return errInPlace
	}
	old, err := os.Open(path)
	if err != nil {
		return err
	}
	defer old.Close()
	info, err := old.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Nlink != 1 {
		return errInPlace
	}
	if err := l.file.Truncate(0); err != nil { // of a writer that was killed
		return err
	}
	if _, err := l.file.WriteAt(text, 0); err != nil {
		return err
	}
	if err := l.file.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
		return err
	}
	if err := l.file.Chmod(info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)); err != nil {
		return err
	}
	if err := copyAttributes(old, l.file); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(l.path, path); err != nil {
		return err
	}
	l.path = "" // it has the name of the hosts file now
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync() // some file systems cannot
		dir.Close()
	}
	return nil
}

// release gives the lock back. A new file that did not become the hosts file is removed
// while it is still locked.
func (l *lock) release() {
	if l.path != "" {
		os.Remove(l.path)
	}
	l.file.Close()
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
