//go:build unix

package front

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Sockets are listening sockets.
type Sockets struct {
	HTTPS, HTTP []*net.TCPListener
}

// socket is a duplicate of a listening socket.
type socket struct {
	addr   net.Addr
	secure bool // the port of HTTPS
	// One of them: a listener in the front, a descriptor in other processes. A
	// listener would wake its process for every connection. To make one, package net
	// sets the socket to blocking for an instant, in which no other process may accept.
	listener   *net.TCPListener
	descriptor int
}

// sockets are all shared sockets, those of HTTPS first.
type sockets []*socket

// bound returns the sockets that this process has opened. Connections are reported
// only when their first bytes are there, where the system can do that: the front then
// has a connection for microseconds.
func bound(opened Sockets) (all sockets) {
	for _, l := range opened.HTTPS {
		all = append(all, &socket{addr: l.Addr(), secure: true, listener: l})
	}
	for _, l := range opened.HTTP {
		all = append(all, &socket{addr: l.Addr(), listener: l})
	}
	for _, s := range all {
		if raw, err := s.listener.SyscallConn(); err == nil {
			_ = raw.Control(deferAccept) // without it, the front waits for the bytes
		}
	}
	return all
}

// open makes the listeners of the process that accepts.
func (all sockets) open() error {
	for _, s := range all {
		if s.listener != nil {
			continue
		}
		copied, err := duplicate(s.descriptor)
		if err != nil {
			return fmt.Errorf("cannot take over the socket of %s: %w", s.addr, err)
		}
		file := os.NewFile(uintptr(copied), "socket")
		l, err := net.FileListener(file)
		file.Close()
		if err != nil {
			return fmt.Errorf("cannot take over the socket of %s: %w", s.addr, err)
		}
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			l.Close()
			return errors.New("the front shared a socket that is not of TCP")
		}
		_ = unix.Close(s.descriptor)
		s.listener = tcp
	}
	return nil
}

// interrupt ends Accept in this process.
func (all sockets) interrupt() {
	for _, s := range all {
		_ = s.listener.SetDeadline(time.Unix(1, 0)) // only fails for a closed socket
	}
}

// rest makes descriptors of the listeners. One that cannot be made stays a listener.
func (all sockets) rest() {
	for _, s := range all {
		var copied int
		if err := withDescriptor(s.listener, func(fd int) (err error) {
			copied, err = duplicate(fd)
			return err
		}); err != nil {
			_ = s.listener.SetDeadline(time.Time{})
			continue
		}
		s.listener.Close()
		s.listener, s.descriptor = nil, copied
	}
}

// duplicate is dup with close-on-exec.
func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

// close closes this process's duplicates. The others stay open.
func (all sockets) close() {
	for _, s := range all {
		if s.listener != nil {
			s.listener.Close()
		} else {
			_ = unix.Close(s.descriptor)
		}
	}
}

// withDescriptors calls use with the descriptors of the listeners.
func (all sockets) withDescriptors(use func(descriptors []int) error) error {
	if len(all) == 0 {
		return use(nil)
	}
	return withDescriptor(all[0].listener, func(fd int) error {
		return all[1:].withDescriptors(func(more []int) error { return use(append([]int{fd}, more...)) })
	})
}

// shared is the content of a kindSockets: the addresses of its descriptors.
type shared struct {
	Version int      `json:"version"`
	HTTPS   []string `json:"https"`
	HTTP    []string `json:"http"`
}

func (all sockets) shared() shared {
	text := shared{Version: version}
	for _, s := range all {
		if s.secure {
			text.HTTPS = append(text.HTTPS, s.addr.String())
		} else {
			text.HTTP = append(text.HTTP, s.addr.String())
		}
	}
	return text
}

// received returns the sockets of a message, as duplicates of its files. More files than
// addresses are sockets of the future.
func (text shared) received(files []*os.File) (all sockets, err error) {
	addrs := slices.Concat(text.HTTPS, text.HTTP)
	if len(text.HTTPS) == 0 || len(files) < len(addrs) {
		return nil, fmt.Errorf("the front sent %d sockets for %d addresses; this process may have too many open files", len(files), len(addrs))
	}
	for i, addr := range addrs {
		s := &socket{secure: i < len(text.HTTPS)}
		at, err := netip.ParseAddrPort(addr)
		if err == nil {
			s.addr = net.TCPAddrFromAddrPort(at)
			err = withDescriptor(files[i], func(fd int) (err error) {
				s.descriptor, err = duplicate(fd)
				return err
			})
		}
		if err != nil {
			all.close()
			return nil, fmt.Errorf("the front sent a socket that cannot be used: %w", err)
		}
		all = append(all, s)
	}
	return all, nil
}
