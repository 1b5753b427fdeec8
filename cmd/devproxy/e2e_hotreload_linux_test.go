//go:build e2e

package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestE2EHotReload starts webpack's dev server as `devproxy init` proposes it. Its client
// would connect to a port of its own.
func TestE2EHotReload(t *testing.T) {
	r := readRecipe(t, "webpack")
	testHotReload(t, r.install(t, "webpack-started", r.packages), "webpack serve")
}

// testHotReload runs `devproxy init` and `up` in a project with a dev script, and edits a
// module. The page shows that without a reload.
func testHotReload(t *testing.T, dir, script string) {
	t.Helper()
	file := filepath.Join(dir, "package.json")
	var config map[string]any
	if err := json.Unmarshal([]byte(readText(t, file)), &config); err != nil {
		t.Fatal(err)
	}
	config["name"], config["scripts"] = "shop", map[string]string{"dev": script}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	saveFile(t, file, string(text))
	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	place.env = append(place.env, "NO_COLOR=1")
	if out, err := runTool(t, patience, place.env, devproxyBinary(t), "init", "-C", dir, "--yes"); err != nil {
		t.Fatalf("devproxy init: %v\n%s", err, out)
	}
	if proxyfile := readText(t, filepath.Join(dir, "Proxyfile")); !strings.Contains(proxyfile, `command = "npm run dev -- --port {port}"`) && !strings.Contains(proxyfile, `command = "npm run dev"`) {
		t.Fatalf("init proposes no command:\n%s", proxyfile)
	}
	u := startBeside(t, place, dir, "up", "--json", "--https", ":0", "--allow")
	u.ready = u.await("ready")
	u.trust()
	trustChromium(t, u)
	page := openTab(t, startChromium(t, u))
	// A browser waits for the server on the page of devproxy.
	if _, err := page.visit(u.url("shop.localhost", "/")); err != nil {
		t.Fatal(err)
	}
	awaitHeadline(t, page, "before")
	evaluate[bool](t, page, "window.same = true")
	for end := time.Now().Add(startPatience); ; { // its WebSocket may not be open yet
		saveFile(t, filepath.Join(dir, "src", "headline.js"), "export const headline = 'after "+time.Now().Format(time.RFC3339Nano)+"'\n")
		shown := false
		for soon := time.Now().Add(3 * time.Second); !shown && time.Now().Before(soon); time.Sleep(20 * time.Millisecond) {
			shown = strings.HasPrefix(evaluate[string](t, page, headlineText), "after")
		}
		if shown {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the page never shows an edited module\n%s", u.stderr.String())
		}
	}
	if !evaluate[bool](t, page, "window.same === true") {
		t.Error("the page was loaded again")
	}
}

const headlineText = `document.querySelector('#headline')?.textContent ?? ''`

func awaitHeadline(t *testing.T, page *tab, want string) {
	t.Helper()
	for end := time.Now().Add(startPatience); evaluate[string](t, page, headlineText) != want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the page never shows %q", want)
		}
	}
}
