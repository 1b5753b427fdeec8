package devproxy

import (
	"io"
	"net/http"
	"time"

	"github.com/devproxy/devproxy/tunnel/page"
)

const (
	// bodyLingerBytes and bodyLingerTime bound what is read of a request's body after
	// it was answered without it; net/http's own bounds for HTTP/1.
	bodyLingerBytes = 256 << 10
	bodyLingerTime  = 500 * time.Millisecond
)

// linger takes in the body of an HTTP/2 request that was answered without it.
// What of it is under way would otherwise reach a stream that is closed, and
// clients (curl is one) take the reset that follows for a failure of the answer
// (RFC 9113 section 5.1). net/http does it for HTTP/1 only. Who waits to be told
// to send a body, and gRPC, whose streams stay open, wait for nothing.
func linger(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 || r.Body == nil || r.Body == http.NoBody || r.Header.Get("Expect") != "" || page.IsGRPC(r) {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyLingerTime)) // as far as it can be set
	_, _ = io.CopyN(io.Discard, r.Body, bodyLingerBytes)                              // the answer stands
}
