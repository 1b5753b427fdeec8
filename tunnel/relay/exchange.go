package relay

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/page"
	"github.com/devproxy/devproxy/tunnel/splice"
)

const (
	// maxHead bounds the head of a response: agents are strangers too. It is above
	// what devproxy takes from a dev server, 1 MiB, with room for longer names, so
	// that no response which the developer's log has as passed on fails here.
	maxHead = 2 << 20
	// maxHints bounds the interim responses of one exchange.
	maxHints = 100
	// expectPatience is how long an expected 100 (Continue) is waited for; a
	// client sends its body then too (RFC 9110 section 10.1.1).
	expectPatience = 3 * time.Second
	// maxTries bounds how often a request that can be repeated is sent, when
	// sessions end under it.
	maxTries = 3
)

// agentConn is what an exchange runs on: a *tunnel.Stream.
type agentConn interface {
	net.Conn
	CloseWrite() error
	Reset()
}

// forward passes the request to the agent and its response back. Before the
// response begins, a lost session is no error for a request that may be
// repeated.
func (v *visit) forward() error {
	for try := 1; ; try++ {
		err := v.exchange()
		var broken *brokenError
		if !errors.As(err, &broken) || !broken.lost || try == maxTries || !v.repeatable() || v.r.Context().Err() != nil {
			return err
		}
	}
}

// repeatable is whether nothing is changed by sending the request again
// (RFC 9110 section 9.2.2), and all of it is still there.
func (v *visit) repeatable() bool {
	switch v.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return v.r.ContentLength == 0 && field.Upgrade(v.r) == ""
	}
	return false
}

// awaitsPage reports whether a person waits for the response, who can be shown a
// page that asks again.
func (v *visit) awaitsPage() bool {
	return v.repeatable() && v.r.Method != http.MethodOptions && page.Navigates(v.r)
}

// exchange is one attempt, on one stream.
type exchange struct {
	*visit
	opened
	upgrade string
	upload  *upload // nil for a request without a body
	watch   *watch  // until the response begins; nil where no person waits
}

func (v *visit) exchange() error {
	person := v.awaitsPage()
	st, err := v.relay.open(v.r.Context(), v.at.name, v.addr.Addr(), v.at.head("https", v.addr), person)
	if err != nil {
		return err
	}
	defer func() { st.close(v.r.Context().Err() != nil) }()
	defer context.AfterFunc(v.r.Context(), st.Reset)()

	x := &exchange{visit: v, opened: st}
	if person && st.share != nil {
		x.watch = st.watch()
		defer x.watch.stop()
	}
	err = x.run()
	if x.watch != nil && x.watch.stop() {
		return errAway
	}
	if st.gaveWay() && v.status == 0 {
		return errBusy
	}
	return err
}

func (x *exchange) run() error {
	v := x.visit
	if x.slot != nil {
		x.slot.uploading.Store(v.r.ContentLength != 0)
		x.slot.onEviction(x.Reset)
	}
	if v.r.ContentLength == 0 {
		x.upgrade = field.Upgrade(v.r) // nobody sends a body in front of another protocol
	}
	if err := x.send(); err != nil {
		return x.broken(err)
	}
	defer x.stopUpload()
	return x.receive()
}

// broken is err, before the response began.
func (x *exchange) broken(err error) error { return &brokenError{err: err, lost: x.lost()} }

// receive reads the response and passes it on.
func (x *exchange) receive() error {
	head := &headReader{Reader: x.agentConn, visit: x.visit}
	limited := &io.LimitedReader{R: head, N: maxHead}
	from := bufio.NewReader(limited)
	res, err := x.readHead(from)
	if err != nil {
		if fault := x.visitorErr(); fault != nil {
			return fault
		}
		return x.broken(err)
	}
	if x.watch != nil && x.watch.stop() {
		return x.broken(errAway)
	}
	limited.N = math.MaxInt64
	head.finish(res.Header)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return x.switchProtocols(res, from)
	}
	defer res.Body.Close()
	x.writeHead(res)
	if err := x.copyBody(res); err != nil {
		return &brokenError{err: err, answered: true}
	}
	return x.writeTrailer(res)
}

// readHead reads up to the final response, and acts on interim ones.
func (x *exchange) readHead(from *bufio.Reader) (*http.Response, error) {
	for range maxHints {
		res, err := http.ReadResponse(from, &http.Request{Method: x.r.Method})
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("the agent closed the stream without a response: %w", err)
		case err != nil:
			return nil, err
		case res.StatusCode < 100: // net/http reads three digits
			return nil, fmt.Errorf("the agent answered with the status %d", res.StatusCode)
		case res.StatusCode == http.StatusContinue:
			x.continueUpload()
		case res.StatusCode == http.StatusSwitchingProtocols || res.StatusCode >= 200:
			return res, nil
		default:
			x.hint(res)
		}
	}
	return nil, fmt.Errorf("the agent sent %d interim responses", maxHints)
}

// hint passes an interim response on (RFC 9110 section 15.2): Link, and the
// policy for what it names. No other field has a meaning there, and a cookie
// would pass dropWideCookies by.
func (x *exchange) hint(res *http.Response) {
	if !x.r.ProtoAtLeast(1, 1) {
		return
	}
	h := x.w.Header()
	kept := h.Clone()
	for _, name := range [...]string{"Link", "Referrer-Policy"} {
		if values, ok := res.Header[name]; ok {
			h[name] = values
		}
	}
	_ = x.bounded(func() error {
		x.w.WriteHeader(res.StatusCode)
		return nil
	})
	clear(h)
	for name, values := range kept {
		h[name] = values
	}
}

func (x *exchange) writeHead(res *http.Response) {
	h := x.w.Header()
	field.CopyResponse(h, res.Header)
	dropWideCookies(h, x.claimed.zone, x.at.name)
	if names := field.TrailerNames(res.Trailer); len(names) > 0 {
		h["Trailer"] = names // the body came in chunks: it has no Content-Length
	}
	early := x.upload != nil && !x.upload.complete()
	if x.r.ProtoMajor == 1 && (early || x.relay.leaving()) {
		// What still comes of the request must not be taken for the next one.
		h.Set("Connection", "close")
	}
	x.status = res.StatusCode
	if x.slot != nil {
		x.slot.uploading.Store(false) // from here on either direction may rest
	}
	x.w.WriteHeader(res.StatusCode)
}

// copyBody passes the body on as it comes.
func (x *exchange) copyBody(res *http.Response) error {
	x.hold(splice.BlockSize)
	defer x.hold(-splice.BlockSize)
	readErr, writeErr := splice.Body(res, x.write)
	return cmp.Or(writeErr, readErr)
}

func (x *exchange) write(p []byte, flush bool) error {
	if len(p) > 0 {
		x.account.Touch()
	}
	return x.bounded(func() error {
		n, err := x.w.Write(p)
		x.out += int64(n)
		x.slot.touch()
		if err != nil || !flush {
			return err
		}
		return x.control.Flush()
	})
}

func (x *exchange) flush() error { return x.bounded(x.control.Flush) }

// writeTrailer sends the fields that came after the body, announced or not.
func (x *exchange) writeTrailer(res *http.Response) error {
	if err := splice.Trailers(x.w, res.Trailer, x.flush); err != nil {
		return &brokenError{err: err, answered: true}
	}
	return nil
}
