package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/inspect"
)

func hiddenExchange(start time.Time, target, what, show string) inspect.Exchange {
	return inspect.Exchange{
		Start: start, Method: "GET", Host: "shop.localhost", Target: target, Status: 404,
		Share: "shop", Visitor: "203.0.113.7", Hidden: what, Show: show,
	}
}

// TestHiddenIsToldOnce has each rule be told once with what opens it, and
// repeats be counted.
func TestHiddenIsToldOnce(t *testing.T) {
	var out bytes.Buffer
	log := accessLog{streams: &streams{Err: &out}, oneHost: true}
	start := time.Date(2026, 11, 22, 14, 2, 11, 0, time.Local)
	log.add(hiddenExchange(start, "/a.js", "", ""))
	log.add(hiddenExchange(start, "/.env", "dots", ".env"))
	log.add(hiddenExchange(start, "/x/.env", "dots", ".env"))
	log.add(hiddenExchange(start, "/.git", "dots", ".git"))
	log.add(hiddenExchange(start, "/@fs/x", "outside", ""))
	log.add(hiddenExchange(start, "/\x1b", "dots", ".\x1b\""))
	log.flushQuiet(start.Add(hiddenEvery - 1))
	log.flushQuiet(start.Add(hiddenEvery))
	log.flushQuiet(start.Add(3 * hiddenEvery))
	want := []string{
		"14:02:11  GET  /a.js                              404  0 ms  visitor 203.0.113.7",
		"14:02:11  GET  /.env                              hidden  visitor 203.0.113.7",
		`          dots; to show it: share { show = [".env"] }`,
		"14:02:11  GET  /.git                              hidden  visitor 203.0.113.7",
		`          dots; to show it: share { show = [".git"] }`,
		"14:02:11  GET  /@fs/x                             hidden  visitor 203.0.113.7",
		"          outside",
		"14:02:11  GET  /\ufffd                                 hidden  visitor 203.0.113.7",
		`          dots; to show it: share { show = [".\x1b\""] }`,
		"          + 1 hidden request  visitor",
	}
	if got := strings.TrimSuffix(out.String(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	out.Reset()
	log.verbose = true
	x := hiddenExchange(start, "/.env", "dots", ".env")
	x.Route = "Proxyfile:2"
	log.add(x)
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "          dots (Proxyfile:2); to show it: ") {
		t.Errorf("verbose:\n%s", got)
	}
}

// TestAVisitorCannotFloodTheTerminal requests ever new names.
func TestAVisitorCannotFloodTheTerminal(t *testing.T) {
	var text, events bytes.Buffer
	log, report := accessLog{streams: &streams{Err: &text}, oneHost: true}, accessLog{streams: &streams{Out: &events}, json: true}
	start := time.Now()
	for i := range maxHiddenLines + 5 {
		x := hiddenExchange(start, "/x", "dots", fmt.Sprint(".", i))
		log.add(x)
		report.add(x)
	}
	if got, want := strings.Count(text.String(), "\n"), 2*maxHiddenLines; got != want {
		t.Errorf("%d lines, want %d", got, want)
	}
	if got := strings.Count(events.String(), "\n"); got != maxHiddenLines {
		t.Errorf("%d events, want %d", got, maxHiddenLines)
	}
	report.countHidden(report.hidden.due(start))
	report.countHidden(report.hidden.due(start.Add(hiddenEvery)))
	report.countHidden(report.hidden.rest())
	if want := `{"event":"hidden","count":5}` + "\n"; !strings.HasSuffix(events.String(), "\"count\":1}\n"+want) {
		t.Errorf("the end is %q, want %q", events.String()[max(0, events.Len()-200):], want)
	}
}
