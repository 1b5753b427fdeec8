// Package control represents the running instance of a folder: one `devproxy
// up` holds the folder's lock and answers on its socket, and the other verbs
// talk to it there.
//
// Lock and socket are in the runtime directory under a hash of the folder,
// since the path of a unix socket ends at 104 to 107 bytes. The lock file is
// never removed: a process with its old inode would not exclude one that makes
// a new file. The kernel releases the lock of a process that was killed, and
// the next instance replaces the socket it left.
package control

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/devproxy/devproxy/devproxy/runtimedir"
	"github.com/devproxy/devproxy/localca"
)

// The suffixes of an instance's files.
const (
	lockSuffix   = ".lock"
	holderSuffix = ".json"
	socketSuffix = ".sock"
)

// Instance holds a folder's lock. Close releases it.
type Instance struct {
	holder Holder
	base   string // path of lock, socket and holder file without suffix
	lock   *flock.Flock
	ln     net.Listener // nil before Listen

	readTimeout time.Duration // of requests
}

// Acquire makes this process the one that runs folder. The error is a
// *HeldError when another one does.
func Acquire(runtimeDir, folder string) (*Instance, error) {
	folder, err := realFolder(folder)
	if err != nil {
		return nil, err
	}
	if err := runtimedir.Ensure(runtimeDir); err != nil {
		return nil, err
	}
	in := &Instance{
		holder: Holder{PID: os.Getpid(), Folder: folder, Started: time.Now()},
		base:   base(runtimeDir, folder),

		readTimeout: readTimeout,
	}
	if path := in.base + socketSuffix; len(path) > runtimedir.MaxSocketPath {
		return nil, fmt.Errorf("the path of the control socket, %s, is longer than the %d bytes a socket may have; set XDG_RUNTIME_DIR to a shorter folder", path, runtimedir.MaxSocketPath)
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
	// nameless is how long a lock may be held without a holder file: an instance
	// is between locking and writing, or between removing and unlocking, only for
	// an instant.
	nameless = time.Second
	// takePoll is the pause between attempts during that time.
	takePoll = 10 * time.Millisecond
)

// take locks.
func (in *Instance) take() error {
	for deadline := time.Now().Add(nameless); ; time.Sleep(takePoll) {
		locked, err := in.lock.TryLock()
		if err != nil {
			return runtimedir.WriteError("lock the folder", filepath.Dir(in.base), err)
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
		return nil // the files may be the next instance's by now
	}
	err := errors.Join(in.removePublicURLs(), os.Remove(in.base+holderSuffix))
	return errors.Join(err, in.lock.Unlock())
}

func base(runtimeDir, folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return filepath.Join(runtimeDir, hex.EncodeToString(sum[:8]))
}

// realFolder is folder without links, so that two paths to it are the same.
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

// Holder is the process that runs a folder. Its file is next to the lock and not
// the lock itself, since on Windows no other process can read a locked file.
type Holder struct {
	PID     int       `json:"pid"`
	Folder  string    `json:"folder"`
	Started time.Time `json:"started"`
}

// HeldError says that another process runs the folder.
type HeldError struct {
	// Holder is that process. Its PID is 0 while its file is not written.
	Holder Holder
}

func (e *HeldError) Error() string {
	text := "devproxy is already running in " + e.Holder.Folder
	if e.Holder.PID != 0 {
		text += fmt.Sprintf(" (pid %d)", e.Holder.PID)
	}
	return text
}

func writeHolder(base string, holder Holder) error {
	text, err := json.Marshal(holder)
	if err != nil {
		return err
	}
	if err := localca.WriteFile(base+holderSuffix, text, 0o600); err != nil {
		return runtimedir.WriteError("write the process id", filepath.Dir(base), err)
	}
	return nil
}

// maxHolder bounds a holder file: a pid, a time and a path.
const maxHolder = 64 << 10

// readHolder returns the last holder of the lock. ok is false without one, or
// when its process has ended.
func readHolder(base string) (holder Holder, ok bool) {
	f, err := os.Open(base + holderSuffix)
	if err != nil {
		return Holder{}, false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHolder))
	if err != nil || json.Unmarshal(text, &holder) != nil || !alive(holder.PID) {
		return Holder{}, false
	}
	return holder, true
}

// List returns every instance of this user that answers, by folder.
func List(runtimeDir string) ([]Holder, error) {
	all, err := bases(runtimeDir, holderSuffix)
	var running []Holder
	for _, base := range all {
		client, err := dial(context.Background(), base)
		if err == nil && client.holder.PID != 0 {
			running = append(running, client.holder)
		}
	}
	slices.SortFunc(running, func(a, b Holder) int { return cmp.Compare(a.Folder, b.Folder) })
	return running, err
}

// bases returns the paths without suffix of the files with this suffix, including those
// of instances that have ended.
func bases(runtimeDir, suffix string) ([]string, error) {
	if err := runtimedir.Check(runtimeDir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	// Not a pattern of the whole path, which may contain "[".
	files, err := fs.Glob(os.DirFS(runtimeDir), "*"+suffix)
	for i, name := range files {
		files[i] = filepath.Join(runtimeDir, strings.TrimSuffix(name, suffix))
	}
	return files, err
}
