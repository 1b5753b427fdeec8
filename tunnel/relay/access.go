package relay

import (
	"log/slog"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// shownOfLink is how many characters of a link the log shows: enough to tell
// two apart, too few to open either.
const shownOfLink = 4

// record writes the visit's line of the access log, and counts it.
func (v *visit) record() {
	if v.agentLane {
		return
	}
	took := time.Since(v.start)
	m := v.relay.metrics
	m.requests.WithLabelValues(statusClass(v.status)).Inc()
	m.duration.Observe(took.Seconds())
	m.bytes.WithLabelValues("in").Add(float64(v.in))
	m.bytes.WithLabelValues("out").Add(float64(v.out))
	log := v.relay.refused
	if v.forwarded && v.fault == nil {
		log = v.relay.access
	}
	if log == nil {
		return
	}
	path, _, _ := strings.Cut(v.target(), "?") // a query may hold secrets
	fields := []slog.Attr{
		slog.Any("from", v.addr.Addr()),
		slog.String("method", v.r.Method),
		slog.String("host", masked(v.at.name)),
		slog.String("path", path),
		slog.String("proto", v.r.Proto),
		slog.Int("status", v.status),
		slog.Int64("in", v.in),
		slog.Int64("out", v.out),
		slog.Float64("ms", float64(took.Microseconds())/1000),
	}
	if v.fault != nil {
		fields = append(fields, slog.String("error", v.fault.Error()))
	}
	log.LogAttrs(v.r.Context(), slog.LevelInfo, "request", fields...)
}

// masked is name without the secret part of an unguessable one.
func masked(name string) string {
	at, ok := tunnel.LinkAt(name)
	if !ok {
		return name
	}
	return name[:at+shownOfLink] + "…" + name[at+tunnel.LinkLength:]
}
