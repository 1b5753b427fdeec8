package relay

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/devproxy/devproxy/tunnel"
)

// logged starts a relay and returns it with a function that finds the first line of its
// log with a message.
func logged(t *testing.T, change func(*Options)) (*world, func(message string) map[string]any) {
	t.Helper()
	var log syncBuffer
	w := start(t, func(o *Options) {
		o.Log = slog.New(slog.NewJSONHandler(&log, nil))
		o.Access = o.Log
		if change != nil {
			change(o)
		}
	})
	find := func(message string) (found map[string]any) {
		t.Helper()
		eventually(t, "a line "+message, func() bool {
			for line := range strings.Lines(log.String()) {
				var fields map[string]any
				if err := json.Unmarshal([]byte(line), &fields); err != nil {
					t.Fatal(err)
				}
				if from, has := fields["from"]; has {
					if text, is := from.(string); !is || text == "" {
						t.Errorf("from is %v in %s", from, line)
					}
				}
				if fields["msg"] == message {
					found = fields
				}
			}
			return found != nil
		})
		return found
	}
	return w, find
}

// saysWhy checks that a line is of level INFO, and has an address and a reason.
func saysWhy(t *testing.T, line map[string]any, reason string) {
	t.Helper()
	from, _ := line["from"].(string)
	text, _ := line["error"].(string)
	if line["level"] != "INFO" || !strings.HasPrefix(from, "127.0.0.1") || !strings.Contains(text, reason) {
		t.Errorf("%v; want INFO, from 127.0.0.1, %q", line, reason)
	}
}

// TestRefusalsAreLogged: the relay's log says why an agent or visitor is refused.
func TestRefusalsAreLogged(t *testing.T) {
	w, find := logged(t, func(o *Options) { o.Open = false; o.Tokens = []string{"correct horse battery staple"} })

	c := dialTCP(t, w.addr)
	if err := tls.Client(c, &tls.Config{ServerName: domain, RootCAs: w.ca.pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}).Handshake(); err == nil {
		t.Fatal("TLS 1.1 is spoken")
	}
	saysWhy(t, find("handshake failed"), "unsupported versions")

	key := testKey("a")
	if _, err := w.tryAgent(key, claimOf(key, ""), &recorder{}); err == nil {
		t.Fatal("an unknown key is admitted")
	}
	saysWhy(t, find("agent refused"), "does not know the key")

	lane, err := w.dialLane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(lane.Conn, "GET / HTTP/1.1\r\n\r\n"+strings.Repeat("x", 200)); err != nil {
		t.Fatal(err)
	}
	saysWhy(t, find("lane refused"), "did not join")
	lane.Conn.Close()

	claim := claimOf(key, "")
	claim.Enrol = "correct horse battery staple"
	a := w.agent(key, claim, &recorder{})
	if reply := a.ask(tunnel.Request{Op: "claim", Claim: &tunnel.Claim{Name: "admin", Hosts: []string{""}}}); reply.Code != tunnel.CodeNameTaken {
		t.Fatalf("%+v", reply)
	}
	saysWhy(t, find("request of an agent refused"), "reserved")
}

// TestLimitsAreLogged: the log has the connections that a limit closes.
func TestLimitsAreLogged(t *testing.T) {
	w, find := logged(t, func(o *Options) { o.Limits.ConnectionsPerAddress = 1 })
	first := dialTCP(t, w.addr)
	defer first.Close()
	eventually(t, "the first is in", func() bool { n, _, _ := w.conns.counts(); return n == 1 })
	second := dialTCP(t, w.addr)
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("the second is served")
	}
	saysWhy(t, find("connection refused"), "too many connections")
}

// TestProbesAreNotLogged: port checks, which balancers do every few seconds, do
// not fill the log.
func TestProbesAreNotLogged(t *testing.T) {
	w, find := logged(t, nil)
	for range 3 {
		c := dialTCP(t, w.addr)
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("it is answered")
		}
	}
	c := dialTCP(t, w.addr)
	if _, err := fmt.Fprint(c, "hello, is this a web server?\r\n"); err != nil {
		t.Fatal(err)
	}
	if line := find("handshake failed"); !strings.Contains(line["error"].(string), "does not look like a TLS handshake") {
		t.Errorf("%v", line)
	}
}

// TestLogErrors: strangers that use up the allowance of all lines do not hide an
// error, and errors have an allowance like any other kind.
func TestLogErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLogBuffer("")
		for i := range 2 * allLinesBurst {
			p.log.Info(fmt.Sprint("kind ", i%2000))
		}
		p.take(t)
		for i := range 2 * linesBurst {
			p.log.Error("disk full", "from", netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
		}
		if n := len(p.take(t)); n != linesBurst {
			t.Errorf("%d errors are written, want %d", n, linesBurst)
		}
	})
}

// TestLogFrom: "from" is text in every line.
func TestLogFrom(t *testing.T) {
	p := newLogBuffer("")
	addr := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		from any
		want string
	}{
		{addr, "192.0.2.1"},
		{netip.AddrPortFrom(addr, 5), "192.0.2.1:5"},
		{netip.MustParsePrefix("2001:db8::/64"), "2001:db8::/64"},
		{&net.TCPAddr{IP: addr.AsSlice(), Port: 5}, "192.0.2.1:5"},
		{"192.0.2.1", "192.0.2.1"},
		{netip.Addr{}, "unknown"}, {netip.AddrPort{}, "unknown"}, {netip.Prefix{}, "unknown"}, {nil, "unknown"}, {(*connListener)(nil).Addr(), "unknown"},
	} {
		p.log.Info("x", "from", c.from)
		if got := p.take(t)[0]["from"]; got != c.want {
			t.Errorf("%T %v becomes %v, want %s", c.from, c.from, got, c.want)
		}
	}
}

// TestRefusalsAreNoted: in the log, with the address, and in the metrics.
func TestRefusalsAreNoted(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) { o.Log, o.Open = slog.New(slog.NewJSONHandler(&log, nil)), false })
	key := testKey("a")
	if _, err := w.tryAgent(key, claimOf(key, ""), &recorder{}); codeFrom(err) != tunnel.CodeUnknownKey {
		t.Fatal(err)
	}
	for _, part := range []string{`"msg":"agent refused"`, publicKey(key).String(), `"from":"127.0.0.1:`} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("no %s in %s", part, log.String())
		}
	}
	admin := httptest.NewServer(w.Admin())
	defer admin.Close()
	if _, body, _ := get(t, admin.Client(), admin.URL+"/metrics"); !strings.Contains(body, `devproxy_relay_refused_total{code="64"} 1`) {
		t.Error("the refusal is not counted")
	}
}

// TestSessionsAreNoted: an agent's session is in the log from its beginning to its end.
func TestSessionsAreNoted(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) { o.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	key := testKey("a")
	a := w.agent(key, claimOf(key, "", "x"), &recorder{})
	a.ask(tunnel.Request{Op: "end"})
	a.Close(nil)
	// A lane that was being dialled may have its own line, without a key.
	var lines []string
	eventually(t, "three lines of the key", func() bool {
		lines = nil
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, publicKey(key).String()) {
				lines = append(lines, line)
			}
		}
		return len(lines) == 3
	})
	for i, line := range lines {
		want := [][]string{{`"msg":"agent connected"`, `"hosts":2`}, {`"msg":"share ended"`}, {`"msg":"agent gone"`, `"reason":`}}[i]
		for _, part := range append(want, `"from":"127.0.0.1/32"`) {
			if !strings.Contains(line, part) {
				t.Errorf("no %s in %s", part, line)
			}
		}
	}
}
