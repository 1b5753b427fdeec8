// Package front shares one pair of ports among all projects of a user. Every
// `devproxy up` is a process of its own; they share only the listening sockets,
// of which each holds a duplicate.
//
// The process that holds a lock file is the front: it accepts connections, peeks
// at the name that each is for (the server name of a TLS ClientHello, RFC 8446
// section 4.1.2, or the Host of plain HTTP), and passes the descriptor to the
// process that serves this name. Nothing is read from the connection before, and
// nothing of the front is in its path afterwards. A name that no project serves
// stays with the front.
//
// The other processes hold a lease: a connection to the front's socket in the
// runtime directory. Their names are served as long as it is open, so a process
// that was killed takes its names with it. When the front ends, its leases break
// and the kernel releases its lock. Another process takes the lock, and accepts
// from the same queue; the rest connect to it and register again.
//
// A connection that the front has accepted and not passed on yet is lost if the
// front is killed. On Linux these are microseconds for a client that sends within a
// second, since the kernel reports a connection only once its first bytes are there.
// A front that ends in order passes on what it holds. A front that is stopped with
// SIGSTOP keeps its role, and new connections wait until it continues; Ctrl-Z in its
// terminal hands the role over first (StepDown).
//
// An exact name takes precedence over another project's wildcard: a name
// belongs to the first project that asks, and all projects are of one user. A connection stays with its
// project until it closes, whatever is registered later.
//
// A project that starts adds a port that the others do not share yet, since it was not
// available before (Shared.Add): the front accepts on both, and every process gets a
// duplicate. Projects that run keep the port in their addresses.
//
// Where systemd has the sockets and passes them to one of the projects, all of this
// stays as it is: each project holds duplicates, and the role changes as before. The
// front's own socket is systemd's then, and is passed on like the others: no process
// replaces or removes it. A project that starts while none runs connects to it, which has
// systemd start the project with the sockets. When the last project has ended, the
// kernel keeps new connections in the queue until systemd has started it again.
//
// Limits: maxPending connections wait for their first bytes, helloTimeout at
// most; one more, or one without a free descriptor, ends the oldest. A ClientHello or
// header of more than maxPeek bytes is for the front's own project, and so is a
// connection without a name. A process that does not take its connections (it is
// stopped in a debugger, say) gets passTimeout for each. A front whose files were
// removed from the runtime directory puts them back within lookPeriod.
package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
)

// ErrUnsupported is the error of Join on systems whose processes do not pass sockets
// as this package does. Each project then has ports of its own.
var ErrUnsupported = errors.New("projects do not share a port on this system")

// ErrOlder is the error of Add when the process that accepts connections is of an older
// build, which takes no more sockets.
var ErrOlder = errors.New("another project runs an older devproxy, which keeps its port")

// socketFile is the front's socket in the runtime directory.
const socketFile = "front.sock"

// SocketPath returns the path of the front's socket.
func SocketPath(dir string) string { return filepath.Join(dir, socketFile) }

// Sockets are listening sockets.
type Sockets struct {
	HTTPS, HTTP []*net.TCPListener
}

// Options configure Join.
type Options struct {
	// Dir is the user's runtime directory.
	Dir string
	// Bind opens the listening sockets. It is called when no other process has some
	// to share.
	Bind func(context.Context) (Sockets, error)
	// Socket is the front's socket in Dir, if systemd has passed one that listens. It
	// stays the caller's, and must stay open until Close. Nil has the front make one.
	Socket *os.File
	// Lost is called after a change of the front: with a *TakenError for each name that
	// another project has got in the meantime, and with what keeps this process from the next
	// front, once for each reason. Nil as the error means that this is over. Nil as the
	// function ignores it.
	Lost func(error)
	// Log receives errors that are not returned. Nil discards them.
	Log *slog.Logger
}

// Local reports whether a connection may be served: one that was accepted on a loopback
// address, or on a wildcard address and comes from a loopback address. Nothing may be
// read from others.
func Local(listener, peer net.Addr) bool {
	at, ok := listener.(*net.TCPAddr)
	if !ok || !at.IP.IsUnspecified() {
		return true
	}
	from, ok := peer.(*net.TCPAddr)
	return ok && from.IP.IsLoopback()
}

// Name is a host name that a project serves, or *.rest for every name with one
// more label.
type Name struct {
	Name string `json:"name"` // in lower case
	// File and Line are where the name is written; empty and 0 if it is not
	// written in a file.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// TakenError is the error of a name that another project serves already.
type TakenError struct {
	// First is the other project's entry for the name.
	First Name
}

// Error is "shop.localhost is already served by /home/ann/a/Proxyfile, line 3".
func (e *TakenError) Error() string {
	text := e.First.Name + " is already served by "
	if e.First.File == "" {
		return text + "another devproxy"
	}
	return fmt.Sprintf("%s%s, line %d", text, e.First.File, e.First.Line)
}
