package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"

	"github.com/devproxy/devproxy/tunnel"
)

func newNames(t *testing.T, k kind) *names {
	t.Helper()
	n, err := openNames(&certmagic.FileStorage{Path: t.TempDir()}, k)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBudget: a key, a network and the relay have so many new zones and domains in a week,
// and a name that they had before is not a new one.
func TestBudget(t *testing.T) {
	for _, k := range []kind{zoneKind, domainKind} {
		t.Run(k.noun, func(t *testing.T) { testBudget(t, k) })
	}
	if zoneKind.perWeek != 25 || zoneKind.perKey != 3 || zoneKind.perNetwork != 10 || domainKind.perWeek != 20 || domainKind.perKey != 2 || domainKind.perNetwork != 5 {
		t.Error("the limits are not those of README.md")
	}
}

func testBudget(t *testing.T, k kind) {
	now := time.Now()
	network := func(i int) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32) }
	for name, test := range map[string]struct {
		most         int
		key, network func(i int) int
		want         string
	}{
		"a key":     {k.perKey, func(int) int { return 0 }, func(i int) int { return i }, "one key gets certificates for %d new %s in seven days, and has had them; " + k.instead},
		"a network": {k.perNetwork, func(i int) int { return i }, func(int) int { return 0 }, "one network gets certificates for %d new %s in seven days"},
		"the relay": {k.perWeek, func(i int) int { return i }, func(i int) int { return i }, "this relay gets certificates for %d new %s in seven days"},
	} {
		t.Run(name, func(t *testing.T) {
			z := newNames(t, k)
			claim := func(i int, at time.Time) error {
				order, err := z.claim(fmt.Sprintf("z%d.t.example.com", i), fmt.Sprint(test.key(i)), network(test.network(i)), false, at)
				var refusal *tunnel.Refusal
				if !errors.As(err, &refusal) || order != (refusal.Code == tunnel.CodeBusy) {
					t.Fatalf("claim %d: order %v, %v", i, order, err)
				}
				if order {
					return nil
				}
				return err
			}
			for i := range test.most {
				if err := claim(i, now.Add(time.Duration(i)*time.Minute)); err != nil {
					t.Fatalf("zone %d: %v", i, err)
				}
			}
			later := now.Add(time.Hour)
			if test.most < k.perWeek { // another's, which counts for the total only
				if _, err := z.claim("older.example.org", "older", netip.Prefix{}, false, now.Add(-time.Hour)); err == nil {
					t.Fatal("covered")
				}
			}
			err := claim(test.most, later)
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf(test.want, test.most, k.noun)) || !strings.Contains(err.Error(), "try again after "+minute(now.Add(week))) {
				t.Errorf("beyond the budget: %v", err)
			}
			if order, err := z.claim("z0.t.example.com", "0", network(0), true, later); order || err != nil {
				t.Errorf("a known zone: order %v, %v", order, err)
			}
			again, err := openNames(z.storage, k)
			if err != nil {
				t.Fatal(err)
			}
			if again.left(later) != k.perWeek-len(z.all) {
				t.Errorf("the next process has %d left", again.left(later))
			}
			z = again
			if err := claim(test.most, now.Add(week)); err != nil {
				t.Errorf("a week later: %v", err)
			}
		})
	}
}

// TestFailedZone: an order that has failed is repeated after a pause, and an agent is
// told when.
func TestFailedZone(t *testing.T) {
	z, now := newNames(t, zoneKind), time.Now()
	const zone = "abcdefgh.t.example.com"
	claim := func(at time.Time) (bool, string) {
		order, err := z.claim(zone, "key", netip.Prefix{}, false, at)
		return order, fmt.Sprint(err)
	}
	if order, _ := claim(now); !order {
		t.Fatal("no order")
	}
	if order, text := claim(now); order || !strings.Contains(text, "is being issued") {
		t.Errorf("while it is ordered: %v, %s", order, text)
	}
	z.done(zone, explain(acme.Problem{Type: acme.ProblemTypeDNS, Detail: "no TXT record"}, Options{}), now)
	if order, text := claim(now.Add(30 * time.Second)); order || !strings.Contains(text, "no TXT record; the relay tries again at "+minute(now.Add(time.Minute))) {
		t.Errorf("after it has failed: %v, %s", order, text)
	}
	if order, _ := claim(now.Add(time.Minute)); !order {
		t.Error("it is not ordered again")
	}
	z.done(zone, nil, now)
	if got := z.used(now.Add(unused - time.Hour)); len(got) != 1 {
		t.Errorf("in use are %v", got)
	}
	if got, err := z.expired(now.Add(unused - time.Hour)); len(got) != 0 || err != nil {
		t.Errorf("expired are %v, %v", got, err)
	}
	if got, err := z.expired(now.Add(unused + 2*time.Minute)); len(got) != 1 || err != nil || len(z.all) != 0 {
		t.Errorf("expired are %v, %v", got, err)
	}
}

// TestExplain: what each failure of an authority means, and what to do.
func TestExplain(t *testing.T) {
	o := Options{Domain: "t.example.com", Authority: "https://ca.example/dir"}
	problem := func(kind, detail string) error {
		return fmt.Errorf("order: %w", acme.Problem{Type: kind, Detail: detail})
	}
	for _, test := range []struct {
		err       error
		text, fix string
		final     bool
		pause     time.Duration
	}{
		{problem(acme.ProblemTypeRateLimited, "too many certificates"), "the authority's limit is reached: too many certificates", "--acme-staging", false, time.Hour},
		{problem(acme.ProblemTypeDNS, "NXDOMAIN"), "the authority doesn't see the relay's DNS answers: NXDOMAIN", "devproxy relay init t.example.com --check", false, time.Minute},
		{problem(acme.ProblemTypeCAA, "CAA"), "a CAA record forbids this authority: CAA", "CAA records of t.example.com", false, time.Minute},
		{problem(acme.ProblemTypeRejectedIdentifier, "policy"), "the authority refuses: policy", "--domain", true, 0},
		{problem(acme.ProblemTypeInvalidContact, "no MX"), "the authority refuses: no MX", "--acme-email", true, 0},
		{problem(acme.ProblemTypeExternalAccountRequired, "EAB"), "the authority refuses: EAB", "--cert FILE --key FILE", true, 0},
		{problem(acme.ProblemTypeServerInternal, "down"), "the authority refuses: down", "wait", false, 2 * time.Second},
		{problem("other", "why"), "the authority refuses: why", "--check", false, time.Minute},
		{acme.Problem{Type: acme.ProblemTypeMalformed, Detail: "all", Subproblems: []acme.Subproblem{{Problem: acme.Problem{Detail: "one of them"}}}}, "the authority refuses: one of them", "--check", false, time.Minute},
		{&url.Error{Op: "Get", URL: "x", Err: &net.OpError{Op: "dial", Err: errors.New("refused")}}, "the authority at https://ca.example/dir can't be reached: dial: refused", "outgoing HTTPS", false, 2 * time.Second},
		{&url.Error{Op: "Get", URL: "x", Err: x509.UnknownAuthorityError{}}, "is not trusted", "SSL_CERT_FILE", false, 2 * time.Second},
		{context.DeadlineExceeded, "can't be reached", "outgoing HTTPS", false, 2 * time.Second},
		{errors.New("disk full"), "no certificate from https://ca.example/dir: disk full", "state folder", false, time.Minute},
	} {
		f := explain(test.err, o)
		if !strings.Contains(f.Error(), test.text) || !strings.Contains(f.Fix(), test.fix) || f.final != test.final || !errors.Is(f, test.err) && !test.final && f.Unwrap() == nil {
			t.Errorf("%v: %s, %s, final %v", test.err, f, f.Fix(), f.final)
		}
		var problem acme.Problem
		want := "failed"
		if errors.As(test.err, &problem) {
			if want = "refused"; problem.Type == acme.ProblemTypeRateLimited {
				want = "limited"
			}
		}
		if f.outcome() != want {
			t.Errorf("%v: the outcome is %s, want %s", test.err, f.outcome(), want)
		}
		if !test.final && f.pause(0) != test.pause {
			t.Errorf("%v: again in %v, want %v", test.err, f.pause(0), test.pause)
		}
	}
}

// One owner of many IPv6 networks can't use up the zones of all.
func TestSite(t *testing.T) {
	for from, want := range map[string]string{
		"2001:db8:1:2::/64": "2001:db8:1::/48", "2001:db8:1:ff00::/64": "2001:db8:1::/48", "2001:db8:2::/64": "2001:db8:2::/48",
		"203.0.113.7/32": "203.0.113.7/32",
	} {
		if got := site(netip.MustParsePrefix(from)); got.String() != want {
			t.Errorf("%s is counted with %s, want %s", from, got, want)
		}
	}
	if got := site(netip.Prefix{}); got.IsValid() {
		t.Errorf("no network is counted with %s", got)
	}
}

// A file of zones that was changed by hand is refused, not half read.
func TestZonesWithNull(t *testing.T) {
	for _, text := range []string{"null", `{"a.t.example.com":null}`} {
		storage := &certmagic.FileStorage{Path: t.TempDir()}
		if err := storage.Store(t.Context(), zoneKind.file, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := openNames(storage, zoneKind); err == nil {
			t.Errorf("%s is read", text)
		}
	}
}

// A name that another key has proven to be its own is renewed for that key, after a restart
// too, and does not count as a new one.
func TestTakenOver(t *testing.T) {
	n, now := newNames(t, domainKind), time.Now()
	if _, err := n.claim("demo.example.org", "a", netip.Prefix{}, false, now); err == nil {
		t.Fatal("covered")
	}
	if _, err := n.claim("demo.example.org", "b", netip.Prefix{}, true, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	again, err := openNames(n.storage, domainKind)
	if err != nil {
		t.Fatal(err)
	}
	if n.keyOf("demo.example.org") != "b" || again.keyOf("demo.example.org") != "b" || again.left(now) != domainKind.perWeek-1 {
		t.Errorf("the key is %q, and %q after a restart; left are %d", n.keyOf("demo.example.org"), again.keyOf("demo.example.org"), again.left(now))
	}
}
