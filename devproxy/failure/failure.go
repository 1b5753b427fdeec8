// Package failure joins an error with the command or edit that helps, and writes
// errors in words that do not come from Go's libraries.
package failure

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Error is an error that the user can do something about.
type Error struct {
	Err error
	Fix string // the next command or edit; empty if there is none to suggest
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an [Error]. The text is one lower-case sentence.
func Errorf(fix, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Fix: fix}
}

// Text returns the text of err without what Go's libraries add to theirs: names of
// system calls, and a path that the text already has.
func Text(err error) string {
	text := err.Error()
	eachCause(err, func(cause error) {
		old := cause.Error()
		if now, subject := plain(cause); now != "" && strings.Contains(text, old) {
			if rest := strings.Replace(text, old, "", 1); subject != "" && !strings.Contains(rest, subject) {
				now = subject + ": " + now
			}
			text = strings.Replace(text, old, now, 1)
		}
	})
	return text
}

// eachCause calls f for err and every error that it wraps, the outermost first.
func eachCause(err error, f func(error)) {
	if err == nil {
		return
	}
	f(err)
	switch wrapper := err.(type) { //nolint:errorlint // this is the walk itself
	case interface{ Unwrap() error }:
		eachCause(wrapper.Unwrap(), f)
	case interface{ Unwrap() []error }:
		for _, cause := range wrapper.Unwrap() {
			eachCause(cause, f)
		}
	}
}

// plain returns a short text for errors of Go's libraries that say too much;
// empty for any other error.
func plain(cause error) (text, subject string) {
	switch e := cause.(type) { //nolint:errorlint // eachCause unwraps
	case *fs.PathError:
		return e.Err.Error(), e.Path
	case *os.LinkError:
		return e.Err.Error(), e.New
	case *os.SyscallError:
		return e.Err.Error(), ""
	case *net.OpError:
		if e.Addr != nil {
			return e.Err.Error(), e.Addr.String()
		}
		return e.Err.Error(), ""
	case *strconv.NumError:
		return strconv.Quote(e.Num) + " is not a number", ""
	case *exec.Error:
		if errors.Is(e.Err, exec.ErrNotFound) {
			return e.Name + " is not installed", ""
		}
		return e.Err.Error(), e.Name
	}
	return "", ""
}
