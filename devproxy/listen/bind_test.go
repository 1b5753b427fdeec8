package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/devproxy/programs"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"8443":            "[127.0.0.1 ::1] 8443",
		":8443":           "[127.0.0.1 ::1] 8443",
		":0":              "[127.0.0.1 ::1] 0",
		"localhost:8443":  "[127.0.0.1 ::1] 8443",
		"127.0.0.2:443":   "[127.0.0.2] 443",
		"[::1]:443":       "[::1] 443",
		"0.0.0.0:443":     "devproxy serves this machine only; write :443",
		"[::]:443":        "devproxy serves this machine only; write :443",
		"192.168.1.2:443": "devproxy serves this machine only; write :443",
		"shop:443":        "is not an IP address; write :443",
		"":                "is not PORT",
		":65535":          "[127.0.0.1 ::1] 65535",
		"127.0.0.1:65535": "[127.0.0.1] 65535",
		":65536":          "is not PORT",
		"127.0.0.1:":      "is not PORT",
		":+1":             "is not PORT",
		":1_0":            "is not PORT",
		":https":          "is not PORT",
		"-1":              "is not PORT",
		"::1":             "is not PORT",
	} {
		a, err := parseAddress(text)
		got := fmt.Sprint(a.ips, " ", a.port)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func open(t *testing.T, cfg Config) (*Set, error) {
	t.Helper()
	cfg.TLS, _ = testTLS(t)
	s, err := Open(t.Context(), cfg)
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func TestFreePortIsTheSameOnBothFamilies(t *testing.T) {
	s, err := open(t, Config{HTTPS: ":0", HTTP: ":0"})
	if err != nil {
		t.Fatal(err)
	}
	for _, addrs := range [][]netip.AddrPort{s.HTTPS(), s.HTTP()} {
		if len(addrs) != 2 || addrs[0].Port() != addrs[1].Port() || !addrs[0].Addr().Is4() || !addrs[1].Addr().Is6() {
			t.Errorf("%v: want 127.0.0.1 and ::1 on one port", addrs)
		}
	}
	if len(s.Fallbacks()) > 0 {
		t.Errorf("fallbacks %v for ports that were asked for", s.Fallbacks())
	}
}

// TestTakenPort holds that a port asked for by name is never shared or
// replaced, whatever address its holder has, and nothing is left bound.
func TestTakenPort(t *testing.T) {
	for _, holder := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		t.Run(holder, func(t *testing.T) {
			l, err := net.Listen("tcp", holder)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			port := boundTo(l).Port()
			_, err = open(t, Config{HTTPS: fmt.Sprint(port), HTTP: ":0"})
			var failed *BindError
			if !errors.As(err, &failed) || failed.Reason != Taken || failed.Addr.Port() != port {
				t.Fatalf("%v, want a *BindError for port %d", err, port)
			}
			l.Close()
			if _, err := open(t, Config{HTTPS: fmt.Sprint(port), HTTP: ":0"}); err != nil {
				t.Errorf("once it is free: %v", err)
			}
		})
	}
}

func TestHTTPFailureClosesHTTPS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	https := free.Addr().String()
	free.Close()
	if _, err := open(t, Config{HTTPS: https, HTTP: l.Addr().String()}); err == nil {
		t.Fatal("no error")
	}
	if _, err := open(t, Config{HTTPS: https, HTTP: ":0"}); err != nil {
		t.Errorf("HTTPS was left bound: %v", err)
	}
}

func TestApply(t *testing.T) {
	s, err := open(t, Config{HTTPS: ":0", HTTP: ":0"})
	if err != nil {
		t.Fatal(err)
	}
	https, http := s.HTTPS(), s.HTTP()

	// By its number now: the same sockets stay.
	named := Config{HTTPS: fmt.Sprint(https[0].Port()), HTTP: "127.0.0.1:0"}
	if err := s.Apply(t.Context(), named); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fmt.Sprint(https), fmt.Sprint(s.HTTPS())); diff != "" || len(s.HTTP()) != 1 {
		t.Errorf("HTTP %v, HTTPS -want +got:\n%s", s.HTTP(), diff)
	}
	if _, err := net.Dial("tcp", http[0].String()); err == nil && !slices.Contains(s.HTTP(), http[0]) {
		t.Error("the old HTTP socket is still open")
	}
	if c, err := net.Dial("tcp", s.HTTP()[0].String()); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}

	// What cannot be had changes nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := fmt.Sprint(s.HTTPS(), s.HTTP())
	if err := s.Apply(t.Context(), Config{HTTPS: ":0", HTTP: l.Addr().String()}); err == nil {
		t.Error("a taken port was applied")
	}
	if after := fmt.Sprint(s.HTTPS(), s.HTTP()); after != before {
		t.Errorf("now %s, before %s", after, before)
	}
	s.Close()
	if err := s.Apply(t.Context(), named); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if named.Equal(Config{}) || !named.Equal(named) {
		t.Error("Equal compares wrongly")
	}
}

func TestOpenNeedsCertificates(t *testing.T) {
	if _, err := Open(t.Context(), Config{HTTPS: ":0", HTTP: ":0"}); err == nil {
		t.Error("no error without certificates")
	}
}

func TestFallbackTexts(t *testing.T) {
	caddy := newHolder(tcp, 443, 812, "caddy", "root", "/", "caddy")
	for _, test := range []struct{ got, want string }{
		{Fallback{Wanted: 443, Got: 8443, Reason: Permission}.String(), "Using port 8443: this machine does not allow 443"},
		{Fallback{Wanted: 443, Got: 8443, Reason: Taken, Holder: &caddy}.String(), "Using port 8443: caddy (pid 812, root) is listening on 443"},
		{Fallback{Wanted: 443, Got: 8444, Reason: Permission, Next: &caddy}.String(),
			"Using port 8444: this machine does not allow 443, and caddy (pid 812, root) is listening on 8443"},
		{Fallback{Wanted: 443, Got: 8444, Reason: Taken, Holder: &caddy, Next: &caddy}.String(),
			"Using port 8444: caddy (pid 812, root) is listening on 443, and caddy (pid 812, root) on 8443"},
		{Fallback{Wanted: 80, Reason: Permission}.String(), "Using no port 80: this machine does not allow 80"},
		{caddy.Fix, programs.Here().RootLine("systemctl", "stop", "caddy")},
		{(&BindError{Addr: netip.MustParseAddrPort("127.0.0.1:443"), Reason: Taken, Holder: &caddy}).Error(),
			"cannot listen on 127.0.0.1:443: caddy (pid 812, root) is using it"},
		{newHolder(tcp, 443, 7, "docker-proxy", "root", "", "").Fix, "docker ps --filter publish=443/tcp"},
		{newHolder(tcp, 443, 7, "node", "ann", "", "").Fix, "kill 7"},
		{newHolder(tcp, 443, 7, "devproxy", "ann", "", "").Fix, "devproxy status --all"},
		{Fallback{Wanted: 443, Got: 8443, Reason: Shared}.String(), "Using port 8443: your other projects use it"},
		{newHolder(tcp, 443, 0, "", "root", "", "").Text, "a process of root"},
		{newHolder(tcp, 443, 0, "", "", "", "").Text, "another process"},
		{newHolder(tcp, 443, 0, "node", "root", "", "").Text, "a process of root"},
		{newHolder(tcp, 443, 0, "node", "", "", "").Text, "another process"},
		{newHolder(tcp, 443, 7, "", "root", "", "").Text, "a process of root"},
		{newHolder(tcp, 443, 7, "node", "", "", "").Text, "node (pid 7)"},
		{newHolder(tcp, 443, 0, "", "root", "", "").Fix, showFix(tcp, 443)},
	} {
		if test.got != test.want {
			t.Errorf("got  %s\nwant %s", test.got, test.want)
		}
	}
}
