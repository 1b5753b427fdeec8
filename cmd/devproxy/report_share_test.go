package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/devproxy"
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
	printShare(&streams{Out: &out}, sampleShare(now), now, false, 0)
	const want = `  access      anyone with the link, until 23:04 (8 h)
  hidden      secrets and developer tools (devproxy explain --share PATH)
  relay       t.example.com; its operator can read this traffic
  not shared  mail.shop.localhost (share = false)
https://shop-k3v9x2m7qpr4t8wz.k7f3w2qd.t.example.com          shop.localhost
https://admin--shop-k3v9x2m7qpr4t8wz.k7f3w2qd.t.example.com   admin.shop.localhost
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
		{func(sh *control.Share) { sh.Password = true }, "  access      anyone with the link and the password, until 23:04 (8 h)\n"},
		{func(sh *control.Share) { sh.Allow = []string{"203.0.113.0/24", "2001:db8::1"} },
			"  access      anyone with the link, only from 203.0.113.0/24, 2001:db8::1, until 23:04 (8 h)\n"},
		{func(sh *control.Share) { sh.Public = []string{"/hooks", "/health"} }, "  public      /hooks /health\n"},
		{func(sh *control.Share) { sh.Advisories = []string{"vite 7.3.1 lets visitors read\x1b", "next"} },
			"  update      vite 7.3.1 lets visitors read\uFFFD\n  update      next\n"},
		{func(sh *control.Share) { sh.Public, sh.Password = []string{"/"}, true }, "  access      anyone with the link, until 23:04 (8 h)\n"},
		{func(sh *control.Share) {
			sh.Public, sh.URL = []string{"/"}, "https://shop.t.example.com/?devproxy=secret"
		},
			"  access      anyone, until 23:04 (8 h)\n"},
		{func(sh *control.Share) { sh.Paths = []string{"/app"} }, "  paths       /app\n"},
		{func(sh *control.Share) { sh.Relay = "share.localhost:41234" }, "  relay       share.localhost:41234; the link works on this machine only\n"},
		{func(sh *control.Share) {
			sh.Relay, sh.Operator, sh.Cannot = "cloudflare", "Cloudflare", []string{"event streams", "bodies over 100 MB"}
		}, "  relay       cloudflare; Cloudflare can read this traffic\n  carries no  event streams; bodies over 100 MB\n"},
		{func(sh *control.Share) { sh.Notes = []string{"the key of h is new\x1b"} }, "  note        the key of h is new\uFFFD\n"},
		{func(sh *control.Share) { sh.NotShared = nil }, ""},
	} {
		sh := sampleShare(now)
		test.change(&sh)
		var out bytes.Buffer
		printShare(&streams{Out: &out}, sh, now, false, 0)
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
	printShare(&streams{Out: &out}, sh, atNoon(t), false, 0)
	if !strings.Contains(out.String(), "\n"+sh.URL+" ") || strings.Contains(out.String(), sh.Hosts[0].URL+" ") {
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

// sized is a coloured terminal of a size.
func sized(out io.Writer, columns, rows int) *streams {
	return &streams{Out: out, Err: out, OutTTY: true, Color: true, Size: func() (int, int) { return columns, rows }}
}

// TestQRNeedsTheRoom prints a code only where it helps.
func TestQRNeedsTheRoom(t *testing.T) {
	const link = "https://shop-k3v9x2m7qpr4t8wz.t.example.com"
	for name, test := range map[string]struct {
		link          string
		columns, rows int
		change        func(*streams)
		want          bool
	}{
		"room":         {link, 80, 24, nil, true},
		"narrow":       {link, 20, 24, nil, false},
		"short":        {link, 80, 16, nil, false},
		"unknown size": {link, 80, 24, func(s *streams) { s.Size = nil }, false},
		"no terminal":  {link, 80, 24, func(s *streams) { s.OutTTY = false }, false},
		"no colour":    {link, 80, 24, func(s *streams) { s.Color = false }, false},
		"this machine": {"https://shop-k3v9x2m7qpr4t8wz.share.localhost:41234", 80, 50, nil, false},
		"localhost":    {"https://localhost:41234/", 80, 50, nil, false},
		"loopback":     {"https://127.0.0.1:41234/", 80, 50, nil, false},
		"loopback 6":   {"https://[::1]:41234/", 80, 50, nil, false},
	} {
		var out bytes.Buffer
		s := sized(&out, test.columns, test.rows)
		if test.change != nil {
			test.change(s)
		}
		printQR(s, test.link, 2)
		if got := strings.Contains(out.String(), "█"); got != test.want {
			t.Errorf("%s: printed %v", name, got)
		}
	}
}

// TestTheLinkStaysInSight prints shares on screens of every size: the link, and
// all that follows it, are never pushed off, and a code is whole or not there.
func TestTheLinkStaysInSight(t *testing.T) {
	now := atNoon(t)
	codes := 0
	for columns := 10; columns <= 120; columns += 5 {
		for rows := 8; rows <= 60; rows += 2 {
			for hosts := 1; hosts <= 2; hosts++ {
				sh := sampleShare(now)
				sh.Hosts = sh.Hosts[:hosts]
				var out bytes.Buffer
				s := sized(&out, columns, rows)
				printShare(s, sh, now, true, 1)
				fmt.Fprintln(&out, "keys")
				text := out.String()
				below := text[strings.Index(text, sh.URL):]
				if height := s.height(below) + 1; height > rows && columns >= 30 {
					t.Errorf("%d × %d: the link is %d rows above the end", columns, rows, height)
				}
				if !strings.Contains(text, "█") {
					continue
				}
				codes++
				if height := s.height(text) + 1; height > rows {
					t.Errorf("%d × %d: a code on a text of %d rows", columns, rows, height)
				}
				for line := range strings.Lines(text[:strings.Index(text, "access")]) {
					if width := shownWidth(strings.TrimSuffix(line, "\n")); strings.Contains(line, "█") && width > columns {
						t.Errorf("%d × %d: a line of the code has %d columns", columns, rows, width)
					}
				}
			}
		}
	}
	if codes == 0 {
		t.Error("no code on any screen")
	}
}

func TestDenseLink(t *testing.T) {
	for link, want := range map[string]string{
		"https://shop-k3v.t.example.com":           "HTTPS://SHOP-K3V.T.EXAMPLE.COM",
		"https://shop-k3v.t.example.com:8443/":     "HTTPS://SHOP-K3V.T.EXAMPLE.COM:8443",
		"https://shop.t.example.com/?devproxy=aBc": "https://shop.t.example.com/?devproxy=aBc",
		"https://shop.t.example.com/Admin":         "https://shop.t.example.com/Admin",
		"https://shop.t.example.com#Top":           "https://shop.t.example.com#Top",
	} {
		if got := denseLink(link); got != want {
			t.Errorf("%s: %s, want %s", link, got, want)
		}
	}
}

// TestAddedHostsArePrinted in the terminal and as JSON.
func TestAddedHostsArePrinted(t *testing.T) {
	e := devproxy.ShareEvent{Kind: devproxy.ShareAdded, Added: []string{"b"}}
	for keys, want := range map[bool]string{true: "To share it: press s\n", false: "To share it: devproxy share\n"} {
		var out, err bytes.Buffer
		r := newReporter(&streams{Out: &out, Err: &err, InTTY: keys, OutTTY: keys}, upOptions{}, source{})
		r.share(e)
		if text := err.String(); !strings.Contains(text, "b is not shared: it was added after the share started. ") || !strings.HasSuffix(text, want) || out.Len() > 0 {
			t.Errorf("keys %v: %q %q", keys, text, out.String())
		}
	}
	var out bytes.Buffer
	newReporter(&streams{Out: &out}, upOptions{json: true}, source{}).share(e)
	if want := `{"event":"not_shared","hosts":["b"],"reason":"added after the share started","fix":"devproxy share"}` + "\n"; out.String() != want {
		t.Errorf("%s", out.String())
	}
}

// TestPrintDomain compares the terminal's texts about a domain of the user's own, word by
// word.
func TestPrintDomain(t *testing.T) {
	now := atNoon(t)
	waits := sampleShare(now)
	waits.Domain = &control.Domain{Name: "demo.example.com", Host: "shop.localhost", State: control.DomainUnproven, Target: "k3v9x2m7qpr4t8wzk3v9x2m7qp.s.t.example.com", Error: "no record"}
	const records = `in use as soon as this DNS record exists: demo.example.com CNAME k3v9x2m7qpr4t8wzk3v9x2m7qp.s.t.example.com
without a CNAME (top of a zone, or behind a proxy): _devproxy.demo.example.com TXT "k3v9x2m7qpr4t8wzk3v9x2m7qp.s.t.example.com", and A and AAAA to the relay
`
	var out bytes.Buffer
	printShare(&streams{Out: &out}, waits, now, false, 0)
	rows := "  domain      " + strings.TrimSuffix(strings.ReplaceAll(records, "\n", "\n  domain      "), "  domain      ")
	if !strings.Contains(out.String(), rows) {
		t.Errorf("the block is\n%s\nwithout\n%s", out.String(), rows)
	}
	refused, up := waits, waits
	refused.Domain = &control.Domain{Name: "demo.example.com", State: control.DomainRefused, Error: "relay t.example.com runs an older version", Fix: "have its operator update it"}
	up.Domain = &control.Domain{Name: "demo.example.com", Host: "shop.localhost", State: control.DomainUp}
	up.URL = "https://demo.example.com/?devproxy=secret"
	up.Hosts = []control.SharedHost{{Name: "shop.localhost", URL: "https://demo.example.com"}, up.Hosts[1]}
	for name, test := range map[string]struct {
		before, now control.Share
		want        string
	}{
		"unproven": {sampleShare(now), waits, records},
		"refused":  {waits, refused, "demo.example.com is not in use yet: relay t.example.com runs an older version; have its operator update it\n"},
		"in use":   {waits, up, "demo.example.com is in use; " + waits.Hosts[0].URL + " no longer works\n"},
		"removed":  {waits, sampleShare(now), "demo.example.com is no longer in the share block\n"},
		"lost":     {up, waits, "https://demo.example.com no longer works\n"},
	} {
		out.Reset()
		r := newReporter(&streams{Out: &out, Err: &out}, upOptions{}, source{})
		e, _ := devproxy.CompareShare(test.before, test.now)
		r.share(e)
		for line := range strings.Lines(test.want) {
			if !strings.Contains(out.String(), line) {
				t.Errorf("%s: printed\n%s\nwithout\n%s", name, out.String(), line)
			}
		}
	}
	for sh, want := range map[*control.Share]string{
		&waits: `{"event":"domain","domain":{"name":"demo.example.com","host":"shop.localhost","state":"unproven","target":"` + waits.Domain.Target + `","error":"no record"}}`,
		{}:     `{"event":"domain","domain":null}`,
	} {
		if got, err := json.Marshal(shareJSON(devproxy.ShareEvent{Kind: devproxy.ShareDomain, Share: *sh})); err != nil || string(got) != want {
			t.Errorf("as JSON: %s, %v, want %s", got, err, want)
		}
	}
}
