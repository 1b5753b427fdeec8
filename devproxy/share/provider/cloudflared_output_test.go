package provider

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/devproxy/devproxy/tunnel/agent"
)

func output(text string) *cloudflaredOutput {
	o := newCloudflaredOutput(slog.New(slog.DiscardHandler))
	for part := range strings.SplitSeq(text, "|") { // as the pipe happens to cut it
		_, _ = o.Write([]byte(part))
	}
	return o
}

func TestCloudflaredOutputMetrics(t *testing.T) {
	for text, want := range map[string]string{
		`{"level":"info","message":"Starting metrics ser|ver on 127.0.0.1:45957/metrics"}` + "|\n":                          "127.0.0.1:45957",
		`{"level":"info","message":"Starting metrics server on [::1]:4/metrics"}` + "\n":                                    "[::1]:4",
		strings.Repeat("x", maxOutputLine) + "|y\n" + `{"message":"Starting metrics server on 127.0.0.1:1/metrics"}` + "\n": "127.0.0.1:1",
		`{"message":"Starting metrics server on 127.0.0.1:1/metrics"}` + "\n" +
			`{"message":"Starting metrics server on 127.0.0.1:2/metrics"}` + "\n": "127.0.0.1:1",
		`{"level":"info","message":"Starting metrics server on 127.0.0.1:45957/metrics"}`:                          "", // no end yet
		`{"level":"info","message":"Starting metrics server on 192.0.2.1:80/metrics"}` + "\n":                      "",
		`{"level":"info","message":"Starting metrics server on evil.example:80/metrics"}` + "\n":                   "",
		`{"level":"info","message":"x Starting metrics server on 127.0.0.1:80/metrics"}` + "\n":                    "",
		strings.Repeat(" ", maxOutputLine) + `{"message":"Starting metrics server on 127.0.0.1:1/metrics"}` + "\n": "",
	} {
		got := ""
		select {
		case addr := <-output(text).metrics:
			got = addr.String()
		default:
		}
		if got != want {
			t.Errorf("%.80q: %q, want %q", text, got, want)
		}
	}
}

// TestCloudflaredOutputFlood writes more than a start has to say.
func TestCloudflaredOutputFlood(t *testing.T) {
	o := output("")
	flooded := func() bool {
		select {
		case <-o.flooded:
			return true
		default:
			return false
		}
	}
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range maxStartOutput/len(line) - 1 {
		_, _ = o.Write(line)
	}
	if flooded() {
		t.Error("too early")
	}
	_, _ = o.Write(line)
	_, _ = o.Write(line)
	if !flooded() {
		t.Error("not noticed")
	}
	if n := cap(o.line); n > 4*maxOutputLine {
		t.Errorf("it keeps %d bytes", n)
	}

	o = output("")
	o.started()
	for range 2 * maxStartOutput / len(line) {
		_, _ = o.Write(line)
	}
	if flooded() {
		t.Error("a tunnel that is up may say what it likes")
	}
}

// TestCloudflaredOutputSettles has a visitor choose the words of a line.
func TestCloudflaredOutputSettles(t *testing.T) {
	o := output("")
	o.started()
	_, _ = o.Write([]byte("Incorrect Usage. flag provided but not defined: -x\n"))
	if f, _ := o.cause(); f != nil {
		t.Errorf("%+v", f)
	}
}

// FuzzCloudflaredOutput writes anything.
func FuzzCloudflaredOutput(f *testing.F) {
	f.Add([]byte(`{"level":"error","message":"a\u001b[2Jb\u202e","error":"c\r\nd"}` + "\n"))
	f.Add([]byte("\x1b]0;title\x07\xff\n"))
	f.Add([]byte(strings.Repeat("ü", maxOutputLine) + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		o := output("")
		if n, err := o.Write(text); n != len(text) || err != nil {
			t.Fatalf("Write is %d %v", n, err)
		}
		_, detail := o.cause()
		for _, said := range []string{o.lastError(), detail} {
			if utf8.RuneCountInString(said) > maxQuoted+1 || !utf8.ValidString(said) || strings.IndexFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
				t.Errorf("%q", said)
			}
		}
	})
}

// TestCloudflaredBusy asks for nothing for a while after Cloudflare has refused.
func TestCloudflaredBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloudflared{}
		began := time.Now()
		if err := c.awaitPause(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("waited %v: %v", time.Since(began), err)
		}
		_ = c.noteBusy(&agent.Error{Reason: agent.ReasonDNS})
		_ = c.noteBusy(nil)
		if err := c.awaitPause(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("waited %v: %v", time.Since(began), err)
		}
		_ = c.noteBusy(&agent.Error{Reason: agent.ReasonBusy})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.awaitPause(ctx); err == nil {
			t.Error("no pause")
		}
		if err := c.awaitPause(t.Context()); err != nil || time.Since(began) != busyPause {
			t.Errorf("waited %v: %v", time.Since(began), err)
		}
	})
}
