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
