package relay

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

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
		r := &Relay{opts: Options{Metrics: prometheus.NewRegistry()}, conns: newConnections(Limits{}.withDefaults()), shares: newShareTable()}
		metrics, err := newMetrics(r)
		if err != nil {
			t.Fatal(err)
		}
		r.metrics = metrics
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
