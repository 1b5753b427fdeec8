package relay

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/budget"
)

// The relay bounds what strangers can make it write to its logs. Each kind of line
// has an allowance for each network, and all lines together have another. Further
// lines are counted, and the counts are logged every summaryEvery.
const (
	// linesBurst and linesPerSecond are the allowance of one kind and network.
	linesBurst     = 20
	linesPerSecond = 0.2
	// answeredBurst and answeredPerSecond are the allowance of requests that a
	// share has answered: all requests of a large project's cold load are logged.
	answeredBurst     = burst
	answeredPerSecond = 20
	// allLinesBurst and allLinesPerSecond are the allowance of all lines together.
	allLinesBurst     = 10_000
	allLinesPerSecond = 100
	// summaryEvery is how often counts are logged, maxSummaries in how many lines.
	summaryEvery = 10 * time.Second
	maxSummaries = 20
	// maxGroups bounds the kinds and networks that are counted separately.
	maxGroups = 2048
	// maxLogged bounds a message and each attribute, in bytes.
	maxLogged = 256
	// shownOfLink is how many characters of a link the log shows: enough to
	// distinguish two links, too few to open one.
	shownOfLink = 4
)

// The kinds of lines whose messages vary or whose allowance is special.
const (
	kindAnswered = "request"
	kindRefused  = "request refused"
	kindServer   = "HTTP server"
)

// logLimiter bounds the lines of all handlers of one relay.
type logLimiter struct {
	summaries *slog.Logger

	mu     sync.Mutex
	all    *rate.Limiter
	groups map[lineGroup]*lineCount
}

// lineGroup is the lines of one kind from one network.
type lineGroup struct {
	kind    string
	network netip.Prefix
}

type lineCount struct {
	allowance *rate.Limiter
	omitted   int // lines since the last summary
}

// newLogLimiter writes its summaries to log.
func newLogLimiter(log *slog.Logger) *logLimiter {
	return &logLimiter{summaries: log, all: rate.NewLimiter(allLinesPerSecond, allLinesBurst), groups: map[lineGroup]*lineCount{}}
}

// logger limits the lines that are logged with log. A line's kind is its
// message if kind is empty.
func (l *logLimiter) logger(log *slog.Logger, kind string) *slog.Logger {
	return slog.New(logHandler{log.Handler(), l, kind})
}

// logHandler is a slog.Handler that limits the lines that it passes on. A
// line's network is that of its attribute "from".
type logHandler struct {
	slog.Handler
	limiter *logLimiter
	kind    string
}

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, line slog.Record) error {
	short := slog.NewRecord(line.Time, line.Level, clip(line.Message), line.PC)
	var network netip.Prefix
	line.Attrs(func(a slog.Attr) bool {
		if a.Key == "from" {
			var text string
			network, text = logSource(a.Value)
			a.Value = slog.StringValue(cmp.Or(text, "unknown"))
		}
		short.AddAttrs(clipAttr(a))
		return true
	})
	if line.Level >= slog.LevelError {
		network = netip.Prefix{} // a fault of this server: one allowance for all networks
	}
	if !h.limiter.allow(lineGroup{cmp.Or(h.kind, short.Message), network}, line.Time, line.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, short)
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}

// allow reports whether a line may be written, and counts it otherwise. Errors do
// not need the allowance of all lines, so that strangers cannot hide them.
func (l *logLimiter) allow(group lineGroup, now time.Time, level slog.Level) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.groups[group]
	if c == nil && len(l.groups) >= maxGroups {
		group.network = netip.Prefix{} // further networks share one group
		c = l.groups[group]
	}
	if c == nil {
		c = &lineCount{allowance: rate.NewLimiter(linesPerSecond, linesBurst)}
		if group.kind == kindAnswered {
			c.allowance = rate.NewLimiter(answeredPerSecond, answeredBurst)
		}
		l.groups[group] = c
	}
	if c.allowance.AllowN(now, 1) && (level >= slog.LevelError || l.all.AllowN(now, 1)) {
		return true
	}
	c.omitted++
	return false
}

// summarize logs how many lines were omitted since the last call, and forgets the
// networks whose allowance is full again.
func (l *logLimiter) summarize(now time.Time) {
	for _, o := range l.takeOmissions(now) {
		network := "others"
		if o.network.IsValid() {
			network = o.network.String()
		}
		l.summaries.Info("log lines omitted", "kind", o.kind, "network", network, "count", o.count)
	}
}

// omission says how many lines of a group were not written.
type omission struct {
	lineGroup
	count int
}

// takeOmissions returns and resets the counts, the highest first. Those beyond
// maxSummaries are added up.
func (l *logLimiter) takeOmissions(now time.Time) []omission {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []omission
	for group, c := range l.groups {
		if c.omitted > 0 {
			all = append(all, omission{group, c.omitted})
			c.omitted = 0
		} else if c.allowance.TokensAt(now) >= float64(c.allowance.Burst()) {
			delete(l.groups, group)
		}
	}
	slices.SortFunc(all, func(a, b omission) int {
		return cmp.Or(b.count-a.count, strings.Compare(a.kind, b.kind), strings.Compare(a.network.String(), b.network.String()))
	})
	if len(all) <= maxSummaries {
		return all
	}
	rest := omission{lineGroup: lineGroup{kind: "all others"}}
	for _, o := range all[maxSummaries-1:] {
		rest.count += o.count
	}
	return append(all[:maxSummaries-1], rest)
}

// logSource returns the network that an attribute names, zero for none, and its
// text, empty for an unknown address.
func logSource(v slog.Value) (network netip.Prefix, text string) {
	from := v.Any()
	if addr, ok := from.(net.Addr); ok {
		from = addrOf(addr)
	}
	switch from := from.(type) {
	case string:
		return netip.Prefix{}, clip(from)
	case netip.Prefix:
		network = from
	case netip.Addr:
		network = budget.NetworkOf(from)
	case netip.AddrPort:
		network = budget.NetworkOf(from.Addr())
	}
	known, ok := from.(interface {
		IsValid() bool
		String() string
	})
	if ok && known.IsValid() {
		text = known.String()
	}
	return network, text
}

// clipAttr bounds the text of an attribute.
func clipAttr(a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case string:
		a.Value = slog.StringValue(clip(v))
	case error:
		a.Value = slog.StringValue(clip(v.Error()))
	}
	return a
}

// clip bounds a text, and marks where it was cut.
func clip(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	return strings.ToValidUTF8(text[:maxLogged], "") + "…"
}

// record writes the visit's line of the access log, and counts the visit.
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
	path, _, _ := strings.Cut(target(v.r), "?") // a query may contain secrets
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

// masked returns name without the secret part of an unguessable one.
func masked(name string) string {
	at, ok := tunnel.LinkAt(name)
	if !ok {
		return name
	}
	return name[:at+shownOfLink] + "…" + name[at+tunnel.LinkLength:]
}
