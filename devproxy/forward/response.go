package forward

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// respond passes a response on. Once its head is written, breaking off is the only
// way to report an error.
func (f *forwarding) respond(res *http.Response) error {
	defer res.Body.Close()
	if res.StatusCode < 200 {
		return &UpstreamError{Member: f.member.Text, Err: fmt.Errorf("status %03d", res.StatusCode),
			Reason: "answered with a status that does not exist", Hint: "is this the right port?"}
	}
	if f.Inspect != nil {
		if err := f.Inspect(res); err != nil {
			return err
		}
	}
	f.writeHead(res)
	if isEventStream(res) && res.Body != http.NoBody {
		defer f.openStream(func() { f.cancel(errStreamClosed) })()
	}
	if err := f.copyBody(res); err != nil {
		return err
	}
	if err := splice.Trailers(f.w, res.Trailer, f.control.Flush); err != nil {
		return f.writeError(err)
	}
	return nil
}

func (f *forwarding) writeHead(res *http.Response) {
	header := f.w.Header()
	responseHeader(header, res.Header, f.route)
	f.setCookie(header)
	if names := field.TrailerNames(res.Trailer); len(names) > 0 {
		header["Trailer"] = names
		if f.r.ProtoMajor == 1 {
			// Only chunks have trailers after them (RFC 9112 section 7.1.2); an HTTP/2
			// upstream may have sent the length as well.
			delete(header, "Content-Length")
		}
	}
	if f.bodyPending() {
		header.Set("Connection", "close")
	}
	f.Report.Status = res.StatusCode
	f.w.WriteHeader(res.StatusCode)
}

// copyBody passes the body on as it arrives.
func (f *forwarding) copyBody(res *http.Response) error {
	start := time.Now()
	readErr, writeErr := splice.Body(res, func(p []byte, flush bool) error {
		if f.Report.BytesOut == 0 {
			f.member.conns.delays.note(time.Since(start))
		}
		n, err := f.w.Write(p)
		f.Report.BytesOut += int64(n)
		if err != nil || !flush {
			return err
		}
		return f.control.Flush()
	}, f.control.Flush)
	switch {
	case writeErr != nil:
		return f.writeError(writeErr)
	case readErr != nil:
		return f.readError(readErr)
	}
	return nil
}

// readError is the error of a response that the upstream broke off.
func (f *forwarding) readError(err error) error {
	switch {
	case errors.Is(context.Cause(f.ctx), errStreamClosed):
		return nil // an event stream may end anywhere
	case f.r.Context().Err() != nil:
		return ErrClientGone
	case f.body != nil && f.body.fault() != nil:
		return errors.Join(ErrAborted, f.body.fault())
	}
	return fmt.Errorf("%w: the response of upstream %s broke off: %w", ErrAborted, f.member.Text, err)
}

// writeError is the error of a response that could not be written.
func (f *forwarding) writeError(err error) error {
	if errors.Is(err, http.ErrBodyNotAllowed) || errors.Is(err, http.ErrContentLength) {
		return fmt.Errorf("%w: upstream %s sent a body where none is allowed: %w", ErrAborted, f.member.Text, err)
	}
	return ErrClientGone
}

func isEventStream(res *http.Response) bool {
	kind := res.Header.Get("Content-Type")
	if !strings.HasPrefix(kind, "text/event-stream") { // most are not
		return false
	}
	kind, _, err := mime.ParseMediaType(kind)
	return err == nil && kind == "text/event-stream"
}
