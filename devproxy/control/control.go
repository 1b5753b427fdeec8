// Package control is the running instance of a folder: one `devproxy up` holds
// the folder's lock and answers on its socket, and the other verbs talk to it
// there.
//
// Lock and socket lie in the runtime directory under a hash of the folder,
// since the path of a unix socket ends at 104 to 107 bytes. The lock file is
// never removed: whoever held its old inode would not exclude whoever makes
// the new one. The kernel releases the lock of a process that was killed, and
// the next instance replaces the socket it left behind.
package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// holderSuffix and the others make up an instance's file names.
const (
	lockSuffix   = ".lock"
	holderSuffix = ".json"
	socketSuffix = ".sock"
)

// maxSocketPath is the longest path of a unix socket on any system: 104 bytes
// with the final zero on macOS, 108 on Linux.
const maxSocketPath = 103

// Instance holds a folder's lock. Close releases it.
type Instance struct {
	holder Holder
	base   string // path of lock, socket and holder file without suffix
	lock   *flock.Flock
	ln     net.Listener // nil before Listen
}

// Acquire makes this process the one that runs folder. The error is a
// *HeldError when another one does.
func Acquire(runtimeDir, folder string) (*Instance, error) {
	folder, err := realFolder(folder)
	if err != nil {
		return nil, err
	}
	if err := ensureDir(runtimeDir); err != nil {
		return nil, err
	}
	in := &Instance{
		holder: Holder{PID: os.Getpid(), Folder: folder, Started: time.Now()},
		base:   base(runtimeDir, folder),
	}
	if len(in.base)+len(socketSuffix) > maxSocketPath {
		return nil, fmt.Errorf("the path of the control socket, %s, is longer than the %d bytes a socket may have; set XDG_RUNTIME_DIR to a shorter folder", in.base+socketSuffix, maxSocketPath)
	}
	in.lock = flock.New(in.base+lockSuffix, flock.SetPermissions(0o600))
	if err := in.take(); err != nil {
		return nil, err
	}
	if err := writeHolder(in.base, in.holder); err != nil {
		return nil, errors.Join(err, in.lock.Unlock())
	}
	return in, nil
}

const (
	// nameless is how long a lock may be held by somebody who has not said who
	// it is: an instance is between locking and writing, or between removing
	// and unlocking, for an instant only.
	nameless = time.Second
	// takePoll is between attempts meanwhile.
	takePoll = 10 * time.Millisecond
)

// take locks.
func (in *Instance) take() error {
	for deadline := time.Now().Add(nameless); ; time.Sleep(takePoll) {
		locked, err := in.lock.TryLock()
		if err != nil {
			return fmt.Errorf("cannot lock the folder: %w; set XDG_RUNTIME_DIR to a folder of yours that can be written to", err)
		}
		if locked {
			return nil
		}
		if holder, ok := readHolder(in.base); ok {
			return &HeldError{holder}
		}
		if time.Now().After(deadline) {
			return &HeldError{Holder{Folder: in.holder.Folder}}
		}
	}
}

// Close releases the folder. It may be called twice.
func (in *Instance) Close() error {
	if !in.lock.Locked() {
		return nil // what lies there now may be the next one's
	}
	err := os.Remove(in.base + holderSuffix)
	return errors.Join(err, in.lock.Unlock())
}

func base(runtimeDir, folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return filepath.Join(runtimeDir, hex.EncodeToString(sum[:8]))
}

// realFolder is folder without links, so that two ways to it are one.
func realFolder(folder string) (string, error) {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", fmt.Errorf("cannot find the folder %s: %w", abs, err)
	}
	return real, nil
}
