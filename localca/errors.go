package localca

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrNoCA is wrapped by the errors of [Load] when the folder has no usable CA: none was
// made yet, or it is broken. [Open] fixes both.
var ErrNoCA = errors.New("no usable local CA")

// NameError says why a name gets no leaf: it is not a valid name, or the root may not
// sign it.
type NameError struct {
	Name   string // as the caller gave it, of any length
	Reason string // continues the sentence "no certificate for NAME: "
}

// longestQuote limits how much a client can write into a log.
const longestQuote = 80

// Error is one sentence, in which a long name is cut off.
func (e *NameError) Error() string {
	return fmt.Sprintf("no certificate for %.*q: %s", longestQuote, e.Name, e.Reason)
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
	return &StoreError{Op: op, Path: path, Fix: fixFor(path, err), Err: err}
}

// fixFor returns the advice for an error of a folder.
func fixFor(path string, err error) string {
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

// FirstCA is the reason that [CA.Fresh] returns when no CA existed before.
const FirstCA = "none existed yet"
