package listen

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestConfigEqual(t *testing.T) {
	one := Config{HTTPS: "8443", HTTP: "8080"}
	for _, other := range []Config{{HTTPS: "8443", HTTP: "8080"}, {HTTPS: "8443", HTTP: "8080", TLS: &tls.Config{}}} {
		if !one.Equal(other) {
			t.Errorf("%+v is not equal", other)
		}
	}
	for _, other := range []Config{{HTTPS: "8444", HTTP: "8080"}, {HTTPS: "8443", HTTP: "8081"}, {}} {
		if one.Equal(other) {
			t.Errorf("%+v is equal", other)
		}
	}
}

// TestServerTLS: protocols and the lowest version are set here, whatever the
// certificates' configuration says, and that stays unchanged.
func TestServerTLS(t *testing.T) {
	for version, want := range map[uint16]uint16{0: tls.VersionTLS12, tls.VersionTLS10: tls.VersionTLS12, tls.VersionTLS12: tls.VersionTLS12, tls.VersionTLS13: tls.VersionTLS13} {
		given := &tls.Config{MinVersion: version, NextProtos: []string{"x"}}
		got := serverTLS(given)
		if got.MinVersion != want || !slices.Equal(got.NextProtos, []string{"h2", "http/1.1"}) {
			t.Errorf("%s: %s, %q", tls.VersionName(version), tls.VersionName(got.MinVersion), got.NextProtos)
		}
		if given.MinVersion != version || !slices.Equal(given.NextProtos, []string{"x"}) {
			t.Errorf("%s: what was given is now %s, %q", tls.VersionName(version), tls.VersionName(given.MinVersion), given.NextProtos)
		}
	}
}

// TestWrongAddresses are refused by Open and by Apply, for either protocol.
func TestWrongAddresses(t *testing.T) {
	s, err := open(t, Config{HTTPS: ":0", HTTP: ":0"})
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(s.HTTPS(), s.HTTP())
	for _, cfg := range []Config{{HTTPS: "0.0.0.0:0", HTTP: ":0"}, {HTTPS: ":0", HTTP: "0.0.0.0:0"}} {
		if _, err := open(t, cfg); err == nil || !strings.Contains(err.Error(), "serves this machine only") {
			t.Errorf("%+v, opened: %v", cfg, err)
		}
		if err := s.Apply(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "serves this machine only") {
			t.Errorf("%+v, applied: %v", cfg, err)
		}
	}
	if after := fmt.Sprint(s.HTTPS(), s.HTTP()); after != before {
		t.Errorf("now %s, before %s", after, before)
	}
}

// TestApplyTheSame keeps the sockets: a free port that was picked is the
// request.
func TestApplyTheSame(t *testing.T) {
	cfg := Config{HTTPS: ":0", HTTP: "127.0.0.1:0"}
	s, err := open(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(s.HTTPS(), s.HTTP())
	if err := s.Apply(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if after := fmt.Sprint(s.HTTPS(), s.HTTP()); after != before {
		t.Errorf("now %s, before %s", after, before)
	}
}

// TestApplyToSomeAddresses changes between both loopbacks and one of them on the
// same port: what is bound stays, what is missing comes, what is too much goes.
func TestApplyToSomeAddresses(t *testing.T) {
	s, err := open(t, Config{HTTPS: ":0", HTTP: ":0"})
	if err != nil {
		t.Fatal(err)
	}
	port, config := s.HTTPS()[0].Port(), &tls.Config{InsecureSkipVerify: true}
	for _, test := range []struct {
		https string
		want  string
	}{
		{"127.0.0.1:%d", "[127.0.0.1:%d]"}, {":%d", "[127.0.0.1:%[1]d [::1]:%[1]d]"}, {"[::1]:%d", "[[::1]:%d]"}, {"127.0.0.1:%d", "[127.0.0.1:%d]"}, {"%d", "[127.0.0.1:%[1]d [::1]:%[1]d]"},
	} {
		cfg := Config{HTTPS: fmt.Sprintf(test.https, port), HTTP: ":0"}
		if err := s.Apply(t.Context(), cfg); err != nil {
			t.Fatalf("%s: %v", cfg.HTTPS, err)
		}
		if got, want := fmt.Sprint(s.HTTPS()), fmt.Sprintf(test.want, port); got != want {
			t.Errorf("%s: %s, want %s", cfg.HTTPS, got, want)
		}
		for _, host := range []string{"127.0.0.1", "[::1]"} {
			at := fmt.Sprintf("%s:%d", host, port)
			go func() {
				if c, err := s.Accept(); err == nil {
					c.Close()
				}
			}()
			c, err := tls.Dial("tcp", at, config)
			if bound := slices.ContainsFunc(s.HTTPS(), func(a netip.AddrPort) bool { return a.String() == at }); (err == nil) != bound {
				t.Errorf("%s: %s is bound: %v, and answers: %v", cfg.HTTPS, at, bound, err)
			}
			if err == nil {
				c.Close()
			}
		}
	}

	// Another protocol's, or another's, is none of its own: nothing changes.
	before := fmt.Sprint(s.HTTPS(), s.HTTP())
	for _, https := range []string{fmt.Sprint(s.HTTP()[0].Port()), taken(t)} {
		if err := s.Apply(t.Context(), Config{HTTPS: https, HTTP: ":0"}); err == nil {
			t.Errorf("port %s is taken, and is applied", https)
		}
	}
	if err := s.Apply(t.Context(), Config{HTTPS: fmt.Sprintf("127.0.0.1:%d", port), HTTP: taken(t)}); err == nil {
		t.Error("a port of HTTP that is taken is applied")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	https := free.Addr().String()
	free.Close()
	if err := s.Apply(t.Context(), Config{HTTPS: https, HTTP: taken(t)}); err == nil {
		t.Error("a port of HTTP that is taken is applied")
	}
	if again, err := net.Listen("tcp", https); err != nil {
		t.Errorf("HTTPS was left bound: %v", err)
	} else {
		again.Close()
	}
	if after := fmt.Sprint(s.HTTPS(), s.HTTP()); after != before {
		t.Errorf("now %s, before %s", after, before)
	}
}

// taken is a port that another socket has on ::1 alone.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return fmt.Sprint(boundTo(l).Port())
}
