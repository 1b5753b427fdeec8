package share

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// In a real browser, the login page's policy allows its style and its form, the browser
// sends the expected Origin, and the cookie opens the requested page.
func TestLoginInABrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed: make deps")
		}
		t.Skip("chromium is not installed: make deps")
	}
	server := httptest.NewUnstartedServer(nil)
	host := "shop-k3v9x2m7qpr4t8wz.share.localhost:" + server.Listener.Addr().String()[strings.LastIndexByte(server.Listener.Addr().String(), ':')+1:]
	opts := withPassword()
	opts.Hosts[0].Public = host
	s := mustNew(t, opts)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := Visitor{Addr: netip.MustParseAddrPort(r.RemoteAddr), Scheme: "https", Host: r.Host}
		if in, handled := s.Admit(w, r, v); !handled {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "<!DOCTYPE html><p id=app>%s %s %s", in.Host, in.RequestURI, in.Header.Get("Cookie"))
		}
	})
	server.StartTLS()
	defer server.Close()

	home, err := os.MkdirTemp("", "chromium") // it writes more than its profile
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox,
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_DATA_HOME="+home),
		chromedp.Flag("ignore-certificate-errors", true))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	defer stop()
	tab, closeTab := chromedp.NewContext(allocator)
	defer closeTab()
	ctx, cancel := context.WithTimeout(tab, time.Minute)
	defer cancel()

	if err := chromedp.Do(ctx, chromedp.Navigate("https://"+host+"/cart?id=1")); err != nil {
		t.Fatal(err)
	}
	style, err := chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.querySelector("button")).borderTopLeftRadius`))
	if err != nil || style != "8px" {
		t.Errorf("style: %q, %v", style, err)
	}
	// Autofocus is applied with the first rendering (the HTML Standard, "flush
	// autofocus candidates"), which may come after the load event.
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](`document.activeElement.id === "password"`)); err != nil {
		t.Errorf("the password is not focused: %v", err)
	}
	if err := chromedp.Do(ctx, chromedp.SendKeys("#password", "guess\r")); err != nil {
		t.Fatal(err)
	}
	wrong, err := chromedp.Run(ctx, chromedp.Text("#wrong"))
	if err != nil || wrong != "The password is wrong." {
		t.Fatalf("%q, %v", wrong, err)
	}
	if err := chromedp.Do(ctx, chromedp.SendKeys("#password", opts.Password+"\r")); err != nil {
		t.Fatal(err)
	}
	app, err := chromedp.Run(ctx, chromedp.Text("#app"))
	if err != nil || app != "shop.localhost:8443 /cart?id=1" {
		t.Errorf("%q, %v", app, err)
	}
}
