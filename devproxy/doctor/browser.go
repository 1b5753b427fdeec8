package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// browserPrograms are the browsers of the Chromium family. Those of macOS and Windows
// were not tried there.
func browserPrograms(s *Subject) []string {
	switch runtime.GOOS {
	case "darwin":
		return []string{
			"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
			"/Applications/Chromium.app/Contents/MacOS/Chromium",
			"/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
		}
	case "windows":
		return []string{
			filepath.Join(s.Getenv("ProgramFiles"), "Google", "Chrome", "Application", "chrome.exe"),
			filepath.Join(s.Getenv("ProgramFiles(x86)"), "Microsoft", "Edge", "Application", "msedge.exe"),
		}
	}
	return []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "brave-browser", "microsoft-edge"}
}

// askBrowser opens a page that refers to every name and to an address with HTTPS, in a
// new profile. The roots that a browser trusts are not in its profile.
func askBrowser(ctx context.Context, s *Subject, path string, names []string) answer {
	profile, err := os.MkdirTemp("", "devproxy-doctor")
	if err != nil {
		return answer{err: err}
	}
	defer os.RemoveAll(profile)
	sv := s.server
	sv.mu.Lock()
	sv.images = names
	sv.mu.Unlock()
	argv := []string{
		path, "--headless=new", "--disable-gpu", "--no-first-run", "--no-proxy-server", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-pings",
		"--user-data-dir=" + profile, "--dump-dom", "http://127.0.0.1:" + sv.http + "/",
	}
	if os.Geteuid() == 0 {
		argv = slices.Insert(argv, 1, "--no-sandbox") // root has none, and the page is our own
	}
	_, err = s.run(ctx, argv...)
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if !sv.page {
		if err == nil || !errors.Is(err, context.DeadlineExceeded) {
			err = errors.New(strings.TrimSuffix(filepath.Base(path), ".exe") + " can't be run without a window")
		}
		return answer{err: err}
	}
	a := answer{addrs: map[string][]string{}, trust: refuses}
	if sv.secure {
		a.trust = trusts
	}
	for _, name := range names {
		a.addrs[name] = nil
		if sv.names[name] {
			a.addrs[name] = []string{"127.0.0.1"}
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		a.err = err
	}
	return a
}
