package main

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// plainText is err's text without what Go's libraries put into theirs: names of
// system calls, and a path that the text says already.
func plainText(err error) string {
	text := err.Error()
	eachCause(err, func(cause error) {
		old := cause.Error()
		if now, subject := plainCause(cause); now != "" && strings.Contains(text, old) {
			if rest := strings.Replace(text, old, "", 1); subject != "" && !strings.Contains(rest, subject) {
				now = subject + ": " + now
			}
			text = strings.Replace(text, old, now, 1)
		}
	})
	return text
}

// eachCause calls f for err and all errors that it wraps, the outermost first.
func eachCause(err error, f func(error)) {
	if err == nil {
		return
	}
	f(err)
	switch wrapper := err.(type) { //nolint:errorlint // it is the walk itself
	case interface{ Unwrap() error }:
		eachCause(wrapper.Unwrap(), f)
	case interface{ Unwrap() []error }:
		for _, cause := range wrapper.Unwrap() {
			eachCause(cause, f)
		}
	}
}

// plainCause is what is wrong, and with what, for the errors of Go's libraries that
// say more than that; empty for any other.
func plainCause(cause error) (text, subject string) {
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
