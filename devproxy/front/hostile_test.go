//go:build unix

package front

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helloFor is the ClientHello that crypto/tls sends for a name.
func helloFor(t testing.TB, name string) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		_ = tls.Client(theirs, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
	}()
	record := make([]byte, maxPeek)
	n, err := ours.Read(record)
	if err != nil {
		t.Fatal(err)
	}
	return record[:n]
}

// fragmented is a ClientHello in records of a few bytes each (RFC 8446 section 5.1).
func fragmented(hello []byte, size int) (out []byte) {
	const header = 5
	for rest := hello[header:]; len(rest) > 0; {
		piece := rest[:min(size, len(rest))]
		rest = rest[len(piece):]
		out = append(out, hello[0], hello[1], hello[2], 0, byte(len(piece)))
		out = append(out, piece...)
	}
	return out
}

func TestNameIn(t *testing.T) {
	hello := helloFor(t, "Shop.localhost")
	for begin, want := range map[string]string{
		string(hello):                                                           "shop.localhost",
		string(fragmented(hello, 7)):                                            "shop.localhost",
		string(helloFor(t, "127.0.0.1")):                                        "", // an address is not sent
		"GET / HTTP/1.1\r\nHost: A.b:80\r\n":                                    "a.b",
		"GET / HTTP/1.1\nhost:\t a.b. \n":                                       "a.b",
		"GET / HTTP/1.1\r\nHost: [::1]:80\r\n":                                  "::1",
		"GET / HTTP/1.1\r\nX: Host: b\r\nHost: a\r\n":                           "a",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                      "",
		"\x16\x03\x01\x00\x05hello":                                             "",
		"\x16\xff\xff\xff\xff\xff":                                              "",
		"\x80\x2e\x01\x03\x01\x00\x15\x00\n":                                    "", // SSL 2.0, and a byte that ends a line
		strings.Repeat("x", maxPeek):                                            "",
		"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + strings.Repeat("x", maxPeek-9): "",
	} {
		name, known := nameIn([]byte(begin))
		if begin[0] == '\x80' {
			continue // may wait for the end of a header
		}
		if name != want || !known {
			t.Errorf("%.40q: %q, known is %v, want %q", begin, name, known, want)
		}
	}
}

// FuzzNameIn: what begins a known beginning is known too or needs more bytes, and
// says the same.
func FuzzNameIn(f *testing.F) {
	hello := helloFor(f, "shop.localhost")
	for _, seed := range []string{string(hello), string(fragmented(hello, 5)), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, begin []byte) {
		begin = begin[:min(len(begin), maxPeek-1)]
		name, known := nameIn(begin)
		if !known && name != "" {
			t.Errorf("%q is not known yet", name)
		}
		if name != strings.ToLower(name) {
			t.Errorf("%q is not canonical", name)
		}
		for cut := range len(begin) {
			before, early := nameIn(begin[:cut])
			if early && (!known || before != name) {
				t.Fatalf("%d of %d bytes say %q, all say %q (%v)", cut, len(begin), before, name, known)
			}
		}
	})
}

// TestHostileBeginnings opens connections that never say what they want, and sends
// requests meanwhile.
func TestHostileBeginnings(t *testing.T) {
	dir := shortDir(t)
	a, b := start(t, dir, "a.localhost"), start(t, dir, "b.localhost")
	hello := helloFor(t, "b.localhost")
	endless := []byte{recordHandshake, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff}
	for _, begin := range [][]byte{
		nil,
		hello[:1],
		hello[:len(hello)-1],
		append(endless, bytes.Repeat([]byte("x"), 64<<10)...),
		bytes.Repeat([]byte("\x16\x03\x01\x00\x01\x01"), 12<<10), // 64 KB in records of one byte
		bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 4<<10),
		[]byte("GET / HTTP/1.1\r\nHost: b.loc"),
		helloFor(t, "127.0.0.1"),
	} {
		for range 40 {
			c, err := net.Dial("tcp", a.https)
			must(t, err)
			defer c.Close()
			_ = c.SetWriteDeadline(time.Now().Add(soon))
			_, _ = c.Write(begin) // a connection that was closed already is fine
		}
		b.overTLS("b.localhost").reaches(b)
		a.overTLS("a.localhost").reaches(a)
	}
}

// TestHelloInPieces: a ClientHello that arrives byte by byte gets where it should.
func TestHelloInPieces(t *testing.T) {
	dir := shortDir(t)
	start(t, dir, "a.localhost")
	b := start(t, dir, "b.localhost")
	c, err := net.Dial("tcp", b.https)
	must(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(soon))
	client := tls.Client(pieces{c}, &tls.Config{ServerName: "b.localhost", InsecureSkipVerify: true})
	_, err = io.WriteString(client, "GET / HTTP/1.1\r\nHost: b.localhost\r\nConnection: close\r\n\r\n")
	must(t, err)
	answer, err := io.ReadAll(client)
	if err != nil || !strings.HasSuffix(string(answer), b.pid()) {
		t.Errorf("%v, %q", err, answer)
	}
}

// pieces sends in segments of a few bytes.
type pieces struct{ net.Conn }

func (p pieces) Write(all []byte) (n int, err error) {
	for n < len(all) {
		sent, err := p.Conn.Write(all[n:min(n+100, len(all))])
		n += sent
		if err != nil {
			return n, err
		}
		time.Sleep(time.Millisecond) // or the kernel joins them
	}
	return n, nil
}

// TestPendingLimit: beyond the limit the oldest connection is closed, so a newer one
// always gets its turn.
func TestPendingLimit(t *testing.T) {
	dir := shortDir(t)
	a := start(t, dir, "a.localhost")
	var silent []net.Conn
	for range maxPending + 10 {
		silent = append(silent, dialed(t, a.https, string([]byte{recordHandshake})))
	}
	a.overTLS("a.localhost").reaches(a)
	_ = silent[0].SetReadDeadline(time.Now().Add(soon))
	if _, err := silent[0].Read(make([]byte, 1)); err == nil {
		t.Error("the oldest connection was answered")
	}
}

// TestSilentConnectionEnds waits for the time that a connection may take.
func TestSilentConnectionEnds(t *testing.T) {
	dir := shortDir(t)
	a := start(t, dir, "a.localhost")
	c := dialed(t, a.https, string([]byte{recordHandshake, 3}))
	_ = c.SetReadDeadline(time.Now().Add(soon + helloTimeout))
	switch n, err := c.Read(make([]byte, 1)); {
	case n > 0:
		t.Error("the connection was answered")
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.Error("the connection stays open")
	}
}

// TestClientThatReset: a connection that its client has reset before the project takes it
// is not the project's trouble: package net has no remote address for it.
func TestClientThatReset(t *testing.T) {
	dir := shortDir(t)
	a := start(t, dir, "a.localhost")
	w := wireTo(t, dir)
	must(t, w.sendJSON(kindHello, hello{Version: version}))
	must(t, w.sendJSON(kindNames, names{Names: namesOf("b.localhost")}))
	for range 2 {
		m, err := w.receive()
		must(t, err)
		m.close()
	}
	client := dialed(t, a.http, requestForB)
	m, err := w.receive() // the connection is on its way
	must(t, err)
	must(t, client.(*net.TCPConn).SetLinger(0))
	client.Close()
	eventually(t, "the reset arrives", func() bool {
		var state int
		must(t, withDescriptor(m.files[0], func(fd int) error {
			_, state = 0, 0
			_, err := unix.Getpeername(fd)
			if err != nil {
				state = 1
			}
			return nil
		}))
		return state == 1
	})
	if c, err := m.connection(); !errors.Is(err, errLeft) {
		t.Errorf("got %v, %v", c, err)
	}
}
