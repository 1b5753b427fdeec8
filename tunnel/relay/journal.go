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

	"github.com/devproxy/devproxy/tunnel/budget"
	"golang.org/x/time/rate"
)

// What strangers can make the relay write to its logs is bounded: each kind of
// line has an allowance for each network, and all have one together. Lines
// beyond it are counted, and the counts are logged every summaryEvery.
const (
	// linesBurst and linesPerSecond are the allowance of one kind and network.
	linesBurst     = 20
	linesPerSecond = 0.2
	// answeredBurst and answeredPerSecond are that of requests which a share has
	// answered: a cold load of a large project is logged whole.
	answeredBurst     = burst
	answeredPerSecond = 20
	// allLinesBurst and allLinesPerSecond are that of all lines together.
	allLinesBurst     = 10_000
	allLinesPerSecond = 100
	// summaryEvery is how often counts are logged, maxSummaries how many lines
	// that are.
	summaryEvery = 10 * time.Second
	maxSummaries = 20
	// maxEntries bounds the kinds and networks that are told apart.
	maxEntries = 2048
	// maxLogged bounds a message and each attribute, in bytes.
	maxLogged = 256
)

// The kinds of lines whose messages vary or whose allowance is special.
const (
	kindAnswered = "request"
	kindRefused  = "request refused"
	kindServer   = "HTTP server"
)

// journal is a slog.Handler that bounds what it passes on. The kind of a line is
// its message, unless the journal has one; its network is that of the attribute
// "from".
type journal struct {
	slog.Handler
	shared *journalState
	kind   string
}

// journalState is what all handlers of one relay share.
type journalState struct {
	summaries *slog.Logger

	mu      sync.Mutex
	all     *rate.Limiter
	entries map[entryKey]*journalEntry
}

type entryKey struct {
	kind    string
	network netip.Prefix
}

type journalEntry struct {
	allowance *rate.Limiter
	left      int // lines since the last summary that were not written
}

// newJournal is what handlers of one relay share. Summaries go to log.
func newJournal(log *slog.Logger) *journalState {
	return &journalState{summaries: log, all: rate.NewLimiter(allLinesPerSecond, allLinesBurst), entries: map[entryKey]*journalEntry{}}
}

// logger bounds what is logged with log; kind replaces messages, unless it is
// empty.
func (s *journalState) logger(log *slog.Logger, kind string) *slog.Logger {
	return slog.New(journal{log.Handler(), s, kind})
}

// Handle implements slog.Handler.
func (j journal) Handle(ctx context.Context, line slog.Record) error {
	short := slog.NewRecord(line.Time, line.Level, clip(line.Message), line.PC)
	var from netip.Prefix
	line.Attrs(func(a slog.Attr) bool {
		if a.Key == "from" {
			from = networkOfAttr(a.Value)
			a.Value = slog.StringValue(cmp.Or(addressText(a.Value), "unknown"))
		}
		short.AddAttrs(clipAttr(a))
		return true
	})
	if line.Level >= slog.LevelError {
		from = netip.Prefix{} // a fault of this server: one allowance for all networks
	}
	if !j.shared.allow(entryKey{cmp.Or(j.kind, short.Message), from}, line.Time, line.Level) {
		return nil
	}
	return j.Handler.Handle(ctx, short)
}

// WithAttrs implements slog.Handler.
func (j journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	j.Handler = j.Handler.WithAttrs(attrs)
	return j
}

// WithGroup implements slog.Handler.
func (j journal) WithGroup(name string) slog.Handler {
	j.Handler = j.Handler.WithGroup(name)
	return j
}

// allow reports whether a line may be written, and counts it otherwise. Errors do
// not need the allowance of all lines, so that strangers cannot hide them.
func (s *journalState) allow(key entryKey, now time.Time, level slog.Level) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil && len(s.entries) >= maxEntries {
		key.network = netip.Prefix{} // the networks that there is no room for are one
		e = s.entries[key]
	}
	if e == nil {
		e = &journalEntry{allowance: rate.NewLimiter(linesPerSecond, linesBurst)}
		if key.kind == kindAnswered {
			e.allowance = rate.NewLimiter(answeredPerSecond, answeredBurst)
		}
		s.entries[key] = e
	}
	if e.allowance.AllowN(now, 1) && (level >= slog.LevelError || s.all.AllowN(now, 1)) {
		return true
	}
	e.left++
	return false
}

// summarize logs what was left out since it was last called, and forgets the
// networks whose allowance is whole.
func (s *journalState) summarize(now time.Time) {
	for _, c := range s.takeCounts(now) {
		network := "others"
		if c.network.IsValid() {
			network = c.network.String()
		}
		s.summaries.Info("lines left out", "kind", c.kind, "network", network, "count", c.left)
	}
}

type leftOut struct {
	entryKey
	left int
}

// takeCounts are the counts of lines that were left out, the highest first.
// Those beyond maxSummaries are put together.
func (s *journalState) takeCounts(now time.Time) []leftOut {
	s.mu.Lock()
	defer s.mu.Unlock()
	var counts []leftOut
	for key, e := range s.entries {
		if e.left > 0 {
			counts = append(counts, leftOut{key, e.left})
			e.left = 0
		} else if e.allowance.TokensAt(now) >= float64(e.allowance.Burst()) {
			delete(s.entries, key)
		}
	}
	slices.SortFunc(counts, func(a, b leftOut) int {
		return cmp.Or(b.left-a.left, strings.Compare(a.kind, b.kind), strings.Compare(a.network.String(), b.network.String()))
	})
	if len(counts) <= maxSummaries {
		return counts
	}
	rest := leftOut{entryKey: entryKey{kind: "all others"}}
	for _, c := range counts[maxSummaries-1:] {
		rest.left += c.left
	}
	return append(counts[:maxSummaries-1], rest)
}

// networkOfAttr is the network that an attribute names; the zero one when it
// does not.
func networkOfAttr(v slog.Value) netip.Prefix {
	switch from := v.Any().(type) {
	case netip.Prefix:
		return from
	case netip.Addr:
		return budget.NetworkOf(from)
	case netip.AddrPort:
		return budget.NetworkOf(from.Addr())
	case net.Addr:
		return budget.NetworkOf(addrOf(from).Addr())
	}
	return netip.Prefix{}
}

// addressText is an address or a network as text; empty for none.
func addressText(v slog.Value) string {
	switch from := v.Any().(type) {
	case string:
		return clip(from)
	case net.Addr:
		return addressText(slog.AnyValue(addrOf(from)))
	case interface {
		IsValid() bool
		String() string
	}:
		if from.IsValid() {
			return from.String()
		}
	}
	return ""
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
