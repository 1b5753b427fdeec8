package forward

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// respond passes an answer on. From its head on, the only way to say that
// something went wrong is to break off.
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
	if isEventStream(res) {
		st := f.upstream.streams.add(f.route.ID, f.mark, &f.member.Member, func() { f.cancel(errStreamClosed) })
		defer f.upstream.streams.remove(st)
		defer f.upstream.streams.until(f.Over, st)()
	}
	if err := f.copyBody(res); err != nil {
		return err
	}
	return f.writeTrailer(res)
}

func (f *forwarding) writeHead(res *http.Response) {
	header := f.w.Header()
	responseHeader(header, res.Header, f.route)
	f.setSticky(header)
	if names := field.TrailerNames(res.Trailer); len(names) > 0 {
		header["Trailer"] = names
		if f.r.ProtoMajor == 1 {
			// Only chunks leave room for trailers (RFC 9112 section 7.1.2); an
			// HTTP/2 upstream may have told the length all the same.
			delete(header, "Content-Length")
		}
	}
	if f.body != nil && !f.body.complete() && f.r.ProtoMajor == 1 {
		// The answer is early. What still comes of the request must not be
		// taken for the next one.
		header.Set("Connection", "close")
	}
	f.Report.Status = res.StatusCode
	f.w.WriteHeader(res.StatusCode)
}

// copyBody passes the body on as it comes.
func (f *forwarding) copyBody(res *http.Response) error {
	start := time.Now()
	readErr, writeErr := splice.Body(res, func(p []byte, flush bool) error {
		if f.Report.BytesOut == 0 && len(p) > 0 {
			f.member.conns.noteBody(time.Since(start))
		}
		n, err := f.w.Write(p)
		f.Report.BytesOut += int64(n)
		if err != nil || !flush {
			return err
		}
		return f.control.Flush()
	})
	switch {
	case writeErr != nil:
		return f.visitorLost(writeErr)
	case readErr != nil:
		return f.broken(readErr)
	}
	return nil
}

// broken is an answer that ended before its end.
func (f *forwarding) broken(err error) error {
	switch {
	case f.streamClosed():
		return nil // an event stream that may end anywhere
	case f.r.Context().Err() != nil:
		return ErrVisitorGone
	case f.body != nil && f.body.fault() != nil:
		return errors.Join(ErrAborted, f.body.fault())
	}
	return fmt.Errorf("%w: the answer of upstream %s broke off: %w", ErrAborted, f.member.Text, err)
}

func (f *forwarding) visitorLost(err error) error {
	if errors.Is(err, http.ErrBodyNotAllowed) || errors.Is(err, http.ErrContentLength) {
		return fmt.Errorf("%w: upstream %s sent a body where none belongs: %w", ErrAborted, f.member.Text, err)
	}
	return ErrVisitorGone
}

// writeTrailer sends the fields that came after the body, announced or not.
func (f *forwarding) writeTrailer(res *http.Response) error {
	if err := splice.Trailers(f.w, res.Trailer, f.control.Flush); err != nil {
		return f.visitorLost(err)
	}
	return nil
}

func isEventStream(res *http.Response) bool {
	kind := res.Header.Get("Content-Type")
	if !strings.HasPrefix(kind, "text/event-stream") { // most are not
		return false
	}
	kind, _, err := mime.ParseMediaType(kind)
	return err == nil && kind == "text/event-stream"
}
