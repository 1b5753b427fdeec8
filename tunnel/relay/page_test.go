package relay

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
)

// TestPages: each reason has its page.
func TestPages(t *testing.T) {
	ended := time.Date(2026, time.November, 22, 15, 4, 0, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		err         error
		status      int
		title, lead string
		retry       time.Duration
	}{
		{&EndedError{token, ended}, 410, "This link has ended.", "until 14:04 UTC, 22 November.", 0},
		{errUnknown, 404, "There is no such link.", "complete?", 0},
		{errAsleep, 503, "This share is asleep.", "opens by itself", 10 * time.Second},
		{errLate, 503, "This share is asleep.", "opens by itself", 10 * time.Second},
		{errBusy, 503, "too many visitors", "in a moment", time.Second},
		{&http.MaxBytesError{Limit: 7}, 413, "more than may be uploaded", "at most 7 bytes", 0},
		{&malformedError{errors.New("a chunk is broken")}, 400, "is malformed", "A chunk is broken.", 0},
		{os.ErrDeadlineExceeded, 408, "came to a halt", "", 0},
		{errors.New("anything else"), 502, "was lost", "Try again", time.Second},
	} {
		got := pageOf(&brokenError{err: fmt.Errorf("no: %w", c.err)})
		if got.Status != c.status || !strings.Contains(got.Title, c.title) || !strings.Contains(got.Lead, c.lead) || got.Retry != c.retry {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
	if got := unclear(&message.Refusal{Status: 417, Reason: "expect is odd", Section: "RFC 1"}); got.Status != 417 || got.Lead != "Expect is odd (RFC 1)." {
		t.Errorf("%+v", got)
	}
}

// TestPageForms: people get a page, and programs get text.
func TestPageForms(t *testing.T) {
	const html = "text/html,*/*;q=0.8"
	asleep := page{Status: 503, Title: "It sleeps.", Lead: "It wakes.", Yours: "Yours? Run", ToDo: "now.", Retry: 10 * time.Second}
	text := "It sleeps.\nIt wakes.\nYours? Run `devproxy share` now.\n"
	for name, c := range map[string]struct {
		page          page
		method        string
		accept, dest  string
		html, refresh bool
		text          string
	}{
		"a navigation":             {asleep, "GET", html, "document", true, true, ""},
		"a browser without Fetch":  {asleep, "GET", "TEXT/HTML", "", true, true, ""},
		"a frame":                  {asleep, "GET", html, "frame", true, true, ""},
		"an inner frame":           {asleep, "GET", html, "iframe", true, true, ""},
		"its head":                 {asleep, "HEAD", html, "document", true, false, ""},
		"a form":                   {asleep, "POST", html, "document", true, false, ""},
		"fetch":                    {asleep, "GET", html, "empty", false, false, text},
		"an image":                 {asleep, "GET", html, "image", false, false, text},
		"curl":                     {asleep, "GET", "*/*", "", false, false, text},
		"its head without a body":  {asleep, "HEAD", "*/*", "", false, false, ""},
		"a page that stays":        {page{Status: 404, Title: "No."}, "GET", html, "document", true, false, ""},
		"text of a title alone":    {page{Status: 404, Title: "No."}, "GET", "", "", false, false, "No.\n"},
		"text without more to do":  {page{Status: 404, Title: "No.", Lead: "None."}, "GET", "", "", false, false, "No.\nNone.\n"},
		"a page that is soon over": {page{Status: 503, Title: "No.", Retry: time.Second}, "GET", html, "document", true, true, ""},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.Header.Set("Accept", c.accept)
		r.Header.Set("Sec-Fetch-Dest", c.dest)
		w := httptest.NewRecorder()
		c.page.write(w, r)
		h, body := w.Header(), w.Body.String()
		if w.Code != c.page.Status || h.Get("X-Robots-Tag") != "noindex" || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Vary") != "Accept, Sec-Fetch-Dest" {
			t.Errorf("%s: %d %v", name, w.Code, h)
		}
		retry := ""
		if c.page.Retry > 0 {
			retry = fmt.Sprint(int(c.page.Retry.Seconds()))
		}
		if h.Get("Retry-After") != retry {
			t.Errorf("%s: Retry-After is %q, want %q", name, h.Get("Retry-After"), retry)
		}
		kind, policed := "text/plain; charset=utf-8", ""
		if c.html {
			kind, policed = "text/html; charset=utf-8", policy
		}
		if h.Get("Content-Type") != kind || h.Get("Content-Security-Policy") != policed {
			t.Errorf("%s: %v", name, h)
		}
		if c.method == "HEAD" {
			if body != "" || h.Get("Content-Length") == "0" {
				t.Errorf("%s: %q of %s bytes", name, body, h.Get("Content-Length"))
			}
			continue
		}
		if h.Get("Content-Length") != fmt.Sprint(len(body)) {
			t.Errorf("%s: %s bytes are announced, and %d come", name, h.Get("Content-Length"), len(body))
		}
		if !c.html && body != c.text {
			t.Errorf("%s: %q, want %q", name, body, c.text)
		}
		refresh := fmt.Sprintf(`http-equiv="refresh" content="%d"`, max(5, int(c.page.Retry.Seconds()))) // a browser does not hurry
		if c.html && (!strings.Contains(body, "<h1>"+c.page.Title+"</h1>") || strings.Contains(body, refresh) != c.refresh || strings.Contains(body, "refresh") != c.refresh) {
			t.Errorf("%s: %s", name, body)
		}
	}
	if got := inline("a\r\nb\n"); got != "a\nb\n" {
		t.Errorf("%q", got)
	}
}
