package hostsfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/failure"
)

const (
	// lockWait bounds the wait for another process that writes the same file.
	lockWait = 10 * time.Second
	// lockPoll is the pause between two attempts.
	lockPoll = 20 * time.Millisecond
)

// Read returns the content of a hosts file. A file that does not exist is an error: the
// programs of this machine would not read it.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening it: a named pipe would wait
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxFile:
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxFile>>20)
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")), bytes.IndexByte(text, 0) >= 0:
		return nil, failure.Errorf("save it as UTF-8 without a byte order mark", "%s is not UTF-8 or ASCII, so no program reads its names", path)
	}
	return text, nil
}

// Write replaces the block of user in the file at path by one with these names, and
// removes it without names. changed is false if the file already had them. Write follows
// symbolic links and keeps the owner, the mode and the extended attributes of the file.
//
// Two processes never write at once. Write replaces the file by a rename, so that readers
// see the old or the new file. Where that is impossible, it writes into the file: a
// container's hosts file is a mount, a folder can be read-only, and a file can have
// several names (hard links). Then only the end of the file from the first changed byte is
// written, in one call, and a reader never sees half a line of the user's.
func Write(ctx context.Context, path, user string, names []string) (changed bool, err error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false, err
	}
	if strings.HasPrefix(real, "/nix/store/") {
		return false, failure.Errorf("set networking.hosts there", "NixOS builds %s from its configuration", path)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lock, err := acquire(ctx, real)
	if err != nil {
		return false, err
	}
	defer lock.release()
	old, err := Read(real)
	if err != nil {
		return false, err
	}
	text, err := Edit(old, user, names)
	if err != nil || bytes.Equal(text, old) {
		return false, err
	}
	if err := lock.replace(real, text); err != nil {
		if err := overwrite(real, old, text); err != nil {
			return false, explain(real, err)
		}
	}
	return true, nil
}

// errInPlace means that the file must be written in place.
var errInPlace = errors.New("the file can't be replaced")

// overwrite writes text into the file that has the content old. Both begin alike, so only
// the rest is written. If the file becomes shorter, empty lines take the place of what is
// then cut off, so that readers in between see whole lines.
func overwrite(path string, old, text []byte) error {
	same := 0
	for same < min(len(old), len(text)) && old[same] == text[same] {
		same++
	}
	rest := text[same:]
	if missing := len(old) - len(text); missing > 0 {
		rest = append(bytes.Clone(rest), bytes.Repeat([]byte("\n"), missing)...)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(rest, int64(same))
	if err != nil {
		// A full disk: what was there before fits.
		_, undo := f.WriteAt(old[same:], int64(same))
		return errors.Join(err, undo, f.Truncate(int64(len(old))), f.Close())
	}
	return errors.Join(f.Truncate(int64(len(text))), f.Sync(), f.Close())
}

// explain adds what helps against a file that even its owner cannot write.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() == 0:
		return failure.Errorf("lsattr "+path+" shows an i for an immutable file: sudo chattr -i "+path, "can't write %s as root either: %w", path, err)
	case isReadOnly(err):
		return failure.Errorf("write the names where this system makes the file, for a container with --add-host", "%s is on a read-only file system", path)
	}
	return err
}
