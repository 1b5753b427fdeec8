//go:build unix

package front

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a duplicate of a listening socket.
type socket struct {
	addr   net.Addr
	secure bool // the port of HTTPS
	// One of them: a listener in the front, a descriptor in other processes. A
	// listener would wake its process for every connection. To make one, package net
	// sets the socket to blocking for an instant, in which no other process may accept.
	mu         sync.RWMutex // of both
	listener   *net.TCPListener
	descriptor int
}

// use calls do with the socket's descriptor, which stays open meanwhile.
func (s *socket) use(do func(fd int) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.listener != nil {
		return withDescriptor(s.listener, do)
	}
	return do(s.descriptor)
}

// accepting returns the listener in the front; else nil.
func (s *socket) accepting() *net.TCPListener {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.listener
}

// setNonblock undoes what another process may have done to the socket, which all
// duplicates share: systemd sets the sockets of a service that it starts to blocking.
// Nothing could end an Accept that blocks.
func (s *socket) setNonblock() {
	_ = s.use(func(fd int) error { return unix.SetNonblock(fd, true) }) // only fails for a closed socket
}

// close closes this process's duplicate. The others stay open.
func (s *socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close()
	} else {
		_ = unix.Close(s.descriptor)
	}
}

// sockets are all shared sockets: those of HTTPS first, and of each protocol the newest
// first.
type sockets []*socket

// find returns the duplicate of a socket; nil if there is none. An address has one
// socket.
func (all sockets) find(wanted *socket) *socket {
	for _, s := range all {
		if s == wanted || s.secure == wanted.secure && s.addr.String() == wanted.addr.String() {
			return s
		}
	}
	return nil
}

// without are the sockets of which others have no duplicate.
func (all sockets) without(others sockets) (rest sockets) {
	for _, s := range all {
		if others.find(s) == nil {
			rest = append(rest, s)
		}
	}
	return rest
}

// before returns the sockets followed by older ones.
func (all sockets) before(older sockets) (sorted sockets) {
	for _, secure := range []bool{true, false} {
		for _, s := range slices.Concat(all, older) {
			if s.secure == secure {
				sorted = append(sorted, s)
			}
		}
	}
	return sorted
}

// newest are the sockets with the port of the first, of each protocol.
func (all sockets) newest() (some sockets) {
	ports := map[bool]string{}
	for _, s := range all {
		_, port, _ := net.SplitHostPort(s.addr.String()) // of TCP
		if ports[s.secure] == "" {
			ports[s.secure] = port
		}
		if ports[s.secure] == port {
			some = append(some, s)
		}
	}
	return some
}

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

// tcpDeferAccept is TCP_DEFER_ACCEPT of linux/tcp.h.
const tcpDeferAccept = 9

// deferAccept sets TCP_DEFER_ACCEPT on Linux. A connection without data is reported after
// a second nevertheless: browsers open some in advance. The accept filters of BSD are not
// part of macOS.
func deferAccept(fd uintptr) {
	if runtime.GOOS == "linux" {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, tcpDeferAccept, 1) // see bound
	}
}

// open makes the listeners of the process that accepts.
func (all sockets) open() error {
	for _, s := range all {
		if err := s.open(); err != nil {
			return err
		}
	}
	return nil
}

func (s *socket) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
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
	return nil
}

// interrupt ends Accept in this process.
func (all sockets) interrupt() {
	for _, s := range all {
		_ = s.accepting().SetDeadline(time.Unix(1, 0)) // only fails for a closed socket
	}
}

// rest makes descriptors of the listeners. One that cannot be made stays a listener.
func (all sockets) rest() {
	for _, s := range all {
		s.rest()
	}
}

func (s *socket) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return
	}
	var copied int
	if err := withDescriptor(s.listener, func(fd int) (err error) {
		copied, err = duplicate(fd)
		return err
	}); err != nil {
		_ = s.listener.SetDeadline(time.Time{})
		return
	}
	s.listener.Close()
	s.listener, s.descriptor = nil, copied
}

// duplicate is dup with close-on-exec.
func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

func (all sockets) close() {
	for _, s := range all {
		s.close()
	}
}

// withDescriptors calls use with the descriptors of all.
func (all sockets) withDescriptors(use func(descriptors []int) error) error {
	if len(all) == 0 {
		return use(nil)
	}
	return all[0].use(func(fd int) error {
		return all[1:].withDescriptors(func(more []int) error { return use(append([]int{fd}, more...)) })
	})
}

// shared is the content of a kindSockets: the addresses of its descriptors.
type shared struct {
	Version int      `json:"version"`
	HTTPS   []string `json:"https"`
	HTTP    []string `json:"http"`
	// Grows is true of a front that takes more sockets.
	Grows bool `json:"grows,omitempty"`
}

func (all sockets) shared() shared {
	text := shared{Version: version, Grows: true}
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
	if len(addrs) == 0 || len(files) < len(addrs) {
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
