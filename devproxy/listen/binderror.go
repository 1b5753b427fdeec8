package listen

import (
	"errors"
	"net/netip"
)

// errTaken is in the tree of every error that means: another socket has it.
var errTaken = errors.New("the port is taken")

// BindError says that an address could not be bound, why, and what helps. A
// port asked for by name is never replaced, so it ends the program.
type BindError struct {
	Addr netip.AddrPort
	// Reason tells the two causes with a known fix apart; zero is any other.
	Reason Reason
	// Err is the system's error.
	Err error
	// Holder is who has the port, for Taken; nil when that is not the cause.
	Holder *Holder
	// Fix is one shell command that helps, or shows more; empty if none does.
	Fix string
}

// explain finds out who holds the port and what helps. It reads much of /proc,
// so it waits until a failure is to be told.
func (e *BindError) explain() {
	switch e.Reason {
	case Permission:
		e.Fix = permissionFix(e.Addr.Port())
	case Taken:
		holder := findHolder(e.Addr.Port())
		e.Holder, e.Fix = &holder, holder.Fix
	}
}

// Error is "cannot listen on 127.0.0.1:443: caddy (pid 812, root) is using it".
func (e *BindError) Error() string {
	prefix := "cannot listen on " + e.Addr.String() + ": "
	switch e.Reason {
	case Permission:
		return prefix + "this machine does not allow it"
	case Taken:
		return prefix + e.Holder.Text + " is using it"
	}
	return prefix + e.Err.Error()
}

// Unwrap gives the system's error.
func (e *BindError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, errTaken) work whatever the system calls it.
func (e *BindError) Is(target error) bool { return target == errTaken && e.Reason == Taken }

func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, errTaken), isTaken(err):
		return Taken
	case isForbidden(err):
		return Permission
	}
	return 0
}
