package forward

import (
	"net/http"
	"strconv"
	"time"
)

// callerTime is how long the caller of a gRPC call may take to end it once its
// deadline has passed. Server and caller each have a clock for it, and the
// server's may be first; the caller must not take the reset that follows for a
// failure of the server.
const callerTime = time.Second

// awaitCaller waits for the caller to end a call whose deadline has passed.
func (f *forwarding) awaitCaller() {
	timeout, ok := grpcTimeout(f.r.Header)
	if !ok || time.Since(f.arrived) < timeout {
		return
	}
	timer := time.NewTimer(callerTime)
	defer timer.Stop()
	select {
	case <-f.r.Context().Done():
	case <-timer.C:
	}
}

// grpcTimeout is how long a gRPC call may take ("gRPC over HTTP2", section
// Requests): up to eight digits and a unit.
func grpcTimeout(h http.Header) (time.Duration, bool) {
	text := h.Get("Grpc-Timeout")
	if len(text) < 2 || len(text) > 9 {
		return 0, false
	}
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': 1}
	unit := units[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 27)
	if err != nil || unit == 0 || time.Duration(n) > (1<<62)/unit {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
