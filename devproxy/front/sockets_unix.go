//go:build unix

package front

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// Sockets are listening sockets.
type Sockets struct {
	HTTPS, HTTP []*net.TCPListener
}

// socket is a duplicate of a listening socket.
type socket struct {
	addr   net.Addr
	secure bool // the port of HTTPS
	// One of them: a listener once this process has been the front, and before the
	// file that another process has sent. To make a listener of it, package net sets
	// the socket to blocking for an instant, in which no other process may accept.
	listener *net.TCPListener
	file     *os.File
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
		l, err := net.FileListener(s.file)
		if err != nil {
			return fmt.Errorf("cannot take over the socket of %s: %w", s.addr, err)
		}
		s.file.Close()
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			l.Close()
			return errors.New("the front shared a socket that is not of TCP")
		}
		s.listener, s.file = tcp, nil
	}
	return nil
}

// interrupt ends Accept in this process, until resume.
func (all sockets) interrupt() { all.setDeadline(time.Unix(1, 0)) }

func (all sockets) resume() { all.setDeadline(time.Time{}) }

func (all sockets) setDeadline(t time.Time) {
	for _, s := range all {
		_ = s.listener.SetDeadline(t) // only fails for a closed socket
	}
}

// close closes this process's duplicates. The others stay open.
func (all sockets) close() {
	for _, s := range all {
		if s.listener != nil {
			s.listener.Close()
		} else {
			s.file.Close()
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

// received returns the sockets of a message. The files are theirs then.
func (text shared) received(files []*os.File) (all sockets, err error) {
	if len(text.HTTPS) == 0 || len(files) != len(text.HTTPS)+len(text.HTTP) {
		return nil, fmt.Errorf("the front sent %d sockets for %d addresses", len(files), len(text.HTTPS)+len(text.HTTP))
	}
	for i, f := range files {
		addr := text.HTTP[max(0, i-len(text.HTTPS)):]
		if i < len(text.HTTPS) {
			addr = text.HTTPS[i:]
		}
		at, err := net.ResolveTCPAddr("tcp", addr[0])
		if err != nil {
			return nil, fmt.Errorf("the front sent an address that is not one: %w", err)
		}
		all = append(all, &socket{addr: at, secure: i < len(text.HTTPS), file: f})
	}
	return all, nil
}
