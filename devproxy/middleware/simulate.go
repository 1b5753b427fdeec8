package middleware

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// paceEvery is how often a simulated bandwidth sends a piece: often enough to
// look like a slow connection, seldom enough to cost nothing.
const paceEvery = 50 * time.Millisecond

// simulate makes next a slow or failing upstream.
func simulate(s *plan.Simulate, next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := pause(r.Context(), s.Delay); err != nil {
			return err
		}
		if rand.Float64() < s.Errors {
			return &SimulatedError{s.Errors}
		}
		if s.Bandwidth > 0 && r.Header.Get("Upgrade") == "" {
			w = &pacedWriter{ResponseWriter: w, ctx: r.Context(), perSecond: s.Bandwidth}
		}
		return next(w, r)
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pacedWriter writes a body at no more than its bandwidth.
type pacedWriter struct {
	http.ResponseWriter
	ctx       context.Context
	perSecond int64
	free      time.Time // when the connection has carried the bytes written so far
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *pacedWriter) Write(p []byte) (written int, err error) {
	step := max(1, int(w.perSecond/int64(time.Second/paceEvery)))
	for len(p) > 0 {
		if err := pause(w.ctx, time.Until(w.free)); err != nil {
			return written, err
		}
		n, err := w.ResponseWriter.Write(p[:min(step, len(p))])
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
		took := time.Duration(float64(n) / float64(w.perSecond) * float64(time.Second))
		if now := time.Now(); w.free.Before(now) {
			w.free = now
		}
		w.free = w.free.Add(took)
		if len(p) > 0 {
			if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}
