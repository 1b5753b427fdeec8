package forward

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"sync"
)

// bufferSize is what is read of a body at once. A full buffer passes net/http's
// own 4 KB buffer without a copy.
const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// respond carries the upstream's response to the visitor.
func (u *Upstream) respond(w http.ResponseWriter, res *http.Response, x Exchange) error {
	defer res.Body.Close()
	copyResponseHeader(w.Header(), res.Header, x.Match.Route)
	announceTrailers(w.Header(), res.Trailer)
	announced := len(res.Trailer)
	w.WriteHeader(res.StatusCode)

	flow := &flow{w: w, control: http.NewResponseController(w), left: res.ContentLength}
	src := io.Reader(res.Body)
	if isEventStream(res) {
		stream := u.streams.openEvents(x.Match.Route.ID, res.Body)
		defer u.streams.remove(stream)
		src = stream
	}
	if res.ContentLength < 0 {
		flow.flush() // the visitor learns of the answer before its first byte
	}
	if err := flow.copy(src); err != nil {
		return errors.Join(ErrAborted, err)
	}
	sendTrailers(w.Header(), res.Trailer, announced)
	return nil
}

func isEventStream(res *http.Response) bool {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return kind == "text/event-stream"
}

// announceTrailers names the trailers that are known before the body
// (RFC 9110 section 6.6.2).
func announceTrailers(header, trailer http.Header) {
	for name := range trailer {
		header.Add("Trailer", name)
	}
}

// sendTrailers sets what has arrived after the body. net/http sends unannounced
// ones under a prefix.
func sendTrailers(header, trailer http.Header, announced int) {
	prefix := ""
	if len(trailer) != announced {
		prefix = http.TrailerPrefix
	}
	for name, values := range trailer {
		header[prefix+name] = values
	}
}

// flow is a response's body on its way to the visitor.
type flow struct {
	w       io.Writer
	control *http.ResponseController
	left    int64 // bytes to come; negative when not known
}

// copy carries src on as it comes: whatever one read gives is with the visitor
// before the next. Only a full buffer, which means that more is there, and the
// last bytes of a body of known length are left to net/http to send.
func (f *flow) copy(src io.Reader) error {
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	for {
		n, err := src.Read(buffer[:])
		if n > 0 {
			if _, err := f.w.Write(buffer[:n]); err != nil {
				return err
			}
			if f.left -= int64(n); n < len(buffer) && f.left != 0 {
				f.flush()
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (f *flow) flush() {
	_ = f.control.Flush() // a visitor who left is told by the next Write
}
