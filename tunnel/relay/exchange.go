package relay

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/page"
	"github.com/devproxy/devproxy/tunnel/splice"
)

const (
	// maxHead bounds the head of a response: agents are strangers too. It is more
	// than the 1 MiB that devproxy accepts from a dev server, with room for longer
	// names, so that a response which the developer's log shows as forwarded does not
	// fail here.
	maxHead = 2 << 20
	// maxHints bounds the interim responses of one exchange.
	maxHints = 100
	// maxTries bounds how often a repeatable request is sent when sessions end.
	maxTries = 3
)

// forward passes the request to the agent and the response to the visitor. When a
// session is lost before the response, it sends a repeatable request again.
func (v *visit) forward() error {
	for try := 1; ; try++ {
		err := v.exchange()
		broken, ok := errors.AsType[*brokenError](err)
		if !ok || !broken.lost || try == maxTries || !v.repeatable() || v.r.Context().Err() != nil {
			return err
		}
	}
}

// repeatable reports whether the request can be sent again: it changes nothing
// (RFC 9110 section 9.2.2), and no part of it was consumed.
func (v *visit) repeatable() bool {
	switch v.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return v.r.ContentLength == 0 && field.Upgrade(v.r) == ""
	}
	return false
}

// awaitsPage reports whether a person waits for the response, and can be shown a
// page that reloads itself.
func (v *visit) awaitsPage() bool {
	return v.repeatable() && v.r.Method != http.MethodOptions && page.Navigates(v.r)
}

// exchange is one attempt, on one stream.
type exchange struct {
	*visit
	requestStream
	upgrade string
	upload  *upload // nil for a request without a body
	// stopWatch ends watchAgent when the response begins; nil for a program.
	stopWatch func() (away bool)
}

func (v *visit) exchange() error {
	person := v.awaitsPage()
	st, err := v.relay.openStream(v.r.Context(), v.at.name, v.addr.Addr(), v.at.head("https", v.addr), person)
	if err != nil {
		return err
	}
	defer func() { st.close(v.r.Context().Err() != nil) }()
	defer context.AfterFunc(v.r.Context(), st.Reset)()

	x := &exchange{visit: v, requestStream: st}
	if person && st.share != nil {
		x.stopWatch = st.watchAgent()
		defer x.stopWatch()
	}
	err = x.run()
	switch {
	case x.stopWatch != nil && x.stopWatch():
		return errAway
	case st.lostSlot() && v.status == 0:
		return errBusy
	}
	return err
}

func (x *exchange) run() error {
	x.slot.uploading.Store(x.r.ContentLength != 0)
	x.slot.onEviction(x.Reset)
	if x.r.ContentLength == 0 {
		x.upgrade = field.Upgrade(x.r) // no client sends a body before another protocol
	}
	if err := x.send(); err != nil {
		return x.broken(err)
	}
	defer x.stopUpload()
	return x.receive()
}

// broken wraps an error before the response has begun.
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
	if x.stopWatch != nil && x.stopWatch() {
		return x.broken(errAway)
	}
	limited.N = math.MaxInt64
	head.finish(res.Header)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return x.switchProtocols(res, from)
	}
	defer res.Body.Close()
	x.writeHead(res)
	err = x.copyBody(res)
	if err == nil {
		err = splice.Trailers(x.w, res.Trailer, x.flush)
	}
	if err != nil {
		return &brokenError{err: err, answered: true}
	}
	return nil
}

// readHead reads up to the final response, and handles interim responses.
func (x *exchange) readHead(from *bufio.Reader) (*http.Response, error) {
	for range maxHints {
		res, err := http.ReadResponse(from, &http.Request{Method: x.r.Method})
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("the agent closed the stream without a response: %w", err)
		case err != nil:
			return nil, err
		case res.StatusCode < 100: // net/http accepts any three digits
			return nil, fmt.Errorf("the agent answered with the status %d", res.StatusCode)
		case res.StatusCode == http.StatusContinue:
			x.continueUpload()
		case res.StatusCode == http.StatusSwitchingProtocols || res.StatusCode >= 200:
			return res, nil
		default:
			x.passInterim(res)
		}
	}
	return nil, fmt.Errorf("the agent sent %d interim responses", maxHints)
}

// passInterim passes on an interim response (RFC 9110 section 15.2): Link, and the
// policy for what it names. No other field has a meaning there, and a cookie would
// bypass dropWideCookies.
func (x *exchange) passInterim(res *http.Response) {
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
	_ = x.withWriteDeadline(func() error {
		x.w.WriteHeader(res.StatusCode)
		return nil
	})
	clear(h)
	maps.Copy(h, kept)
}

func (x *exchange) writeHead(res *http.Response) {
	h := x.w.Header()
	field.CopyResponse(h, res.Header)
	dropWideCookies(h, x.claimed.zone, x.at.name)
	if names := field.TrailerNames(res.Trailer); len(names) > 0 {
		h["Trailer"] = names // the body is chunked: it has no Content-Length
	}
	early := x.upload != nil && !x.upload.complete.Load()
	if x.r.ProtoMajor == 1 && (early || x.relay.leaving()) {
		// The rest of the request must not be read as the next one.
		h.Set("Connection", "close")
	}
	x.status = res.StatusCode
	x.slot.uploading.Store(false) // from here on, either direction may be idle
	x.w.WriteHeader(res.StatusCode)
}

// copyBody passes the body on as it arrives.
func (x *exchange) copyBody(res *http.Response) error {
	if res.Body == http.NoBody {
		return nil
	}
	x.charge(splice.BlockSize)
	defer x.charge(-splice.BlockSize)
	readErr, writeErr := splice.Body(res, x.write, x.flush)
	return cmp.Or(writeErr, readErr)
}

func (x *exchange) write(p []byte, flush bool) error {
	x.account.Touch()
	return x.withWriteDeadline(func() error {
		n, err := x.w.Write(p)
		x.out += int64(n)
		x.slot.touch()
		if err != nil || !flush {
			return err
		}
		return x.control.Flush()
	})
}

func (x *exchange) flush() error { return x.withWriteDeadline(x.control.Flush) }
