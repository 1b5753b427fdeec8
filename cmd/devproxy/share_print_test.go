package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/devproxy/control"
)

// atNoon is a moment of a day whose 23:04 is the same day's.
func atNoon(t *testing.T) time.Time {
	t.Helper()
	return time.Date(2026, 11, 22, 15, 4, 0, 0, time.Local)
}

func sampleShare(now time.Time) control.Share {
	return control.Share{
		State: control.ShareUp, Link: 1, Relay: "t.example.com", Expires: now.Add(8 * time.Hour),
		URL: "https://shop-k3v9x2m7qpr4t8wz.k7f3w2qd.t.example.com",
		Hosts: []control.SharedHost{
			{Name: "shop.localhost", URL: "https://shop-k3v9x2m7qpr4t8wz.k7f3w2qd.t.example.com"},
			{Name: "admin.shop.localhost", URL: "https://admin--shop-k3v9x2m7qpr4t8wz.k7f3w2qd.t.example.com"},
		},
		NotShared: []control.NotShared{{Name: "mail.shop.localhost", Reason: "share = false"}},
	}
}

// TestPrintShare holds the block of texts.md to the word.
func TestPrintShare(t *testing.T) {
	now := atNoon(t)
	var out bytes.Buffer
	printShare(&streams{Out: &out}, sampleShare(now), now)
	const want = `https://shop-k3v9x2m7qpr4t8wz.k7f3w2qd.t.example.com          shop.localhost
https://admin--shop-k3v9x2m7qpr4t8wz.k7f3w2qd.t.example.com   admin.shop.localhost
  not shared  mail.shop.localhost (share = false)
  who         anyone with the link, until 23:04 (8 h)
  hidden      secrets and developer tools (devproxy explain --share PATH)
  relay       t.example.com; its operator can read this traffic
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPrintShareSaysWhoMayVisit(t *testing.T) {
	now := atNoon(t)
	for _, test := range []struct {
		change func(*control.Share)
		want   string
	}{
		{func(sh *control.Share) { sh.Password = true }, "  who         anyone with the link and the password, until 23:04 (8 h)\n"},
		{func(sh *control.Share) { sh.Allow = []string{"203.0.113.0/24", "2001:db8::1"} },
			"  who         anyone with the link from 203.0.113.0/24, 2001:db8::1, until 23:04 (8 h)\n"},
		{func(sh *control.Share) { sh.Public = []string{"/hooks", "/health"} }, "  public      /hooks /health\n"},
		{func(sh *control.Share) { sh.Advisories = []string{"vite 7.3.1 lets visitors read\x1b", "next"} },
			"  update      vite 7.3.1 lets visitors read\uFFFD\n  update      next\n"},
		{func(sh *control.Share) { sh.Public, sh.Password = []string{"/"}, true }, "  who         anyone with the link, until 23:04 (8 h)\n"},
		{func(sh *control.Share) {
			sh.Public, sh.URL = []string{"/"}, "https://shop.t.example.com/?devproxy=secret"
		},
			"  who         anyone, until 23:04 (8 h)\n"},
		{func(sh *control.Share) { sh.Paths = []string{"/app"} }, "  paths       /app\n"},
		{func(sh *control.Share) { sh.Relay = "share.localhost:41234" }, "  relay       share.localhost:41234; the link works on this machine only\n"},
		{func(sh *control.Share) {
			sh.Relay, sh.Operator, sh.Cannot = "cloudflare", "Cloudflare", []string{"event streams", "bodies over 100 MB"}
		}, "  relay       cloudflare; Cloudflare can read this traffic\n  carries no  event streams, bodies over 100 MB\n"},
		{func(sh *control.Share) { sh.NotShared = nil }, ""},
	} {
		sh := sampleShare(now)
		test.change(&sh)
		var out bytes.Buffer
		printShare(&streams{Out: &out}, sh, now)
		if !strings.Contains(out.String(), test.want) || sh.NotShared == nil && strings.Contains(out.String(), "not shared") {
			t.Errorf("got\n%swant %q in it", out.String(), test.want)
		}
	}
}

// TestPrintShareLinkCarriesTheSecret has the first address be the link.
func TestPrintShareLinkCarriesTheSecret(t *testing.T) {
	sh := sampleShare(atNoon(t))
	sh.URL = "https://shop.t.example.com/?devproxy=secret"
	var out bytes.Buffer
	printShare(&streams{Out: &out}, sh, atNoon(t))
	if !strings.HasPrefix(out.String(), sh.URL+" ") || strings.Contains(out.String(), sh.Hosts[0].URL+" ") {
		t.Errorf("got\n%s", out.String())
	}
}

func TestUntilText(t *testing.T) {
	now := atNoon(t)
	for after, want := range map[time.Duration]string{
		30 * time.Second:        "15:04 (30 s)",
		59*time.Minute + 40*1e9: "16:03 (1 h)",
		90 * time.Minute:        "16:34 (1 h 30 min)",
		9 * time.Hour:           "00:04, 23 November (9 h)",
		40 * time.Hour:          "07:04, 24 November (40 h)",
		30 * 24 * time.Hour:     "15:04, 22 December (30 days)",
		-time.Minute:            "15:03 (0 ms)",
	} {
		if got := untilText(now.Add(after), now); got != want {
			t.Errorf("after %s: got %q, want %q", after, got, want)
		}
	}
}

func TestQRNeedsTheRoom(t *testing.T) {
	const url = "https://shop-k3v9x2m7qpr4t8wz.t.example.com"
	for _, test := range []struct {
		width int
		tty   bool
		want  bool
	}{{80, true, true}, {20, true, false}, {0, true, false}, {80, false, false}} {
		var out bytes.Buffer
		printQR(&streams{Out: &out, OutTTY: test.tty, Width: test.width}, url)
		if got := strings.Contains(out.String(), "█"); got != test.want {
			t.Errorf("%+v: printed %v", test, got)
		}
		for line := range strings.Lines(out.String()) {
			if width := len([]rune(strings.TrimSuffix(line, "\n"))); width > test.width {
				t.Errorf("%+v: a line of %d columns", test, width)
			}
		}
	}
}
