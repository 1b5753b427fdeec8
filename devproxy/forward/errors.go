package forward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/neterror"
	"github.com/devproxy/devproxy/tunnel/page"
)

var (
	// ErrRetired is returned when the upstream was retired, or the request's route
	// closed, before anything was sent. The request can be matched again.
	ErrRetired = errors.New("the plan changed while the request waited")
	// ErrAborted is returned when no complete answer is possible any more: it has
	// begun and broke off, or the client has left or sent a broken request. The
	// connection (the stream, in HTTP/2) must be cut.
	ErrAborted = errors.New("the exchange was cut off")
	// ErrEvicted is an ErrAborted because the request's body held the most memory
	// when memory was short.
	ErrEvicted = fmt.Errorf("%w: its body held too much memory", ErrAborted)
	// ErrClientGone is an ErrAborted because the client has left.
	ErrClientGone = fmt.Errorf("%w: the client disconnected", ErrAborted)
)

// LoopError is a request that came back to the devproxy that sent it (508,
// RFC 5842 section 7.2).
type LoopError struct {
	Upstream string // the answer of the route that leads back: ":3000"
}

func (e *LoopError) Error() string {
	return fmt.Sprintf("upstream %s leads back to devproxy", e.Upstream)
}

// Page implements page.Error.
func (e *LoopError) Page() page.Page {
	return page.Page{
		Status: http.StatusLoopDetected, Title: "This route leads back to devproxy.",
		Hints: []string{"Use the dev server's port in the route, not devproxy's."},
	}
}

// BodyError is a request whose body broke off or was malformed before the upstream
// answered (400).
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "can't read the request's body: " + e.Err.Error() }

// Unwrap returns Err.
func (e *BodyError) Unwrap() error { return e.Err }

// Page implements page.Error.
func (e *BodyError) Page() page.Page {
	return page.Page{Status: http.StatusBadRequest, Title: "The body of this request is incomplete."}
}

// Unavailable describes an upstream that refuses connections.
type Unavailable struct {
	Attempts []Attempt
	// Waited is how long the request was held.
	Waited time.Duration
}

// notReady is the error of a connection that Options.Dial refused itself, since a service
// is not ready: "web is starting". Its text says more than the address.
type notReady interface {
	error
	NotReady() bool
}

// String is "nothing listens on 127.0.0.1:5173 or [::1]:5173".
func (u Unavailable) String() string {
	addrs := make([]string, len(u.Attempts))
	for i, a := range u.Attempts {
		addrs[i] = a.Addr
		if err, ok := errors.AsType[notReady](a.Err); ok && err.NotReady() {
			return err.Error()
		}
		if errors.Is(a.Err, errClosedAtOnce) || neterror.Broken(a.Err) {
			return a.Addr + " closes every connection at once: what it forwards to is not running yet"
		}
	}
	return "nothing listens on " + strings.Join(addrs, " or ")
}

// WaitingError is a navigation to an upstream that refuses connections: the client
// gets the waiting page (503).
type WaitingError struct{ Unavailable }

func (e *WaitingError) Error() string { return e.String() }

// UnavailableError is any other request to an upstream that refused for as long as
// the request was held (503).
type UnavailableError struct {
	Unavailable
	// Full is true when the request was not held, since too many others are.
	Full bool
}

func (e *UnavailableError) Error() string {
	if e.Full {
		return e.String() + ", and too many requests are waiting for it already"
	}
	return fmt.Sprintf("%s, after %s", e.String(), e.Waited.Round(time.Millisecond))
}

// UpstreamError is an upstream that returned no usable response (502). It was
// reached, or it failed in another way than by refusing connections.
type UpstreamError struct {
	Member string // ":3000"
	// Reason says what went wrong: "closed the connection before it answered". Hint
	// is the fix; it may be empty.
	Reason, Hint string
	Err          error
}

func (e *UpstreamError) Error() string {
	text := "upstream " + e.Member + " " + e.Reason
	if detail := cause(e.Err); !strings.Contains(e.Reason, detail) {
		text += " (" + detail + ")"
	}
	return text
}

// Unwrap returns the transport's own error.
func (e *UpstreamError) Unwrap() error { return e.Err }

// Page implements page.Error.
func (e *UpstreamError) Page() page.Page {
	p := page.Page{Status: http.StatusBadGateway, Title: "The upstream did not return a valid response."}
	if e.Hint != "" {
		p.Hints = []string{strings.ToUpper(e.Hint[:1]) + e.Hint[1:]}
	}
	return p
}

// TimeoutError is an upstream that did not answer within the route's timeout (504).
type TimeoutError struct {
	Member  string
	Timeout time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("upstream %s did not answer within %s", e.Member, e.Timeout)
}

// Page implements page.Error.
func (e *TimeoutError) Page() page.Page {
	return page.Page{
		Status: http.StatusGatewayTimeout, Title: "The upstream timed out.",
		Hints: []string{fmt.Sprintf("If it normally takes that long, raise `timeout` (now %q) or remove it.", e.Timeout)},
	}
}

// describe turns an error of the transport into one that says what to do.
func describe(m *member, err error) *UpstreamError {
	reason, hint := reasonFor(m, err)
	return &UpstreamError{Member: m.Text, Reason: reason, Hint: hint, Err: err}
}

// reasonFor recognises some errors of net/http by their text: they have no types.
func reasonFor(m *member, err error) (reason, hint string) {
	const seeOutput = "its output may say why; it may have crashed or be restarting"
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(err.Error(), part) })
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "has a name that does not resolve", "check the spelling of " + dns.Name + " and your network"
	}
	switch {
	case is[tls.RecordHeaderError](err), says("server gave HTTP response to HTTPS client"):
		return "does not speak TLS", `write "http://" instead of "https://"`
	case is[x509.UnknownAuthorityError](err):
		return "has a certificate from an unknown authority", "if you trust it: tls_skip_verify = true"
	case is[*tls.CertificateVerificationError](err):
		return "has a certificate that is not valid for it", "if you trust it anyway: tls_skip_verify = true"
	case is[tls.AlertError](err):
		return "refused the TLS handshake", "check the name in the URL: devproxy asks the upstream for it"
	case says(`\x15\x03`, "HTTP request to an HTTPS server"):
		return "speaks TLS", `write "https://" before its address`
	case says("malformed HTTP response") && says(`\x00\x00`):
		return "speaks HTTP/2 without TLS", `write "h2c://" before its address`
	case m.Scheme == plan.SchemeH2C && says("frame too large", "could not be established", "HTTP/1.1"):
		return "does not speak HTTP/2 without TLS", `write "http://" instead of "h2c://"`
	case says("server response headers exceeded"):
		return "sent a header of more than 1 MiB", "look for a cookie or header field that grows"
	case says("malformed", "invalid header", "Content-Length", "unsupported transfer encoding", "too many transfer encodings"):
		return "answered with something that is not HTTP", "is this the right port?"
	case neterror.Broken(err):
		return "reset the connection before it answered", seeOutput
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), says("server closed idle connection"):
		return "closed the connection before it answered", seeOutput
	case is[*dialError](err):
		return "can't be reached", "check its address and your network"
	case isTimeout(err):
		return "did not answer the TLS handshake", seeOutput
	case says("http2:", "connection broken"):
		return "lost the connection before it answered", seeOutput
	}
	return "failed", ""
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// isRefusal reports whether nothing listens there. A missing unix socket counts.
func isRefusal(err error) bool {
	return neterror.Refused(err) || errors.Is(err, fs.ErrNotExist)
}

// isNoAddress reports whether this machine has no way to an address: ::1 without
// IPv6.
func isNoAddress(err error) bool {
	return neterror.Absent(err) || neterror.Unreachable(err)
}

// hungUp reports whether the other side closed or cut a connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || neterror.Broken(err)
}

// cause is the last and most exact part of a network error.
func cause(err error) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such socket"
	case isRefusal(err):
		return "connection refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case isDNS:
		return dns.Err
	case isOp:
		return strings.TrimPrefix(op.Err.Error(), "connect: ")
	}
	return withoutPackages(err.Error())
}

// packages are what Go's libraries put before their errors: their own names, and
// names of their parts.
var packages = []string{
	"net/http", "http", "http2", "net/textproto", "textproto", "tls", "crypto/tls", "x509",
	"HTTP/1.x transport connection broken", "readLoopPeekFailLocked", "remote error", "local error",
}

// withoutPackages removes packages from the text of an error, so that it is about
// the upstream.
func withoutPackages(text string) string {
	parts := strings.Split(text, ": ")
	last := len(parts) - 1
	kept := slices.DeleteFunc(parts[:last:last], func(part string) bool { return slices.Contains(packages, part) })
	return strings.Join(append(kept, parts[last]), ": ")
}
