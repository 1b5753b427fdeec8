//go:build e2e && frameworks && unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// urls is a page of an app with the app's local address in everything that it sends.
type urls struct {
	path string
	// facts are the names in window.facts: each has to become true, or a URL of the
	// share.
	facts []string
	// again is the id of a link whose target is loaded by scripts; empty for none.
	again string
	// counts is set if #count counts clicks once the page is hydrated.
	counts bool
	// hot is an edit after which the fact "hot" is true, without a reload.
	hot edit
}

// startRemoteChromium starts a browser that finds none of this machine's own names, as
// a visitor's does.
func startRemoteChromium(t *testing.T, relay *devRelay) context.Context {
	t.Helper()
	return startChromium(t, relay.upProcess, "EXCLUDE *.share.localhost", "MAP *.localhost ~NOTFOUND", "MAP localhost ~NOTFOUND")
}

// complaints are what a browser has to say against a page.
type complaints struct {
	mu   sync.Mutex
	all  []string
	urls map[network.RequestID]string
}

// watch notes the complaints about a page.
func watch(t *testing.T, page *tab) *complaints {
	t.Helper()
	c := &complaints{urls: map[network.RequestID]string{}}
	if err := chromedp.Listen(page.ctx, c.see); err != nil {
		t.Fatal(err)
	}
	for _, enable := range []cdp.Command[cdp.Empty, cdp.Empty]{runtime.Enable, log.Enable} {
		if _, err := chromedp.Call(page.ctx, enable, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// see notes an event. It must be quick.
func (c *complaints) see(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add := func(format string, values ...any) { c.all = append(c.all, fmt.Sprintf(format, values...)) }
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		c.urls[e.RequestID] = e.Request.URL
		if u, err := url.Parse(e.Request.URL); err == nil && isOfThisMachine(u.Hostname()) {
			add("it asks for %s", e.Request.URL)
		}
	case *network.EventWebSocketCreated:
		if u, err := url.Parse(e.URL); err == nil && isOfThisMachine(u.Hostname()) {
			add("it opens %s", e.URL)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled && e.ErrorText != "net::ERR_ABORTED" {
			add("%s fails: %s", c.urls[e.RequestID], e.ErrorText)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			add("%s answers %d", e.Response.URL, e.Response.Status)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			text, _ := json.Marshal(e.Args)
			add("it logs %.2000s", text)
		}
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		add("it throws %.2000s", text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			add("the browser logs %s %s", e.Entry.Text, e.Entry.URL)
		}
	}
}

// isOfThisMachine reports whether a host is one that no visitor finds.
func isOfThisMachine(host string) bool {
	return host == "127.0.0.1" || host == "localhost" || strings.HasSuffix(host, ".localhost") && !strings.HasSuffix(host, ".share.localhost")
}

// isLocalFree opens the page with local URLs as a visitor who can reach none of them.
func (s *sharedFramework) isLocalFree(t *testing.T, browser context.Context) {
	page := openTab(t, browser)
	c := watch(t, page)
	if status, err := page.visit(s.base + s.urls.path); err != nil || status >= 400 {
		t.Fatalf("%s answers %d: %v", s.urls.path, status, err)
	}
	names, _ := json.Marshal(s.urls.facts)
	complete := fmt.Sprintf(`%s.every((name) => window.facts?.[name] === true || String(window.facts?.[name]).startsWith(location.origin + '/'))`, names)
	expect := func(expression string) {
		t.Helper()
		ok := t.Run("", func(t *testing.T) { sees(t, page, expression) })
		if !ok {
			t.Fatalf("facts: %s\ncomplaints: %q", evaluate[string](t, page, `JSON.stringify(window.facts ?? null)`), c.all)
		}
	}
	expect(complete)
	if s.urls.counts {
		expect(`document.querySelector('#count').textContent === '0'`)
		expect(`(document.querySelector('#count').click(), Number(document.querySelector('#count').textContent) > 0)`)
	}
	if s.urls.hot.file != "" {
		evaluate[bool](t, page, `window.kept = true`)
		s.edit(t, s.urls.hot)
		expect(`window.facts.hot === true && window.kept === true`)
	}
	if s.urls.again != "" {
		evaluate[bool](t, page, fmt.Sprintf(`(window.kept = true, window.facts = null, document.querySelector('#%s').click(), true)`, s.urls.again))
		expect(complete + ` && window.kept === true`)
	}
	expect(`[...document.images].every(i => i.complete && i.naturalWidth > 0)`)
	// The rows of Next.js contain bytes, which stay; the facts prove the others.
	html := evaluate[string](t, page, `(() => {
		const copy = document.documentElement.cloneNode(true)
		copy.querySelectorAll('script').forEach((script) => script.textContent.includes('__next_f') && script.remove())
		return copy.outerHTML
	})()`)
	for _, local := range []string{"://shop.localhost", "://localhost"} {
		if at := strings.Index(html, local); at >= 0 {
			t.Errorf("the page has a local URL:\n%s", html[max(at-300, 0):min(at+300, len(html))])
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, complaint := range slices.Compact(c.all) {
		t.Error(complaint)
	}
}
