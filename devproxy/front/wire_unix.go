//go:build unix

package front

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The protocol between a project and the front. Builds of different ages run next
// to each other, so it stays as it is: fields and kinds may be added, and a receiver
// ignores those that it does not know.
//
// A message is its kind, the length of its content as four bytes, and the content:
// JSON, or one byte for a connection. Descriptors travel with its first byte.
const (
	version = 1

	kindHello   = 'h' // project to front: hello
	kindSockets = 's' // either way: shared, with listening sockets; to the front with those that it lacks
	kindFront   = 'f' // front to project: the front's own socket, if systemd has it
	kindNames   = 'n' // project to front: names
	kindResult  = 'r' // front to project: result, for each names or kindSockets
	kindPassed  = 'c' // front to project: a connection of one of its names
	kindUnread  = 'u' // either way: a connection that is still to be peeked at
)

// The content of a message with a connection.
const (
	contentPlain  = 'p'
	contentSecure = 't'
)

const (
	// maxContent bounds a message: the names of ten thousand hosts.
	maxContent = 4 << 20
	// maxDescriptors bounds those of a message: two ports on two addresses, and some.
	maxDescriptors = 16
	headerLength   = 5
)

type hello struct {
	Version int `json:"version"`
	PID     int `json:"pid"`
}

type names struct {
	Names []Name `json:"names"`
	// Again is true after a change of the front: these names were granted before.
	Again bool `json:"again"`
}

// result grants the names, unless it has one of its fields.
type result struct {
	Taken *Name `json:"taken"`
	// Error is another reason why the names are refused. This version sends none.
	Error string `json:"error,omitempty"`
}

func (r result) err() error {
	switch {
	case r.Taken != nil:
		return &TakenError{*r.Taken}
	case r.Error != "":
		return errors.New(r.Error)
	}
	return nil
}

// connection is a connection that the front has accepted.
type connection struct {
	*net.TCPConn
	secure bool // accepted on the port of HTTPS
}

func (c connection) content() []byte {
	if c.secure {
		return []byte{contentSecure}
	}
	return []byte{contentPlain}
}

// message is a message that was received. Its files are the receiver's to close.
type message struct {
	kind    byte
	content []byte
	files   []*os.File
}

func (m message) close() {
	for _, f := range m.files {
		f.Close()
	}
}

// connection returns the connection of a kindPassed or kindUnread. The system takes
// the descriptor away if this process has no room for it. The error is errLeft if the
// client has reset the connection: package net gives it no remote address then.
func (m message) connection() (connection, error) {
	defer m.close()
	if len(m.files) != 1 || len(m.content) == 0 {
		return connection{}, errors.New("a message came without its connection; this process may have too many open files")
	}
	c, err := net.FileConn(m.files[0])
	if err != nil {
		return connection{}, fmt.Errorf("cannot take over a connection: %w", err)
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		c.Close()
		return connection{}, errors.New("the front passed something that is not a TCP connection")
	}
	if tcp.RemoteAddr() == nil {
		c.Close()
		return connection{}, errLeft
	}
	return connection{tcp, m.content[0] == contentSecure}, nil
}

// sockets returns the sockets of a kindSockets. The files are theirs then.
func (m message) sockets() (sockets, error) {
	var sent shared
	if err := json.Unmarshal(m.content, &sent); err != nil {
		return nil, err
	}
	return sent.received(m.files)
}

// wire is one end of a lease. Reading is for one goroutine, sending for any.
type wire struct {
	conn *net.UnixConn
	mu   sync.Mutex // of sending
}

// frame is a message as it is sent.
func frame(kind byte, content []byte) []byte {
	out := make([]byte, headerLength, headerLength+len(content))
	out[0] = kind
	binary.BigEndian.PutUint32(out[1:], uint32(len(content)))
	return append(out, content...)
}

// sendJSON sends a message, with descriptors.
func (w *wire) sendJSON(kind byte, content any, descriptors ...int) error {
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return w.send(frame(kind, text), descriptors...)
}

// sendSockets sends listening sockets.
func (w *wire) sendSockets(all sockets) error {
	return all.withDescriptors(func(descriptors []int) error {
		return w.sendJSON(kindSockets, all.shared(), descriptors...)
	})
}

// send sends a message within passTimeout.
func (w *wire) send(message []byte, descriptors ...int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.conn.SetWriteDeadline(time.Now().Add(passTimeout))
	var rights []byte
	if len(descriptors) > 0 {
		rights = unix.UnixRights(descriptors...)
	}
	n, _, err := w.conn.WriteMsgUnix(message, rights, nil)
	for err == nil && n < len(message) { // the descriptors went with the first byte
		var more int
		more, err = w.conn.Write(message[n:])
		n += more
	}
	return err
}

// errBusy is the error of trySend when it would have to wait.
var errBusy = errors.New("the receiver is busy")

// trySend passes a connection's descriptor without waiting. The caller still closes
// its own.
func (w *wire) trySend(kind byte, c connection) error {
	if !w.mu.TryLock() {
		return errBusy
	}
	defer w.mu.Unlock()
	raw, err := w.conn.SyscallConn()
	if err != nil {
		return err
	}
	return withDescriptor(c.TCPConn, func(fd int) error {
		var sent error
		err := raw.Control(func(wire uintptr) {
			// Too short to be sent in part.
			sent = unix.Sendmsg(int(wire), frame(kind, c.content()), unix.UnixRights(fd), nil, unix.MSG_DONTWAIT)
		})
		switch {
		case err != nil:
			return err
		case sent == nil, errors.Is(sent, unix.EPIPE), errors.Is(sent, unix.ECONNRESET), errors.Is(sent, unix.ENOTCONN):
			return sent
		}
		// EAGAIN; ETOOMANYREFS when too many descriptors are on their way, because of any
		// of the user's processes; and what else may pass.
		return fmt.Errorf("%w: %w", errBusy, sent)
	})
}

// withDescriptor calls use with a socket's descriptor, which stays open meanwhile.
func withDescriptor(c syscall.Conn, use func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var used error
	if err := raw.Control(func(fd uintptr) { used = use(int(fd)) }); err != nil {
		return err
	}
	return used
}

// receive returns the next message.
func (w *wire) receive() (message, error) {
	header := make([]byte, headerLength)
	files, err := w.fill(header)
	m := message{kind: header[0], files: files}
	if err != nil {
		m.close()
		return message{}, err
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length > maxContent {
		m.close()
		return message{}, fmt.Errorf("a message of %d bytes is longer than the %d allowed", length, maxContent)
	}
	m.content = make([]byte, length)
	more, err := w.fill(m.content)
	m.files = append(m.files, more...)
	if err != nil {
		m.close()
	}
	return m, err
}

// fill reads until p is full, and returns the descriptors that came along.
func (w *wire) fill(p []byte) (files []*os.File, err error) {
	rights := make([]byte, unix.CmsgSpace(maxDescriptors*4))
	for len(p) > 0 {
		n, oob, _, _, err := w.conn.ReadMsgUnix(p, rights)
		files = append(files, filesOf(rights[:oob])...)
		if err != nil {
			return files, err
		}
		if n == 0 {
			return files, net.ErrClosed
		}
		p = p[n:]
	}
	return files, nil
}

// filesOf returns the descriptors of a control message.
func filesOf(rights []byte) (files []*os.File) {
	control, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil
	}
	for _, m := range control {
		descriptors, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range descriptors {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "socket"))
		}
	}
	return files
}
