package front

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// maxPeek is the longest beginning of a connection that is searched for a name. A
// ClientHello with the keys of a post-quantum exchange has 2 KiB; browsers send the
// Host before any long field.
const maxPeek = 16 << 10

// recordHandshake is the first byte of a TLS connection (RFC 8446 section 5.1). No
// HTTP request begins with it.
const recordHandshake = 0x16

// nameIn returns the name that a connection is for, from its first bytes. known is
// false if more bytes are needed. The name is empty for a connection without one, or
// with a beginning that is not understood: the front's own project answers those.
func nameIn(begin []byte) (name string, known bool) {
	if len(begin) == 0 {
		return "", false
	}
	if begin[0] == recordHandshake {
		name, known = serverName(begin)
	} else {
		name, known = hostField(begin)
	}
	return canonical(name), known || len(begin) >= maxPeek
}

// canonical is a name without its port and final dot, in lower case.
func canonical(name string) string {
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// errHello ends a handshake after the ClientHello.
var errHello = errors.New("the ClientHello was read")

// serverName lets crypto/tls read the ClientHello, from as many records as it has.
func serverName(begin []byte) (name string, known bool) {
	source := &recorded{rest: begin}
	config := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		name, known = hello.ServerName, true
		return nil, errHello
	}}
	_ = tls.Server(source, config).Handshake() // always fails: the rest is for the owner of the name
	return name, known || !source.short
}

// recorded is a connection with a beginning only.
type recorded struct {
	rest  []byte
	short bool // more bytes were needed
}

func (r *recorded) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		r.short = true
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *recorded) Write(p []byte) (int, error)      { return len(p), nil } // an alert
func (r *recorded) Close() error                     { return nil }
func (r *recorded) LocalAddr() net.Addr              { return nil }
func (r *recorded) RemoteAddr() net.Addr             { return nil }
func (r *recorded) SetDeadline(time.Time) error      { return nil }
func (r *recorded) SetReadDeadline(time.Time) error  { return nil }
func (r *recorded) SetWriteDeadline(time.Time) error { return nil }

// hostField finds the first Host field. It need not be strict: the process that gets
// the connection reads the request itself, and answers for its own names alone.
func hostField(begin []byte) (name string, known bool) {
	for {
		line, rest, complete := bytes.Cut(begin, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if !complete {
			return "", false
		}
		if len(line) == 0 {
			return "", true // the header ends without a Host
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(field, []byte("Host")) {
			return string(bytes.TrimSpace(value)), true
		}
		begin = rest
	}
}
