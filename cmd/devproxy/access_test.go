package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/inspect"
)

// TestAccessMarksVisitors has each line of a visitor say so, folded ones too.
func TestAccessMarksVisitors(t *testing.T) {
	var out bytes.Buffer
	log := accessLog{streams: &streams{Err: &out}, oneHost: true}
	start := time.Date(2026, 11, 22, 14, 2, 11, 0, time.Local)
	exchange := func(target, visitor string) inspect.Exchange {
		x := inspect.Exchange{Start: start, Duration: 12 * time.Millisecond, Method: "GET", Host: "shop.localhost", Target: target, Status: 200}
		if visitor != "" {
			x.Share, x.Visitor = "shop", visitor
		}
		return x
	}
	for _, x := range []inspect.Exchange{
		exchange("/", ""), exchange("/a.js", ""), exchange("/b.js", ""),
		exchange("/c.js", "203.0.113.7"), exchange("/", "203.0.113.7"),
	} {
		log.add(x)
	}
	unknown := exchange("/\x1b[2J", "")
	unknown.Share = "shop"
	log.add(unknown)
	want := []string{
		"14:02:11  GET  /                                  200  12 ms",
		"          + 2 assets, 12 ms",
		"          + 1 asset, 12 ms  visitor",
		"14:02:11  GET  /                                  200  12 ms  visitor 203.0.113.7",
		"14:02:11  GET  /\ufffd[2J                              200  12 ms  visitor",
	}
	if got := strings.TrimSuffix(out.String(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// TestAccessFitsTheTerminal: lines are shortened to fit, and keep the parts of host
// and path by which requests differ.
func TestAccessFitsTheTerminal(t *testing.T) {
	const host, path = "admin.shop.localhost", "/api/orders/2026/november?page=2"
	for _, columns := range []int{40, 60, 80, 100, 200} {
		var out bytes.Buffer
		log := accessLog{streams: sized(&out, columns, 24)}
		log.Color = false
		log.add(inspect.Exchange{Start: time.Now(), Duration: 340 * time.Millisecond, Method: "GET", Host: host + ":8443", Target: path, Status: 401})
		line := strings.TrimSuffix(out.String(), "\n")
		if width := shownWidth(line); width > columns {
			t.Errorf("%d columns: %d of %q", columns, width, line)
		}
		if !strings.Contains(line, "/api") || columns >= 200 && !strings.Contains(line, host+path) {
			t.Errorf("%d columns: %q", columns, line)
		}
	}
}

func TestFitTarget(t *testing.T) {
	for _, test := range []struct {
		host, target string
		room         int
		want         string
	}{
		{"shop.localhost", "/api", 0, "shop.localhost/api"},
		{"shop.localhost", "/api", 18, "shop.localhost/api"},
		{"shop.localhost", "/api", 12, "…calhost/api"},
		{"shop.localhost", "/a/long/path", 12, "…lhost/a/lo…"},
		{"", "/a/long/path", 6, "/a/lo…"},
		{"", "/ä/länger", 5, "/ä/l…"},
	} {
		if got := fitTarget(test.host, test.target, test.room); got != test.want {
			t.Errorf("%s%s in %d: %q, want %q", test.host, test.target, test.room, got, test.want)
		}
	}
}
