package listen

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestConfigEqual(t *testing.T) {
	one := Config{HTTPS: "8443", HTTP: "8080"}
	for other, want := range map[Config]bool{
		{HTTPS: "8443", HTTP: "8080"}: true, {HTTPS: "8443", HTTP: "8080", TLS: &tls.Config{}}: true,
		{HTTPS: "8444", HTTP: "8080"}: false, {HTTPS: "8443", HTTP: "8081"}: false, {}: false,
	} {
		if got := one.Equal(other); got != want {
			t.Errorf("%+v: %v", other, got)
		}
	}
}

// TestServerTLS: protocols and the lowest version are set here, whatever the
// certificates' configuration says, and that stays as it is.
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

// TestApplyTheSame keeps the sockets: a free port that was picked is what was
// asked for.
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
