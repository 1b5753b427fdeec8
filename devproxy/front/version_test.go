//go:build unix

package front

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// line is a message of testdata/version1.txt.
type line struct {
	from        string
	kind        byte
	descriptors int
	content     string
}

// transcript reads the messages between builds of version 1, for the addresses of a front.
func transcript(t *testing.T, https, http string) (all []line) {
	t.Helper()
	text, err := os.ReadFile("testdata/version1.txt")
	must(t, err)
	for row := range strings.Lines(string(text)) {
		if strings.HasPrefix(row, "#") {
			continue
		}
		l := line{}
		var kind string
		_, err := fmt.Sscan(row, &l.from, &kind, &l.descriptors, &l.content)
		must(t, err)
		l.kind = kind[0]
		l.content = strings.NewReplacer("HTTPS", https, "HTTP", http, "PID", "4242").Replace(l.content)
		all = append(all, l)
	}
	return all
}

// old is the end of a build of version 1. It shares no code with the package.
type old struct {
	t    *testing.T
	conn *net.UnixConn
}

// sends sends a line with descriptors.
func (o old) sends(l line, descriptors ...int) {
	o.t.Helper()
	bytes := []byte{l.kind, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(bytes[1:], uint32(len(l.content)))
	var rights []byte
	if len(descriptors) != l.descriptors {
		o.t.Fatalf("%c: %d descriptors, want %d", l.kind, len(descriptors), l.descriptors)
	}
	if len(descriptors) > 0 {
		rights = unix.UnixRights(descriptors...)
	}
	_, _, err := o.conn.WriteMsgUnix(append(bytes, l.content...), rights, nil)
	must(o.t, err)
}

// receives expects a line, whose content may have more fields, and returns its files.
func (o old) receives(l line) (files []*os.File) {
	o.t.Helper()
	_ = o.conn.SetReadDeadline(time.Now().Add(soon))
	var header [5]byte
	rights := make([]byte, 1024)
	n, oob, _, _, err := o.conn.ReadMsgUnix(header[:], rights)
	must(o.t, err)
	if n < len(header) {
		_, err = io.ReadFull(o.conn, header[n:])
		must(o.t, err)
	}
	content := make([]byte, binary.BigEndian.Uint32(header[1:]))
	_, err = io.ReadFull(o.conn, content)
	must(o.t, err)
	messages, err := unix.ParseSocketControlMessage(rights[:oob])
	must(o.t, err)
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		must(o.t, err)
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "socket"))
		}
	}
	o.t.Cleanup(func() {
		for _, f := range files {
			f.Close()
		}
	})
	if header[0] != l.kind || len(files) != l.descriptors || !holds(content, []byte(l.content)) {
		o.t.Fatalf("got %q with %d descriptors and %s; want %q with %d and %s", header[0], len(files), content, l.kind, l.descriptors, l.content)
	}
	return files
}

// holds reports whether content has all of want. A pid may differ.
func holds(content, want []byte) bool {
	var a, b map[string]any
	if json.Unmarshal(want, &b) != nil {
		return bytes.Equal(content, want)
	}
	if json.Unmarshal(content, &a) != nil {
		return false
	}
	for field, value := range b {
		if got := a[field]; reflect.TypeOf(got) != reflect.TypeOf(value) || field != "pid" && !reflect.DeepEqual(got, value) {
			return false
		}
	}
	return true
}

// serves answers a plain HTTP request on a connection.
func serves(t *testing.T, f *os.File, answer string) {
	t.Helper()
	c, err := net.FileConn(f)
	must(t, err)
	f.Close()
	defer c.Close()
	_, err = c.Read(make([]byte, 1000))
	must(t, err)
	_, err = io.WriteString(c, answer)
	must(t, err)
}

// TestOlderProject plays the project's part of the transcript with this build's front.
func TestOlderProject(t *testing.T) {
	dir := shortDir(t)
	front := begin(t, dir).joined()
	front.does("entry a.localhost /a/Proxyfile 1")
	l := transcript(t, front.https, front.http)
	connect := func() old { return old{t, wireTo(t, dir).conn} }
	o := connect()
	o.sends(l[0])
	o.receives(l[1])
	o.sends(l[2])
	o.receives(l[3])
	o.sends(l[4])
	o.receives(l[5])
	client := dialed(t, front.http, requestForB)
	serves(t, o.receives(l[6])[0], "answer 1")
	expect(t, client, "answer 1")
	dialed(t, front.https, string(helloFor(t, "x.b.localhost")))
	o.receives(l[7])
	late := dialed(t, front.http, requestBegins)
	front.overHTTP("a.localhost").reaches(front) // it has accepted late
	front.does("stepdown")
	unread := o.receives(l[8])[0]
	// The project leaves the role to the other one, which waits for a second.
	if n, err := o.conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Fatalf("the lease is still open: %d, %v", n, err)
	}
	eventually(t, "the front is there again", func() bool {
		_, err := os.Stat(filepath.Join(dir, socketFile))
		return err == nil
	})
	o = connect()
	o.sends(l[9])
	o.receives(l[10])
	o.sends(l[11])
	o.receives(l[12])
	var fd int
	must(t, withDescriptor(unread, func(d int) error { fd = d; o.sends(l[13], d); return nil }))
	_ = fd
	unread.Close()
	_, err := io.WriteString(late, requestEnds)
	must(t, err)
	serves(t, o.receives(l[6])[0], "answer 2")
	expect(t, late, "answer 2")
}

func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(soon))
	got, err := io.ReadAll(c)
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// TestOlderFront plays the front's part of the transcript with a project of this build.
func TestOlderFront(t *testing.T) {
	dir := shortDir(t)
	held := flock.New(filepath.Join(dir, lockFile))
	_, err := held.TryLock()
	must(t, err)
	defer held.Close()
	listen := func() *net.UnixListener {
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, socketFile), Net: "unix"})
		must(t, err)
		t.Cleanup(func() { ln.Close() })
		return ln
	}
	ln := listen()
	shared, err := bindFree(t.Context())
	must(t, err)
	https, http := shared.HTTPS[0], shared.HTTP[0]
	defer https.Close()
	defer http.Close()
	l := transcript(t, https.Addr().String(), http.Addr().String())
	accept := func() old {
		conn, err := ln.AcceptUnix()
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		return old{t, conn}
	}
	share := func(o old, l line) {
		must(t, withDescriptor(https, func(first int) error {
			return withDescriptor(http, func(second int) error { o.sends(l, first, second); return nil })
		}))
	}
	pass := func(o old, l line, ln *net.TCPListener) {
		c, err := ln.AcceptTCP()
		must(t, err)
		must(t, withDescriptor(c, func(fd int) error { o.sends(l, fd); return nil }))
		c.Close()
	}

	b := begin(t, dir)
	o := accept()
	o.receives(l[0])
	share(o, l[1])
	b.joined()
	if b.https != https.Addr().String() || b.http != http.Addr().String() {
		t.Errorf("it listens on %s and %s", b.https, b.http)
	}
	b.asks("entry b.localhost /b/Proxyfile 2 *.b.localhost")
	o.receives(l[2])
	o.sends(l[3])
	b.says("ok")
	b.asks("names b.localhost a.localhost")
	o.receives(line{from: "project", kind: 'n', content: `{"again":false}`})
	o.sends(l[5])
	b.says("error: a.localhost is already served by /a/Proxyfile, line 1")
	client := dialed(t, b.http, requestForB)
	pass(o, l[6], http)
	answered(t, client, "", b)
	secure := b.overTLS("b.localhost")
	got := make(chan string)
	go func() { pid, err := secure.get(); got <- fmt.Sprint(pid, err) }()
	pass(o, l[7], https)
	if pid := <-got; pid != b.pid()+"<nil>" {
		t.Errorf("over TLS: %s", pid)
	}
	late := dialed(t, b.http, requestBegins)
	pass(o, l[8], http)
	ln.Close()
	ln = listen()
	o.conn.Close()
	o = accept()
	o.receives(l[9])
	share(o, l[10])
	o.receives(l[11])
	o.sends(l[12])
	o.receives(l[13])
	ln.Close()
	must(t, held.Close())
	o.conn.Close()
	eventually(t, "the project is the front", b.isFront)
	b.overTLS("b.localhost").reaches(b)
	late.Close()
}

// TestResultForSockets: the answer to sockets that a project gives the next front is not
// that for its names.
func TestResultForSockets(t *testing.T) {
	dir := shortDir(t)
	held := flock.New(filepath.Join(dir, lockFile))
	_, err := held.TryLock()
	must(t, err)
	defer held.Close()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, socketFile), Net: "unix"})
	must(t, err)
	defer ln.Close()
	var fds []int
	var https []string
	for range 3 {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		must(t, err)
		f, err := l.File()
		must(t, err)
		l.Close()
		defer f.Close()
		must(t, withDescriptor(f, func(fd int) error { fds = append(fds, fd); return nil }))
		https = append(https, l.Addr().String())
	}
	shares := func(o old, n int) {
		content, err := json.Marshal(map[string]any{"version": 1, "grows": true, "https": https[:n-1], "http": https[2:]})
		must(t, err)
		o.sends(line{kind: 's', descriptors: n, content: string(content)}, append(fds[:n-1:n-1], fds[2])...)
	}
	accept := func() old {
		conn, err := ln.AcceptUnix()
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		return old{t, conn}
	}
	granted := line{kind: 'r', content: `{"taken":null}`}
	b := begin(t, dir)
	o := accept()
	o.receives(line{kind: 'h', content: "{}"})
	shares(o, 3)
	b.line()
	b.asks("names b.localhost")
	o.receives(line{kind: 'n', content: "{}"})
	o.sends(granted)
	b.says("ok")
	o.conn.Close()
	o = accept() // the next front, without the second socket
	o.receives(line{kind: 'h', content: "{}"})
	shares(o, 2)
	o.receives(line{kind: 's', descriptors: 1, content: "{}"})
	o.sends(granted)
	o.receives(line{kind: 'n', content: `{"again":true}`})
	o.sends(granted)
	b.asks("names a.localhost")
	o.receives(line{kind: 'n', content: "{}"})
	o.sends(line{kind: 'r', content: `{"taken":{"name":"a.localhost","file":"/a/Proxyfile","line":1}}`})
	b.says("error: a.localhost is already served by /a/Proxyfile, line 1")
}
