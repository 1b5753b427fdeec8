//go:build e2e && linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawH2 is an HTTP/2 client that sends the given frames and reads everything.
type rawH2 struct {
	conn *tls.Conn
	// gone is closed when the server has closed the connection.
	gone chan struct{}

	mu      sync.Mutex // of everything that is written
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32
}

// newRawH2 begins HTTP/2 on a connection. The caller closes it.
func newRawH2(conn *tls.Conn) (*rawH2, error) {
	h := &rawH2{conn: conn, gone: make(chan struct{}), framer: http2.NewFramer(conn, conn), next: 1}
	h.encoder = hpack.NewEncoder(&h.block)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return nil, err
	}
	if err := h.framer.WriteSettings(); err != nil {
		return nil, err
	}
	go h.read()
	return h, nil
}

// dialH2 is a rawH2 from an address to a name of the relay.
func (r *devRelay) dialH2(ctx context.Context, from, name string) (*rawH2, error) {
	conn, err := r.dialTLS(ctx, from, name, "h2")
	if err != nil {
		return nil, err
	}
	return newRawH2(conn)
}

// read answers the frames that need an answer, until the connection ends.
func (h *rawH2) read() {
	defer close(h.gone)
	frames := http2.NewFramer(nil, h.conn)
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = h.write(func() error { return h.framer.WriteSettingsAck() })
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				data := f.Data
				_ = h.write(func() error { return h.framer.WritePing(true, data) })
			}
		}
	}
}

func (h *rawH2) write(do func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return do()
}

// settings changes this end's settings.
func (h *rawH2) settings(settings ...http2.Setting) error {
	return h.write(func() error { return h.framer.WriteSettings(settings...) })
}

// request sends the head of a request; fields are "name", "value", …. Without
// end a body is announced that never comes.
func (h *rawH2) request(method, authority, path string, end bool, fields ...string) (stream uint32, err error) {
	return stream, h.write(func() error {
		stream = h.next
		h.next += 2
		h.block.Reset()
		all := append([]string{":method", method, ":scheme", "https", ":authority", authority, ":path", path}, fields...)
		for i := 0; i+1 < len(all); i += 2 {
			if err := h.encoder.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}); err != nil {
				return err
			}
		}
		return h.framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: stream, BlockFragment: h.block.Bytes(), EndStream: end, EndHeaders: true,
		})
	})
}

// reset gives a request up.
func (h *rawH2) reset(stream uint32) error {
	return h.write(func() error { return h.framer.WriteRSTStream(stream, http2.ErrCodeCancel) })
}

// isGone reports whether the server has closed the connection.
func (h *rawH2) isGone() bool {
	select {
	case <-h.gone:
		return true
	default:
		return false
	}
}

// close closes the connection and waits for the reader.
func (h *rawH2) close() {
	h.conn.Close()
	<-h.gone
}
