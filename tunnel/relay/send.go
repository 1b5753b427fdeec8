package relay

import (
	"bufio"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/message"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// send writes the head of the request, and starts its body on the way.
func (x *exchange) send() error {
	if x.r.ProtoMajor == 1 {
		// Otherwise the server reads the body to its end before it answers.
		_ = x.control.EnableFullDuplex() // it is HTTP/1
	}
	head := bufio.NewWriter(x.agentConn)
	if err := x.writeRequest(head); err != nil {
		return err
	}
	if err := head.Flush(); err != nil {
		return err
	}
	if x.r.ContentLength == 0 {
		return nil
	}
	x.upload = &upload{x: x, begin: make(chan struct{}), done: make(chan struct{}), stop: make(chan struct{})}
	if !x.expects() {
		x.continueUpload()
	}
	x.hold(uploadCost(x.r)) // until the visit ends: what came may stay unread
	go x.upload.run()
	return nil
}

// writeRequest writes the head of the request (RFC 9112 section 3). One
// request is all that the stream carries.
func (x *exchange) writeRequest(to *bufio.Writer) error {
	fields := requestFields(x.r)
	if x.upgrade != "" {
		fields["Connection"], fields["Upgrade"] = []string{"Upgrade"}, []string{x.upgrade}
	}
	if names := field.TrailerNames(x.r.Trailer); len(names) > 0 && x.r.ContentLength != 0 {
		fields["Trailer"] = []string{strings.Join(names, ", ")}
	}
	switch {
	case x.chunked():
		fields["Transfer-Encoding"] = []string{"chunked"}
	case x.r.Header["Content-Length"] != nil:
		fields["Content-Length"] = []string{fmt.Sprint(x.r.ContentLength)}
	}
	fmt.Fprintf(to, "%s %s HTTP/1.1\r\nHost: %s\r\n", x.r.Method, target(x.r), x.at.full)
	if err := fields.Write(to); err != nil {
		return err
	}
	_, err := to.WriteString("\r\n")
	return err
}

// chunked is how a body is framed whose length is not known, or that has
// trailers behind it.
func (x *exchange) chunked() bool {
	return x.r.ContentLength < 0 || x.r.ContentLength > 0 && len(field.TrailerNames(x.r.Trailer)) > 0
}

// expects is whether the visitor waits for a 100 (Continue) before its body.
func (x *exchange) expects() bool { return field.Has(x.r.Header["Expect"], "100-continue") }

// continueUpload lets the body begin; it may be called again.
func (x *exchange) continueUpload() {
	if x.upload != nil {
		x.upload.once.Do(func() { close(x.upload.begin) })
	}
}

// stopUpload ends the exchange with whatever of the body has come. net/http
// must not be left with a reader: it reads the next request itself.
func (x *exchange) stopUpload() {
	if x.upload == nil {
		return
	}
	select {
	case <-x.upload.done:
	default:
		if x.status != 0 {
			_ = x.flush() // the visitor need not wait for what follows
		}
		x.upload.interrupt()
		<-x.upload.done
	}
	x.in = x.upload.bytes
	x.unread = x.r.ProtoMajor == 1 && x.upload.bytes > 0 && !x.upload.complete()
}

// lingerTimeout is how long a visitor who was answered early has to hear it.
const lingerTimeout = 500 * time.Millisecond

// linger reads on for a moment when not all of a body was wanted: a connection
// that is closed with bytes unread is reset, which takes the response from a
// visitor who is still sending (RFC 9112 section 9.6).
func (v *visit) linger() {
	if !v.unread || v.bounded(v.control.Flush) != nil {
		return
	}
	v.readBy(time.Now().Add(lingerTimeout))
	_, _ = io.Copy(io.Discard, v.r.Body)
}

// upload carries the body of a request.
type upload struct {
	x     *exchange
	once  sync.Once
	begin chan struct{} // closed when the body is wanted
	stop  chan struct{} // closed when it is wanted no more
	done  chan struct{} // closed when run has returned

	mu      sync.Mutex
	stopped bool

	whole atomic.Bool
	fault atomic.Pointer[error] // the visitor's
	bytes int64                 // read; run's until done
}

// complete is whether all of the body has been read.
func (u *upload) complete() bool { return u.whole.Load() }

// visitorErr is why the visitor did not send all of the body; nil when it has,
// or may still.
func (x *exchange) visitorErr() error {
	if x.upload == nil {
		return nil
	}
	ended := x.r.Context().Err() != nil
	if ended {
		<-x.upload.done // net/http ends the context before a failed read returns
	}
	if err := x.upload.fault.Load(); err != nil {
		return *err
	}
	if malformed := message.BodyFault(x.r, nil); ended && malformed != nil {
		// The stream was reset while what came before the fault was written.
		return &malformedError{malformed}
	}
	return nil
}

// interrupt ends run, whether it waits for the visitor or for the agent.
func (u *upload) interrupt() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
	close(u.stop)
	u.x.Reset()
	switch {
	case u.complete():
	case u.x.r.ProtoMajor == 1: // an interrupted read could not be followed by another
		u.x.readBy(time.Now().Add(lingerTimeout))
	default:
		u.x.readBy(time.Unix(1, 0))
	}
}

// mayRead bounds the next read; false after interrupt.
func (u *upload) mayRead() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.stopped {
		u.x.readBy(u.x.relay.stall())
	}
	return !u.stopped
}

func (u *upload) run() {
	defer close(u.done)
	patience := time.NewTimer(expectPatience)
	defer patience.Stop()
	select {
	case <-u.begin:
	case <-patience.C:
	case <-u.stop:
		return
	case <-u.x.r.Context().Done():
		return
	}
	u.carry()
}

// carry copies the body. What cannot be written is the agent's to explain: it
// has answered early, or is gone, which reading tells.
func (u *upload) carry() {
	var to io.WriteCloser = nopCloser{u.x.agentConn}
	if u.x.chunked() {
		to = httputil.NewChunkedWriter(u.x.agentConn)
	}
	buf := splice.NewBlock()
	defer buf.Free()
	for u.mayRead() {
		n, err := u.x.r.Body.Read(buf[:])
		u.bytes += int64(n)
		u.x.slot.touch()
		if err == io.EOF {
			u.ended()
		}
		if n > 0 {
			u.x.account.Touch()
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err == io.EOF {
			u.finish(to)
			return
		}
		if err != nil {
			u.failed(err)
			return
		}
	}
}

// ended notes that the body has come; net/http reads the connection next.
func (u *upload) ended() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.whole.Store(true)
	if u.x.slot != nil {
		u.x.slot.uploading.Store(false)
	}
	u.x.readBy(time.Time{})
}

// finish writes what follows the last byte.
func (u *upload) finish(to io.Closer) {
	if to.Close() != nil || !u.x.chunked() {
		return
	}
	end := bufio.NewWriter(u.x.agentConn)
	_ = field.Trailers(u.x.r.Trailer).Write(end) // Flush tells
	_, _ = end.WriteString("\r\n")
	_ = end.Flush() // reading tells
}

// failed notes a visitor who does not send what was announced: there is
// nothing that the agent could make of it.
func (u *upload) failed(err error) {
	select {
	case <-u.stop:
		return // it is us who end the reading
	default:
	}
	malformed := message.BodyFault(u.x.r, err)
	err = fmt.Errorf("the visitor's body broke off: %w", err)
	if malformed != nil {
		err = &malformedError{malformed}
	}
	u.fault.Store(&err)
	u.x.Reset()
}

// malformedError is a body whose framing is broken by a visitor who is still
// there (400).
type malformedError struct{ error }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
