package localca

import (
	"crypto/tls"
	"errors"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestPermits(t *testing.T) {
	ca := mustOpen(t, t.TempDir())
	long := strings.Repeat("a", 63) + "."
	tests := []struct {
		name string
		want string // canonical; empty means refused
		why  string // part of the reason
	}{
		{"localhost", "localhost", ""},
		{"localhost.", "localhost", ""},
		{"LocalHost", "localhost", ""},
		{"shop.localhost", "shop.localhost", ""},
		{"a.b.Shop.localhost.", "a.b.shop.localhost", ""},
		{"my_app.localhost", "my_app.localhost", ""},
		{"xn--bcher-kva.localhost", "xn--bcher-kva.localhost", ""},
		{"*.app.localhost", "*.app.localhost", ""},
		{"127.0.0.1", "127.0.0.1", ""},
		{"127.255.255.254", "127.255.255.254", ""},
		{"::1", "::1", ""},
		{"0:0:0:0:0:0:0:1", "::1", ""},
		{"::ffff:127.0.0.1", "127.0.0.1", ""},
		{long + long + long + strings.Repeat("a", 51) + ".localhost", long + long + long + strings.Repeat("a", 51) + ".localhost", ""},

		{"", "", "empty"},
		{".", "", "empty"},
		{"example.com", "", "only localhost"},
		{"notlocalhost", "", "only localhost"},
		{"localhost.example.com", "", "only localhost"},
		{"local", "", "only localhost"},
		{"128.0.0.1", "", "only localhost"},
		{"::2", "", "only localhost"},
		{"0.0.0.0", "", "only localhost"},
		{"::ffff:10.0.0.1", "", "only localhost"},
		{"127.1", "", "only localhost"},
		{"::1%lo", "", "zone"},
		{"*.localhost", "", "*.app.localhost"},
		{"*", "", "letters"},
		{"*.*.localhost", "", "letters"},
		{"a*.app.localhost", "", "letters"},
		{"a.*.localhost", "", "letters"},
		{".localhost", "", "empty label"},
		{"localhost..", "", "empty label"},
		{"a..localhost", "", "empty label"},
		{"-a.localhost", "", "hyphen"},
		{"a-.localhost", "", "hyphen"},
		{"bücher.localhost", "", "punycode"},
		{"a b.localhost", "", "letters"},
		{"a\x00.localhost", "", "letters"},
		{"shop.localhost:443", "", "letters"},
		{"[::1]", "", "letters"},
		{"", "", "the name is empty"},
		{".", "", "the name is empty"},
		{".localhost", "", "an empty label"},
		{"a..localhost", "", "an empty label"},
		{"des\u212a.localhost", "", "letters"}, // the Kelvin sign
		{strings.Repeat("a", 64) + ".localhost", "", "63"},
		{long + long + long + strings.Repeat("a", 52) + ".localhost", "", "253"},
	}
	for _, test := range tests {
		got, err := parseSAN(test.name, suffix)
		if test.want != "" {
			if err != nil || got.String() != test.want || !ca.Permits(test.name) {
				t.Errorf("parseSAN(%q) = %q, %v; want %q", test.name, got, err, test.want)
			}
			continue
		}
		refused, ok := errors.AsType[*NameError](err)
		if !ok || refused.Name != test.name || !strings.Contains(refused.Reason, test.why) || ca.Permits(test.name) {
			t.Errorf("parseSAN(%q) = %q, %v; want a NameError that says %q", test.name, got, err, test.why)
		}
	}
}

func TestNameErrorIsShort(t *testing.T) {
	_, err := parseSAN(strings.Repeat("\x1b", 100_000), suffix)
	if err == nil || len(err.Error()) > 1000 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("a long name with control characters gives %q", err)
	}
}

// FuzzSNI compares with a naive grammar, and asks crypto/x509 whether what was
// signed lies within the constraints.
func FuzzSNI(f *testing.F) {
	for _, seed := range []string{
		"localhost", "a.localhost.", "*.a.localhost", "127.0.0.1", "::1", "::1%lo", "*.localhost",
		"example.com", "des\u212a.localhost", "A_.LOCALHOST", ".localhost", "-.localhost", "127.0.0.1.localhost",
	} {
		f.Add(seed)
	}
	ca := mustOpen(f, f.TempDir())
	grammar := regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[lL][oO][cC][aA][lL][hH][oO][sS][tT]\.?$`)
	f.Fuzz(func(t *testing.T, name string) {
		ip := net.ParseIP(name)
		base, isWildcard := strings.CutPrefix(name, "*.")
		short := len(strings.TrimSuffix(name, ".")) <= 253
		topWildcard := isWildcard && len(strings.TrimSuffix(base, ".")) == len("localhost")
		want := ip != nil && ip.IsLoopback() ||
			ip == nil && grammar.MatchString(base) && short && !topWildcard
		if got := ca.Permits(name); got != want {
			t.Fatalf("Permits(%q) = %v", name, got)
		}
		cert, err := ca.Issue(name)
		if (err == nil) != want {
			t.Fatalf("Issue(%q): %v", name, err)
		}
		fromSNI, err := ca.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if name != "" && (err == nil) != (want && !isWildcard) {
			t.Fatalf("GetCertificate(%q): %v", name, err)
		}
		if cert == nil {
			return
		}
		if fromSNI != nil && fromSNI != cert {
			t.Fatalf("GetCertificate(%q) is another leaf than Issue's", name)
		}
		host := strings.Replace(strings.TrimSuffix(name, "."), "*", "any", 1)
		if err := verify(ca.Root(), cert.Leaf, host, time.Now()); err != nil {
			t.Fatalf("the leaf of %q: %v", name, err)
		}
	})
}
