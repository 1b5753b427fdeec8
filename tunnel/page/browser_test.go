package page

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// In a real browser the policy lets the style and the script through, the page
// polls, and it opens when the answer is "up": also when, meanwhile, nothing
// answers at all.
func TestTheWaitingPageOpensByItself(t *testing.T) {
	for name, p := range map[string]Page{"local": waitingPage(), "visitor": visitorPage()} {
		t.Run(name, func(t *testing.T) { opensByItself(t, p) })
	}
}

func opensByItself(t *testing.T, p Page) {
	p.Poll = "/state?path=%2F"
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed: make deps")
		}
		t.Skip("chromium is not installed: make deps")
	}
	var polls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch up := polls.Load() >= 3; {
		case r.URL.Path == "/state" && polls.Add(1) >= 3:
			io.WriteString(w, "up\n")
		case r.URL.Path == "/state" && polls.Load() == 1:
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/state":
			io.WriteString(w, "waiting\n")
		case up:
			io.WriteString(w, "<!DOCTYPE html><p id=app>here</p>")
		default:
			_ = p.Write(w, r) // a failure shows as a page that never opens
		}
	}))
	defer server.Close()

	home, err := os.MkdirTemp("", "chromium") // it writes more than its profile
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox,
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_DATA_HOME="+home))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	defer stop()
	tab, closeTab := chromedp.NewContext(allocator)
	defer closeTab()
	ctx, cancel := context.WithTimeout(tab, time.Minute)
	defer cancel()

	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL)); err != nil {
		t.Fatal(err)
	}
	display, err := chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.querySelector(".status")).display`))
	if err != nil {
		t.Fatal(err)
	}
	app, err := chromedp.Run(ctx, chromedp.Text("#app"))
	if err != nil {
		t.Fatalf("after %d polls: %v", polls.Load(), err)
	}
	if app != "here" || display != "flex" {
		t.Errorf("the page shows %q; the style was applied: %q", app, display)
	}
}
