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

const (
	// expectPatience is how long the relay waits for an expected 100 (Continue)
	// before it reads the body; clients send it then too (RFC 9110 section 10.1.1).
	expectPatience = 3 * time.Second
	// lingerTimeout is how long a visitor that was answered early has to read the
	// response.
	lingerTimeout = 500 * time.Millisecond
)

// send writes the head of the request, and starts its upload.
func (x *exchange) send() error {
	if x.r.ProtoMajor == 1 {
		// Otherwise the server reads the whole body before it answers.
		_ = x.control.EnableFullDuplex() // never fails for HTTP/1
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
	if !field.Has(x.r.Header["Expect"], "100-continue") {
		x.continueUpload()
	}
	x.charge(uploadCost(x.r)) // until the visit ends: some of it may stay unread
	go x.upload.run()
	return nil
}

// writeRequest writes the head of the request (RFC 9112 section 3). The stream
// carries this one request.
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

// chunked reports whether the body is sent in chunks: its length is unknown, or it
// has trailers.
func (x *exchange) chunked() bool {
	return x.r.ContentLength < 0 || x.r.ContentLength > 0 && len(field.TrailerNames(x.r.Trailer)) > 0
}

// continueUpload lets the body begin; it may be called again.
func (x *exchange) continueUpload() {
	if x.upload != nil {
		x.upload.once.Do(func() { close(x.upload.begin) })
	}
}

// stopUpload ends the upload, complete or not. It waits for the end: net/http reads
// the next request from the same connection.
func (x *exchange) stopUpload() {
	u := x.upload
	if u == nil {
		return
	}
	select {
	case <-u.done:
	default:
		if x.status != 0 {
			_ = x.flush() // the visitor need not wait for the rest
		}
		u.interrupt()
		<-u.done
	}
	x.in = u.bytes
	x.unread = x.r.ProtoMajor == 1 && u.bytes > 0 && !u.complete.Load()
}

// visitorErr returns why the visitor did not send all of the body. It is nil when
// the visitor has, or still may.
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
		// The stream was reset while the bytes before the fault were written.
		return &malformedError{malformed}
	}
	return nil
}

// linger reads for a moment the rest of a body that the agent did not read.
// Closing a connection with unread bytes resets it, and a visitor that is still
// sending would lose the response (RFC 9112 section 9.6).
func (v *visit) linger() {
	if !v.unread || v.withWriteDeadline(v.control.Flush) != nil {
		return
	}
	v.setReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.Copy(io.Discard, v.r.Body)
}

// upload carries the body of a request.
type upload struct {
	x     *exchange
	once  sync.Once
	begin chan struct{} // closed when the agent is ready for the body
	stop  chan struct{} // closed by interrupt
	done  chan struct{} // closed when run has returned

	mu      sync.Mutex
	stopped bool

	complete atomic.Bool           // all of the body was read
	fault    atomic.Pointer[error] // of the visitor
	bytes    int64                 // read; belongs to run until done
}

// interrupt ends run, which may be waiting for the visitor or for the agent.
func (u *upload) interrupt() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
	close(u.stop)
	u.x.Reset()
	switch {
	case u.complete.Load():
	case u.x.r.ProtoMajor == 1: // no read could follow an interrupted one
		u.x.setReadDeadline(time.Now().Add(lingerTimeout))
	default:
		u.x.setReadDeadline(past)
	}
}

// mayRead sets the deadline of the next read. It reports false after interrupt.
func (u *upload) mayRead() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.stopped {
		u.x.setReadDeadline(u.x.relay.stallDeadline())
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

// carry copies the body. It returns when a write fails: the agent has answered
// early or has ended, which reading the response shows.
func (u *upload) carry() {
	var to io.Writer = u.x.agentConn
	var chunks io.WriteCloser // nil for a body with a known length
	if u.x.chunked() {
		chunks = httputil.NewChunkedWriter(to)
		to = chunks
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
			u.finish(chunks)
			return
		}
		if err != nil {
			u.failed(err)
			return
		}
	}
}

// ended notes that the body is complete; net/http reads the connection next.
func (u *upload) ended() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.complete.Store(true)
	u.x.slot.uploading.Store(false)
	u.x.setReadDeadline(time.Time{})
}

// finish writes the last chunk and the trailers of a chunked body.
func (u *upload) finish(chunks io.WriteCloser) {
	if chunks == nil || chunks.Close() != nil {
		return
	}
	end := bufio.NewWriter(u.x.agentConn)
	_ = field.Trailers(u.x.r.Trailer).Write(end) // Flush returns its error
	_, _ = end.WriteString("\r\n")
	_ = end.Flush() // reading the response shows the error
}

// failed resets the stream when the visitor does not send the announced body:
// the agent could not use the part that arrived.
func (u *upload) failed(err error) {
	select {
	case <-u.stop:
		return // interrupt has ended the read
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
