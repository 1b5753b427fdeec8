package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

// TestUnreached is every way a connection fails.
func TestUnreached(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	_, refusing, _ := net.SplitHostPort(closed.Addr().String())
	for name, test := range map[string]struct {
		relay     string
		fails     error // of the dial; nil dials loopback
		reason    Reason
		text, fix string
	}{
		"no such name":    {relayName, &net.DNSError{Err: "no such host", Name: relayName, IsNotFound: true}, ReasonNoName, "cannot look up t.example.com: no such name", "nslookup t.example.com"},
		"DNS is away":     {relayName, &net.DNSError{Err: "server misbehaving", Name: relayName, IsTemporary: true}, ReasonDNS, "cannot look up t.example.com: server misbehaving", "this machine's DNS"},
		"refused":         {relayName + ":" + refusing, nil, ReasonRefused, "cannot connect to t.example.com:" + refusing + ": nothing listens there", "whether the relay runs"},
		"refused here":    {"share.localhost:" + refusing, nil, ReasonRefused, "nothing listens there", "devproxy relay --dev --listen 127.0.0.1:" + refusing},
		"blocked":         {relayName, context.DeadlineExceeded, ReasonBlocked, "cannot connect to t.example.com:443: no answer within 10s", "port 443 seems blocked; set HTTPS_PROXY if this network needs a proxy"},
		"blocked, kernel": {relayName, &net.OpError{Op: "dial", Err: syscall.ETIMEDOUT}, ReasonBlocked, "no answer", "seems blocked"},
		"no network":      {relayName, &net.OpError{Op: "dial", Err: syscall.ENETUNREACH}, ReasonUnreachable, "no route from this network", "this machine's network"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := newDialer(Options{Relay: test.relay})
			if err != nil {
				t.Fatal(err)
			}
			d.dial = toLoopback
			if test.fails != nil {
				d.dial = func(context.Context, string, string) (net.Conn, error) { return nil, test.fails }
			}
			_, err = d.lane(t.Context())
			wants(t, err, test.reason, test.text, test.fix)
			if test.fails != nil && !errors.Is(err, test.fails) {
				t.Error("the cause is not to be found")
			}
		})
	}
}

// TestRealResolver looks up a name that cannot exist (RFC 6761 section 6.4).
func TestRealResolver(t *testing.T) {
	d, err := newDialer(Options{Relay: "relay.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.lane(t.Context())
	if !isReason(err, ReasonNoName) && !isReason(err, ReasonDNS) { // a machine without DNS cannot know
		t.Errorf("%v", err)
	}
	if !strings.Contains(err.Error(), "relay.invalid") || strings.Contains(err.Error(), "lookup relay.invalid on") {
		t.Errorf("%v", err)
	}
}

// TestUnsafe is every certificate that is not the relay's.
func TestUnsafe(t *testing.T) {
	ca := newAuthority(t, "devproxy test CA")
	other := newAuthority(t, "Zsc\x1baler Root CA")
	yesterday := time.Now().Add(-time.Minute)
	good, foreign := ca.leaf(t, relayName, time.Time{}), other.leaf(t, relayName, time.Time{})
	for name, test := range map[string]struct {
		spoil     func(*fakeRelay)
		relay     string
		pin       string
		reason    Reason
		text, fix string
	}{
		"company": {func(r *fakeRelay) { r.cert = foreign }, relayName, "", ReasonInspected,
			`its certificate is signed by "Zsc?aler Root CA", which this machine does not trust`, "leave t.example.com out of TLS inspection"},
		"company, or own": {func(r *fakeRelay) { r.cert = foreign }, relayName, "", ReasonInspected, "", "--pin " + Pin(foreign.Leaf)},
		"other CA here": {func(r *fakeRelay) { r.cert = other.leaf(t, "share.localhost", time.Time{}) }, "share.localhost", "", ReasonCertificate,
			"signed by", "DEVPROXY_HOME"},
		"other name": {func(r *fakeRelay) { r.cert = ca.leaf(t, "www.example.org", time.Time{}) }, relayName, "", ReasonCertificate,
			"its certificate is for www.example.org", "check the relay's name"},
		"ended": {func(r *fakeRelay) { r.cert = ca.leaf(t, relayName, yesterday) }, relayName, "", ReasonCertificate,
			"its certificate expired on " + yesterday.UTC().Format(time.DateOnly), "clock"},
		"not valid yet": {func(r *fakeRelay) {
			r.cert = ca.leafBetween(t, relayName, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
		}, relayName, "", ReasonCertificate,
			"its certificate is not valid before 2", "check this machine's clock, which says 2"},
		"other pin": {func(r *fakeRelay) { r.cert = good }, relayName, Pin(foreign.Leaf), ReasonPin,
			"the key " + Pin(good.Leaf) + ", but the pinned key is " + Pin(foreign.Leaf), "--pin " + Pin(good.Leaf)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t)
			r.ca = ca
			test.spoil(r)
			r.start(nil)
			opts := optionsFor(r)
			_, port, _ := net.SplitHostPort(opts.Relay)
			opts.Relay, opts.Pin = net.JoinHostPort(test.relay, port), test.pin
			d := prepare(opts).dialer
			_, err := d.lane(t.Context())
			wants(t, err, test.reason, test.text, test.fix)
		})
	}
}

// TestPinned needs no roots and no name.
func TestPinned(t *testing.T) {
	r := newRelay(t)
	r.cert = newAuthority(t, "no one's CA").leaf(t, "whatever.example.org", time.Time{})
	r.start(nil)
	opts := optionsFor(r)
	opts.Pin = Pin(r.cert.Leaf)
	run(t, opts).until(Up)
}

// TestSilent is an end that takes connections and says nothing, or goes.
func TestSilent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	d, err := newDialer(Options{Relay: "share.localhost:" + portOf(ln)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.lane(t.Context())
	wants(t, err, ReasonBroken, "the TLS handshake broke off: the other end closed the connection", "tries again")
}

func portOf(ln net.Listener) string {
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// TestRefusals is what a relay says no with, and which of it ends Run.
func TestRefusals(t *testing.T) {
	for code, test := range map[tunnel.Code]struct {
		reason    Reason
		fatal     bool
		text, fix string
	}{
		tunnel.CodeUnknownKey: {ReasonUnknownKey, true, "it does not know this folder's key", "devproxy relay login %s --token TOKEN\nor have its operator add this line to its authorized_keys:\ndevproxy-ed25519 "},
		tunnel.CodeRevoked:    {ReasonRevoked, true, "has revoked this folder's key", "contact the operator"},
		tunnel.CodeBadToken:   {ReasonBadToken, true, "the enrolment token is not valid", "devproxy relay login %s --token TOKEN"},
		tunnel.CodeNameTaken:  {ReasonNameTaken, true, "said by the relay", "choose another"},
		tunnel.CodeBadClaim:   {ReasonBadClaim, true, "said by the relay", "change the share block"},
		tunnel.CodeEnded:      {ReasonEnded, true, "this link has ended for good", "devproxy share"},
		tunnel.CodeReplaced:   {ReasonReplaced, true, "uses this folder's key", "devproxy down"},
		tunnel.CodeBadHello:   {ReasonVersion, true, "said by the relay", "the same version of devproxy here and on the relay"},
		tunnel.CodeBadProof:   {ReasonInspected, false, "something on the way decrypts TLS", "TLS inspection"},
		tunnel.CodeUnproven:   {ReasonUnproven, false, "said by the relay", "make that DNS record"},
		tunnel.CodeBusy:       {ReasonBusy, false, "said by the relay", "tries again"},
		tunnel.CodeFailed:     {ReasonFailed, false, "said by the relay", "relay's log"},
		tunnel.Code(9999):     {ReasonFailed, false, "said by the relay", "relay's log"},
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			r := newRelay(t)
			r.admit = func(tunnel.Claim) (tunnel.Grant, *tunnel.Refusal) {
				return tunnel.Grant{}, &tunnel.Refusal{Code: code, Message: "said by the relay"}
			}
			r.start(nil)
			opts := optionsFor(r)
			a := run(t, opts)
			var err *Error
			if test.fatal {
				err = a.fails()
			} else {
				err = a.until(Waiting).Err
			}
			fix := test.fix
			if strings.Contains(fix, "%s") {
				fix = fmt.Sprintf(fix, opts.Relay)
			}
			wants(t, err, test.reason, test.text, fix)
		})
	}
}

// TestRevokedLater ends a session that stands.
func TestRevokedLater(t *testing.T) {
	r := newRelay(t).start(nil)
	a := run(t, optionsFor(r))
	go echo(a.Agent)
	s := r.session()
	visit(t, s, "while it lasts")
	s.Close(&tunnel.Refusal{Code: tunnel.CodeRevoked, Message: "no more"})
	wants(t, a.fails(), ReasonRevoked, "revoked", "contact the operator")
}

// TestAuthorizedKey is the line that a relay reads.
func TestAuthorizedKey(t *testing.T) {
	const want = "devproxy-ed25519 6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw="
	if got := AuthorizedKey([]byte("\xeaJlc\xe2\x9cR\x0a\xbe\xf5P{\x13.\xc5\xf9\x95Gv\xae\xbe\xbe{\x92B\x1e\xeai\x14F\xd2,")); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestBadRelays cannot be meant.
func TestBadRelays(t *testing.T) {
	for _, text := range []string{"", "https://t.example.com", "t.example.com/x", "t example", "t.example.com:0", "t.example.com:65536", "t.example.com:https", "*.example.com", ":443", "t.example.com:+44"} {
		err := New(Options{Relay: text}).Run(t.Context())
		wants(t, err, ReasonRelay, "as a relay", "t.example.com:8443")
	}
	err := New(Options{Relay: relayName, Pin: "sha256/abc"}).Run(t.Context())
	wants(t, err, ReasonRelay, `the pin "sha256/abc"`, "44 characters of base64")
	for text, want := range map[string]target{
		"T.Example.com.":  {"t.example.com", "443"},
		"[::1]:8443":      {"::1", "8443"},
		"192.0.2.1":       {"192.0.2.1", "443"},
		"localhost:41234": {"localhost", "41234"},
	} {
		if got, err := parseTarget(text); got != want || err != nil {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
	}
	if got := (target{"::1", "443"}).origin(); got != "https://[::1]" {
		t.Errorf("the origin is %s", got)
	}
}

// TestFatal: a relay that cannot be found is a wrong name only the first time,
// on a machine that has a network.
func TestFatal(t *testing.T) {
	some := func() ([]net.Addr, error) { return []net.Addr{&net.IPNet{IP: net.IPv4(192, 0, 2, 1)}}, nil }
	none := func() ([]net.Addr, error) { return []net.Addr{&net.IPNet{IP: net.IPv4(127, 0, 0, 1)}}, nil }
	for _, test := range []struct {
		reason Reason
		addrs  func() ([]net.Addr, error)
		held   bool
		want   bool
	}{
		{ReasonNoName, some, false, true},
		{ReasonNoName, some, true, false},
		{ReasonNoName, none, false, false},
		{ReasonNotRelay, some, false, true},
		{ReasonNotRelay, some, true, false},
		{ReasonDNS, some, false, false},
		{ReasonBlocked, some, false, false},
		{ReasonUnknownKey, none, true, true},
	} {
		a := New(Options{Relay: relayName})
		a.machine.addrs, a.held = test.addrs, test.held
		if got := a.isFatal(&Error{Reason: test.reason, Err: errors.New("x")}); got != test.want {
			t.Errorf("%+v: fatal is %t", test, got)
		}
	}
}

// TestLocalNames are never looked up: both loopbacks are dialled in turn, and
// when none answers the first one's error counts.
func TestLocalNames(t *testing.T) {
	for _, relay := range []string{"localhost", "share.localhost", "A.B.Localhost."} {
		d, err := newDialer(Options{Relay: relay + ":8443"})
		if err != nil {
			t.Fatal(err)
		}
		var dialled []string
		d.dial = func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			if len(dialled) == 2 {
				return nil, &net.OpError{Op: "dial", Err: syscall.EADDRNOTAVAIL}
			}
			return nil, &net.OpError{Op: "dial", Err: neterror.ErrRefused}
		}
		_, err = d.lane(t.Context())
		wants(t, err, ReasonRefused, "nothing listens there", "devproxy relay --dev")
		if want := []string{"127.0.0.1:8443", "[::1]:8443"}; !slices.Equal(dialled, want) {
			t.Errorf("%s is dialled as %v, want %v", relay, dialled, want)
		}
	}
}
