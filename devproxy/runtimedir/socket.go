package runtimedir

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Listen opens a socket that only this user may connect to, in a folder that
// Ensure has checked. It replaces a socket that is already there: the caller
// knows that its process has ended.
func Listen(path string) (*Listener, error) {
	if len(path) > MaxSocketPath {
		return nil, fmt.Errorf("the path of the socket %s is longer than the %d bytes a socket may have; set XDG_RUNTIME_DIR to a shorter folder", path, MaxSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, WriteError("replace a socket", filepath.Dir(path), err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, WriteError("make a socket", filepath.Dir(path), err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("cannot make the socket private: %w", errors.Join(err, ln.Close()))
	}
	return &Listener{ln}, nil
}

// Inherit returns the listener of a socket that systemd made and passed to this process,
// which f stays open for. Close leaves the socket where it is.
func Inherit(f *os.File) (*Listener, error) {
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("cannot use the socket that systemd passed: %w", err)
	}
	socket, ok := ln.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(errors.New("the socket that systemd passed is not a unix socket"), ln.Close())
	}
	return &Listener{socket}, nil
}

// Listener accepts connections of this user only, should a script ever open the
// folder and the socket to others.
type Listener struct{ *net.UnixListener }

// Accept returns the next connection of this user.
func (l *Listener) Accept() (net.Conn, error) { return l.AcceptUnix() }

// AcceptUnix is Accept with the type that can pass descriptors.
func (l *Listener) AcceptUnix() (*net.UnixConn, error) {
	for {
		conn, err := l.UnixListener.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if OwnPeer(conn) {
			return conn, nil
		}
		conn.Close()
	}
}
