package localca

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// The files of a CA: the certificate, the key (PKCS #8), and a lock that is held while they
// are written. A version that makes roots of another kind must use other names, or each
// version would replace the other's root.
const (
	filePrefix = "root"
	rootFile   = filePrefix + ".pem"
	keyFile    = filePrefix + "-key.pem"
	lockFile   = filePrefix + ".lock"
)

const (
	// lockWait is how long to wait for another process that writes. That takes
	// milliseconds; a process that takes so long is stopped or stuck.
	lockWait = 10 * time.Second
	// lockPoll is how often the lock is tried: file locks have no deadline.
	lockPoll = 10 * time.Millisecond
)

// store is the folder of a CA, whose path is absolute.
type store struct {
	dir      string
	domain   string // to which its root is constrained
	now      func() time.Time
	lockWait time.Duration
	steps    steps
}

func (s store) path(name string) string { return filepath.Join(s.dir, name) }

func (s store) newCA(key *ecdsa.PrivateKey, root *x509.Certificate, reason string) *CA {
	return &CA{root: root, key: key, domain: s.domain, file: s.path(rootFile), reason: reason, now: s.now}
}

// open is Open. It takes the lock only to write, so that a good CA opens from a read-only
// folder too.
func (s store) open() (*CA, error) {
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	found, err := s.readTight()
	if err != nil {
		return nil, err
	}
	if found.fault != "" {
		unlock, err := s.lock()
		if err != nil {
			return nil, err
		}
		defer unlock()
		// Another process may have written the root while this one waited.
		if found, err = s.readTight(); err != nil {
			return nil, err
		}
	}
	if found.fault != "" {
		return s.repair(found)
	}
	return s.newCA(found.key, found.root, ""), nil
}

func (s store) makeDir() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return storeError("make the folder", s.dir, err)
	}
	if err := tightenDir(s.dir); err != nil {
		if explained, ok := errors.AsType[*StoreError](err); ok {
			return explained
		}
		return storeError("read the folder", s.dir, err)
	}
	return nil
}

// readTight is read for a caller that may change modes.
func (s store) readTight() (found, error) {
	if err := tightenKey(s.path(keyFile)); err != nil {
		return found{}, storeError("make private (chmod 600)", s.path(keyFile), err)
	}
	return s.read()
}

// lock keeps other processes from writing until unlock is called. The file stays: if it
// were removed, a third process could lock another of the same name.
func (s store) lock() (unlock func(), err error) {
	path := s.path(lockFile)
	unlock, err = lockWithin(s.lockWait, path)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, &StoreError{
			Op: "lock", Path: path, Err: fmt.Errorf("another process has held it for %s", s.lockWait),
			Fix: fmt.Sprintf("end that process (lsof %q shows it), then try again", path),
		}
	case err != nil:
		return nil, storeError("lock", path, err)
	}
	return unlock, nil
}

// Lock keeps other processes from locking the file at path until unlock is called. It
// waits for one that has locked it.
func Lock(path string) (unlock func(), err error) { return lockWithin(lockWait, path) }

func lockWithin(wait time.Duration, path string) (unlock func(), err error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, err
	}
	// The end of the process would release it too, so a failure does not matter.
	return func() { lock.Close() }, nil
}

// StoreError is a failure to read, write or lock the folder of the CA.
type StoreError struct {
	Op   string // "read", "write", "lock" ...
	Path string // absolute
	Fix  string // the fix, one clause; never empty
	Err  error  // never nil
}

// Error is one sentence that ends with the fix.
func (e *StoreError) Error() string {
	return fmt.Sprintf("can't %s %s: %s; %s", e.Op, e.Path, e.Err, e.Fix)
}

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// storeError explains err. It replaces a path inside err by path: the name of a temporary
// file means nothing to the user.
func storeError(op, path string, err error) *StoreError {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	} else if inner, ok := errors.AsType[*os.LinkError](err); ok {
		err = inner.Err
	}
	return &StoreError{Op: op, Path: path, Fix: FixFor(path, err), Err: err}
}

// FixFor returns the advice for an error of a file or folder in $DEVPROXY_HOME, one clause.
func FixFor(path string, err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free some space there, or set a folder on another disk in " + HomeVariable
	case errors.Is(err, syscall.EROFS):
		return "set a writable folder in " + HomeVariable
	case errors.Is(err, syscall.ENOTDIR):
		return "a file is where a folder should be: move it, or set another folder in " + HomeVariable
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("check its owner with ls -ld %q (a run with sudo may have made it), or set another folder in %s", path, HomeVariable)
	default:
		return "if that persists, set another folder in " + HomeVariable
	}
}

// repair makes the missing parts of a good root. It keeps a good key: where the
// old root is still trusted, so are the new root's leaves. The caller holds the
// lock.
//
// The order makes it safe to stop anywhere. All files are complete on the disk before
// anything changes. Then the old ones are renamed, and the key gets its name before the
// root does. The next Open handles every state in between.
func (s store) repair(f found) (*CA, error) {
	sweep(s.path(keyFile))
	sweep(s.path(rootFile))
	var files []*stagedFile
	defer func() {
		for _, file := range files {
			file.discard()
		}
	}()
	key := f.key
	if key == nil {
		var err error
		if key, err = newKey(); err != nil {
			return nil, fmt.Errorf("make the key of a root: %w", err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("make the key of a root: %w", err)
		}
		if files, err = s.stage(files, keyFile, encodePEM(keyBlock, der), 0o600); err != nil {
			return nil, err
		}
	}
	root, err := signRoot(key, s.now(), s.domain)
	if err != nil {
		return nil, fmt.Errorf("make a root: %w", err)
	}
	// The certificate is public, and readable so that it can be copied.
	if files, err = s.stage(files, rootFile, encodePEM(certificateBlock, root.Raw), 0o644); err != nil {
		return nil, err
	}
	kept, err := s.replace(files)
	if err != nil {
		return nil, err
	}
	return s.newCA(key, root, f.fault+kept), nil
}

// stage adds a file to files that is complete but not yet under its name.
func (s store) stage(files []*stagedFile, name string, data []byte, perm fs.FileMode) ([]*stagedFile, error) {
	file, err := s.steps.stage(s.path(name), data, perm)
	if err != nil {
		return files, storeError("write", s.path(name), err)
	}
	return append(files, file), nil
}

// replace gives the staged files their names, after renaming the files that have these
// names. kept says to what, for the end of a sentence.
func (s store) replace(files []*stagedFile) (kept string, err error) {
	var names []string
	for _, file := range files {
		name, err := s.moveAside(file.path)
		if err != nil {
			return "", storeError("move aside", file.path, err)
		}
		if name != "" {
			names = append(names, name)
		}
	}
	for _, file := range files {
		if err := file.commit(); err != nil {
			return "", storeError("write", file.path, err)
		}
	}
	if len(names) > 0 {
		kept = "; the old files are kept as " + strings.Join(names, " and ")
	}
	return kept, nil
}

// moveAside renames a file that is about to be replaced, since the user may still need it. It
// returns the new name; empty if the file does not exist.
func (s store) moveAside(path string) (name string, err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err := s.steps.at("move aside " + path); err != nil {
		return "", err
	}
	aside := path + ".aside-" + s.now().UTC().Format("20060102T150405")
	for free := aside; ; free += "+" {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return filepath.Base(free), os.Rename(path, free)
		} else if err != nil {
			return "", err
		}
	}
}
