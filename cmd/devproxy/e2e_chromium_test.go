//go:build e2e && unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
)

// trustChromium has the Chromium of u's HOME trust u's root, as its owner would.
func trustChromium(t *testing.T, u *upProcess) {
	t.Helper()
	needTool(t, "certutil")
	out, err := runTool(t, patience, u.env, devproxyBinary(t), "trust", "--store", "chromium", "--yes")
	if err != nil {
		t.Fatalf("devproxy trust: %v\n%s", err, out)
	}
}

// chromiumFlags are all flags but those that name folders and ports. None is
// about certificates.
var chromiumFlags = []chromedp.ExecAllocatorOption{
	chromedp.NoFirstRun,
	chromedp.NoDefaultBrowserCheck,
	chromedp.Headless,
	chromedp.DisableGPU,
	chromedp.Flag("disable-background-networking", true),
	chromedp.Flag("disable-component-update", true),
	chromedp.Flag("disable-sync", true),
	// Containers give little shared memory.
	chromedp.Flag("disable-dev-shm-usage", true),
	chromedp.Flag("no-proxy-server", true),
	chromedp.WSURLReadTimeout(2 * patience),
}

// startChromium starts a browser that lives in u's HOME and finds the foreign
// names on this machine. One with a space is a rule of its own. The returned context is for openTab.
func startChromium(t *testing.T, u *upProcess, foreign ...string) context.Context {
	t.Helper()
	options := append(chromiumFlags[:len(chromiumFlags):len(chromiumFlags)],
		chromedp.ExecPath(needTool(t, "chromium")),
		chromedp.NoInheritEnv,
		chromedp.Env(u.env...),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's does not work for root
	}
	var rules []string
	for _, name := range foreign {
		if !strings.Contains(name, " ") {
			name = "MAP " + name + " 127.0.0.1"
		}
		rules = append(rules, name)
	}
	if rules != nil {
		options = append(options, chromedp.Flag("host-resolver-rules", strings.Join(rules, ",")))
	}
	printed := &outputBuffer{}
	options = append(options, chromedp.CombinedOutput(printed))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("cannot close Chromium: %v", err)
		}
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("cannot start Chromium: %v\n%s", err, printed.String())
	}
	checkCommandLine(t, chromedp.FromContext(ctx).Browser.Process().Pid)
	return ctx
}

// checkCommandLine looks, where the system tells, for flags about certificates
// that a wrapper or the library might have added.
func checkCommandLine(t *testing.T, pid int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return
	}
	for flag := range bytes.SplitSeq(text, []byte{0}) {
		for _, word := range []string{"certificate", "insecure", "allow-running", "spki"} {
			if bytes.Contains(flag, []byte(word)) {
				t.Errorf("Chromium was started with %s", flag)
			}
		}
	}
}

// tab is a page of the browser, and its network traffic.
type tab struct {
	ctx   context.Context
	loads chan struct{} // one for each finished load; may be behind

	mu      sync.Mutex
	methods map[string][]string // by method: the requested URLs
	sockets map[network.RequestID]string
	opened  []string // WebSockets, by URL
	closed  []string
}

// openTab opens an empty page. A failed test leaves a picture of it.
func openTab(t *testing.T, browser context.Context) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	p := &tab{ctx: ctx, loads: make(chan struct{}, 100), methods: map[string][]string{}, sockets: map[network.RequestID]string{}}
	t.Cleanup(func() {
		if t.Failed() {
			p.picture(t)
		}
		cancel()
	})
	if err := chromedp.Listen(ctx, p.see); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// see notes an event of the network. It must be quick.
func (p *tab) see(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.methods[e.Request.Method] = append(p.methods[e.Request.Method], e.Request.URL)
	case *network.EventWebSocketCreated:
		p.sockets[e.RequestID] = e.URL
		p.opened = append(p.opened, e.URL)
	case *network.EventWebSocketClosed:
		p.closed = append(p.closed, p.sockets[e.RequestID])
	case *page.EventLoadEventFired:
		select {
		case p.loads <- struct{}{}:
		default:
		}
	}
}

// asked returns the URLs that the page has requested with a method.
func (p *tab) asked(method string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.methods[method]...)
}

// webSockets are the URLs of those opened and closed so far.
func (p *tab) webSockets() (opened, closed []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.opened...), append([]string(nil), p.closed...)
}

// visit opens a URL. An interstitial is an error that names the fault:
// "net::ERR_CERT_AUTHORITY_INVALID".
func (p *tab) visit(url string) (status int64, err error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	response, err := chromedp.Run(ctx, chromedp.NavigateResponse(url))
	if err != nil {
		return 0, err
	}
	if response == nil {
		return 0, fmt.Errorf("%s got no response of its own", url)
	}
	if response.SecurityState != security.StateSecure {
		return 0, fmt.Errorf("Chromium calls %s %s", url, response.SecurityState)
	}
	return response.Status, nil
}

// evaluate is the value of a JavaScript expression; a promise's when it is one.
func evaluate[T any](t *testing.T, p *tab, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// await waits for a JavaScript expression to become true.
func (p *tab) await(t *testing.T, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*patience)
	defer cancel()
	const often = 20 * time.Millisecond
	_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(often), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		t.Fatalf("%s: %v\nthe page is:\n%.2000s", expression, err, p.html(t))
	}
}

// awaitLoad waits until a document has loaded in which an expression is true.
func (p *tab) awaitLoad(t *testing.T, expression string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case <-p.loads:
			if evaluate[bool](t, p, expression) {
				return
			}
		case <-deadline:
			t.Fatalf("no load makes %s true within %v; the page is:\n%.2000s", expression, patience, p.html(t))
		}
	}
}

// testID is the JavaScript text of an element by its data-testid.
func testID(id string) string {
	return fmt.Sprintf("document.querySelector('[data-testid=%q]').textContent", id)
}

func (p *tab) html(t *testing.T) string {
	t.Helper()
	return evaluate[string](t, p, "document.documentElement.outerHTML")
}

// picture saves a screenshot of the page.
func (p *tab) picture(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Logf("no picture of the page: %v", err)
		return
	}
	file := filepath.Join(t.ArtifactDir(), "page.png")
	if err := os.WriteFile(file, png, 0o600); err != nil {
		t.Error(err)
	}
	t.Logf("a picture of the page is %s; go test -artifacts keeps it", file)
}
