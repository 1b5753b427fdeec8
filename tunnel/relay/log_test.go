package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// logBuffer collects the lines of a limited log.
type logBuffer struct {
	bytes.Buffer
	*logLimiter
	log *slog.Logger
}

func newLogBuffer(kind string) *logBuffer {
	p := &logBuffer{}
	plain := slog.New(slog.NewJSONHandler(&p.Buffer, nil))
	p.logLimiter = newLogLimiter(plain)
	p.log = p.logger(plain, kind)
	return p
}

// take returns the lines since the last call.
func (p *logBuffer) take(t *testing.T) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(p.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fields)
	}
	p.Reset()
	return lines
}

// TestLogLimits: n lines of a kind and network are written, and the n+1st is
// counted.
func TestLogLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLogBuffer("")
		from := netip.MustParseAddr("192.0.2.1")
		for range linesBurst + 3 {
			p.log.Info("refused", "from", from)
		}
		if n := len(p.take(t)); n != linesBurst {
			t.Errorf("%d lines, want %d", n, linesBurst)
		}
		for name, line := range map[string]func(){
			"another network": func() { p.log.Info("refused", "from", netip.MustParseAddr("192.0.2.2")) },
			"another kind":    func() { p.log.Info("gone", "from", from) },
			"no network":      func() { p.log.Info("refused") },
		} {
			if line(); len(p.take(t)) != 1 {
				t.Errorf("%s is left out", name)
			}
		}
		p.summarize(time.Now())
		lines := p.take(t)
		if len(lines) != 1 || lines[0]["kind"] != "refused" || lines[0]["network"] != "192.0.2.1/32" || lines[0]["count"] != 3. || lines[0]["msg"] != "log lines omitted" {
			t.Errorf("the summary is %v", lines)
		}
		if p.summarize(time.Now()); len(p.take(t)) != 0 {
			t.Error("it is counted twice")
		}
		time.Sleep(time.Duration(float64(time.Second) / linesPerSecond))
		p.log.Info("refused", "from", from)
		p.log.Info("refused", "from", from)
		if n := len(p.take(t)); n != 1 {
			t.Errorf("%d lines after a pause", n)
		}
		time.Sleep(time.Hour)
		p.summarize(time.Now())
		if p.summarize(time.Now()); len(p.groups) != 0 {
			t.Errorf("%d entries are kept for nothing", len(p.groups))
		}
	})
}

// TestLogNetworks: the attribute may be of many types; one /64 is one network.
func TestLogNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLogBuffer("")
		addr := netip.MustParseAddr("2001:db8::1")
		for _, from := range []any{
			addr, netip.AddrPortFrom(addr, 80), budget.NetworkOf(addr), &net.TCPAddr{IP: addr.AsSlice(), Port: 7},
			netip.MustParseAddr("2001:db8::ffff"),
		} {
			for range linesBurst {
				p.log.Info("x", "from", from)
			}
		}
		if n := len(p.take(t)); n != linesBurst {
			t.Errorf("%d lines", n)
		}
	})
}

// TestLogKind: messages that differ each time are one kind.
func TestLogKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLogBuffer(kindServer)
		old := slog.NewLogLogger(p.log.With("a", 1).WithGroup("g").Handler(), slog.LevelInfo)
		for i := range linesBurst + 5 {
			old.Printf("http: something %d", i)
		}
		lines := p.take(t)
		if len(lines) != linesBurst || lines[0]["a"] != 1. {
			t.Errorf("%d lines: %v", len(lines), lines[0])
		}
		p.log.WithGroup("g").Info("x", "b", 2)
		time.Sleep(time.Hour)
		p.log.WithGroup("g").Info("x", "b", 2)
		if lines := p.take(t); len(lines) != 1 || fmt.Sprint(lines[0]["g"]) != "map[b:2]" {
			t.Errorf("a group: %v", lines)
		}
		answered := newLogBuffer(kindAnswered)
		for range answeredBurst + 5 {
			answered.log.Info("request", "from", netip.MustParseAddr("192.0.2.1"))
		}
		if n := len(answered.take(t)); n != answeredBurst {
			t.Errorf("%d answered requests are logged at once", n)
		}
	})
}

// TestLogTotal: many networks stay within the allowance of all lines, and are counted
// separately only up to a limit.
func TestLogTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLogBuffer("")
		for i := range 3 * allLinesBurst {
			from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			p.log.Info("x", "from", from)
			p.log.Info("x", "from", from)
		}
		written := len(p.take(t))
		if most := 2*maxGroups + linesBurst; written > most {
			t.Errorf("%d lines, want at most %d", written, most)
		}
		if len(p.groups) > maxGroups+1 {
			t.Errorf("%d entries", len(p.groups))
		}
		for i := range allLinesBurst {
			p.log.Info(fmt.Sprint("kind ", i%500), "from", netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 64)}))
		}
		if written += len(p.take(t)); written > allLinesBurst {
			t.Errorf("%d lines in all", written)
		}
		p.summarize(time.Now())
		summaries := p.take(t)
		if len(summaries) != maxSummaries || summaries[maxSummaries-1]["kind"] != "all others" || summaries[0]["network"] != "others" {
			t.Errorf("%d summaries: %v", len(summaries), summaries[0])
		}
		left := 0.
		for i, line := range summaries {
			left += line["count"].(float64)
			if i > 0 && i < maxSummaries-1 && line["count"].(float64) > summaries[i-1]["count"].(float64) {
				t.Error("the summaries are not in order")
			}
		}
		if want := 6*allLinesBurst + allLinesBurst - written; int(left) != want {
			t.Errorf("%v lines are counted, %d were left out", left, want)
		}
	})
}

// TestLogSummaries: up to the limit, each group has its own line.
func TestLogSummaries(t *testing.T) {
	for _, n := range []int{maxSummaries, maxSummaries + 1} {
		p := newLogBuffer("")
		for kind := range n {
			for range linesBurst + 1 {
				p.log.Info(fmt.Sprint(kind))
			}
		}
		p.take(t)
		p.summarize(time.Now())
		lines := p.take(t)
		if last := lines[len(lines)-1]; len(lines) != maxSummaries || (last["kind"] == "all others") != (n > maxSummaries) || n > maxSummaries && last["count"] != 2. {
			t.Errorf("%d kinds: %d lines, the last is %v", n, len(lines), last)
		}
	}
}

// TestLogKnownNetworks: a network with its own count keeps it when no more
// networks can get one.
func TestLogKnownNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLogBuffer("")
		for i := range 2 * maxGroups {
			p.log.Info("x", "from", netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		}
		p.summarize(time.Now())
		p.take(t)
		for range linesBurst + 2 {
			p.log.Info("x", "from", netip.MustParseAddr("10.0.0.0"))
		}
		if n := len(p.take(t)); n != linesBurst-1 {
			t.Errorf("%d lines", n)
		}
		p.summarize(time.Now())
		if lines := p.take(t); len(lines) != 1 || lines[0]["network"] != "10.0.0.0/32" || lines[0]["count"] != 3. {
			t.Errorf("%v", lines)
		}
	})
}

// TestLogAllTogether: the allowance of all lines is one.
func TestLogAllTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLogBuffer("")
		line := func(i int) {
			p.log.Info(fmt.Sprint("kind ", i%1000), "from", netip.AddrFrom4([4]byte{10, 0, 0, byte(i / 1000 % 2)}))
		}
		for i := range 2 * allLinesBurst {
			line(i)
		}
		if n := len(p.take(t)); n != allLinesBurst {
			t.Errorf("%d lines, want %d", n, allLinesBurst)
		}
	})
}

// TestLogClips: no line is longer than its parts may be.
func TestLogClips(t *testing.T) {
	p := newLogBuffer("")
	long := strings.Repeat("é", maxLogged)
	p.log.Info(long, "path", long, "error", errors.New(long), "n", 5)
	line := p.take(t)[0]
	for _, field := range []string{"msg", "path", "error"} {
		text := line[field].(string)
		if len(text) > maxLogged+len("…") || !strings.HasSuffix(text, "…") || !utf8.ValidString(text) {
			t.Errorf("%s has %d bytes: %q", field, len(text), text)
		}
	}
	if line["n"] != 5. {
		t.Error("a number is lost")
	}
	if exact := strings.Repeat("x", maxLogged); clip(exact) != exact || clip(exact+"x") != exact+"…" {
		t.Error("the bound is off by one")
	}
}

// TestAccessLog: answered requests and others have their own allowances, each line
// says what was wrong, and an agent's lane is not a visit.
func TestAccessLog(t *testing.T) {
	fault := errors.New("the agent was lost")
	for name, c := range map[string]struct {
		visit *visit
		log   string // of which kind
		parts []string
	}{
		"answered by a share":    {&visit{forwarded: true, status: 200, in: 3, out: 5}, "answered", []string{"status=200", "in=3", "out=5", "path=/a ", "host=shop-0123…."}},
		"broken off":             {&visit{forwarded: true, status: 200, fault: fault}, "refused", []string{`error="the agent was lost"`}},
		"answered by the relay":  {&visit{status: 404}, "refused", []string{"status=404"}},
		"given up":               {&visit{status: 499, fault: fault}, "refused", []string{`error="the agent was lost"`}},
		"an agent's lane":        {&visit{agentLane: true, status: 101}, "", nil},
		"a lane that was broken": {&visit{agentLane: true, status: 400, fault: fault}, "", nil},
	} {
		logs := map[string]*bytes.Buffer{"answered": {}, "refused": {}}
		r := &Relay{conns: newConnections(Limits{}.withDefaults()), shares: newShareTable()}
		r.metrics = newMetrics(r)
		v := c.visit
		v.relay, v.r, v.conn = r, httptest.NewRequest("GET", "/a?secret=1", nil), &conn{addr: netip.MustParseAddrPort("192.0.2.1:5")}
		v.at.name = token
		v.record() // nothing to write to
		r.access = slog.New(slog.NewTextHandler(logs["answered"], nil))
		r.refused = slog.New(slog.NewTextHandler(logs["refused"], nil))
		v.record()
		for kind, log := range logs {
			if lines := strings.Count(log.String(), "\n"); (lines == 1) != (kind == c.log) || lines > 1 {
				t.Errorf("%s: %d lines of the kind %s", name, lines, kind)
			}
			if strings.Contains(log.String(), "error=") != (v.fault != nil) && kind == c.log {
				t.Errorf("%s: %s", name, log)
			}
			if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "456789abcdef") {
				t.Errorf("%s: a secret is in %s", name, log)
			}
		}
		for _, part := range c.parts {
			if !strings.Contains(logs[c.log].String(), part) {
				t.Errorf("%s: no %s in %s", name, part, logs[c.log])
			}
		}
	}
}
