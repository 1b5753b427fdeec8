package localca

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrNoCA is wrapped by the errors of [Load] when the folder holds no CA that
// can be used: none was made yet, or what is there is broken. [Open] cures both.
var ErrNoCA = errors.New("no usable local CA")

// NameError says why a name gets no leaf: it is no name at all, or the root may
// not sign it.
type NameError struct {
	Name   string // as it was asked for, whatever its length
	Reason string // continues the sentence "no certificate for NAME: "
}

// longestQuote bounds what a stranger's ClientHello can write into a log.
const longestQuote = 80

// Error is one sentence, with a long name cut off.
func (e *NameError) Error() string {
	return fmt.Sprintf("no certificate for %.*q: %s", longestQuote, e.Name, e.Reason)
}

// StoreError is a failure to read or write the folder of the CA, or to be its
// only writer.
type StoreError struct {
	Op   string // "read", "write", "lock" ...
	Path string // absolute
	Fix  string // what the user can do, one clause; never empty
	Err  error  // never nil
}

// Error is one sentence that ends with the fix.
func (e *StoreError) Error() string {
	return fmt.Sprintf("cannot %s %s: %s; %s", e.Op, e.Path, e.Err, e.Fix)
}

// Unwrap is the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// storeError explains err. The path inside err, if any, is dropped in favour of
// path: a temporary file's name tells the user nothing.
func storeError(op, path string, err error) *StoreError {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	} else if inner, ok := errors.AsType[*os.LinkError](err); ok {
		err = inner.Err
	}
	return &StoreError{Op: op, Path: path, Fix: fixFor(path, err), Err: err}
}

// fixFor picks the advice for the ways a folder is known to fail.
func fixFor(path string, err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free some space there, or name a folder on another disk in " + HomeVariable
	case errors.Is(err, syscall.EROFS):
		return "name a writable folder in " + HomeVariable
	case errors.Is(err, syscall.ENOTDIR):
		return "a file is where a folder should be: move it away, or name another folder in " + HomeVariable
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("see whose it is with ls -ld %q (a run with sudo may have made it), or name another folder in %s", path, HomeVariable)
	default:
		return "if that lasts, name another folder in " + HomeVariable
	}
}

// FirstCA is the reason that [CA.Fresh] gives when there was no CA before.
const FirstCA = "none was made yet"
