// Package neterror recognizes the errors of sockets. Windows has its own numbers for
// them: the constants of package syscall with the same names are never returned there.
package neterror

import (
	"errors"
	"io/fs"
)

// Refused reports whether nothing listens at the address.
func Refused(err error) bool { return errors.Is(err, ErrRefused) }

// Taken reports whether another program listens at the address.
func Taken(err error) bool { return errors.Is(err, errTaken) }

// Forbidden reports whether this user may not listen at the address. On Windows this
// includes ports that the system reserves.
func Forbidden(err error) bool {
	return errors.Is(err, errForbidden) || errors.Is(err, fs.ErrPermission)
}

// Absent reports whether this machine does not have the address or its family, for
// example because IPv6 is off.
func Absent(err error) bool {
	return errors.Is(err, errNoAddress) || errors.Is(err, errNoFamily) || errors.Is(err, errNoProtocol)
}

// Unreachable reports whether no route leads to the address.
func Unreachable(err error) bool { return errors.Is(err, errNoRoute) }

// HostUnreachable reports whether a route leads to the address's network, and nothing
// there is the address.
func HostUnreachable(err error) bool { return errors.Is(err, errNoHost) }

// Broken reports whether the other end has closed or reset the connection.
func Broken(err error) bool { return errors.Is(err, errReset) || errors.Is(err, errClosed) }
