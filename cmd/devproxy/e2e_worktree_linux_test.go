//go:build e2e

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// worktreeFile is the same in all worktrees. Each has its server in Proxyfile.local.
const worktreeFile = `
host "shop.localhost" { upstream = service.web }
host "admin.shop.localhost" {
  upstream = service.web
  cors     = true
}
`

// worktreeApp answers with its name and the cookies that it gets. Like many apps it
// knows only the hosts of the main worktree.
func worktreeApp(t *testing.T, name string) *httptest.Server {
	set := func(w http.ResponseWriter, line string, args ...any) {
		w.Header().Add("Set-Cookie", fmt.Sprintf(line, args...))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, _ *http.Request) {
		set(w, "session=%s; Domain=shop.localhost; Path=/; Secure; HttpOnly; SameSite=Lax", name)
		set(w, "__Secure-refresh=%s; Domain=.shop.localhost; Path=/; Secure; HttpOnly; Max-Age=86400", name)
		set(w, "here=%s; Path=/", name)
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, _ *http.Request) {
		set(w, "session=; Domain=shop.localhost; Path=/; Max-Age=0") // as Express does, without HttpOnly
		set(w, "__Secure-refresh=; Domain=shop.localhost; Path=/; Secure; HttpOnly; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
	})
	mux.HandleFunc("/to-admin", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://admin.shop.localhost/arrived", http.StatusFound)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var cookies []string
		for _, c := range r.Cookies() {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
		slices.Sort(cookies)
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<body>%s%s: %s</body>", name, r.URL.Path, strings.Join(cookies, " "))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// runGit runs git in dir, without the user's configuration.
func runGit(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command(needTool(t, "git"), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// TestE2EWorktrees: two worktrees of a repository and its main one, in one Chromium, on
// the shared port.
func TestE2EWorktrees(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	main := projectDir(t, worktreeFile)
	runGit(t, main, "init", "-q", "-b", "main")
	runGit(t, main, "add", ".")
	runGit(t, main, "commit", "-q", "-m", "one")
	start := func(dir, name string) *upProcess {
		saveFile(t, filepath.Join(dir, "Proxyfile.local"), fmt.Sprintf("service \"web\" { upstream = %q }\n", worktreeApp(t, name).URL))
		u := startBeside(t, place, dir, "up", "--json")
		u.ready = u.await("ready")
		u.trust()
		return u
	}
	up := start(main, "main")
	trees := map[string]*upProcess{}
	for _, branch := range []string{"fix-ui", "menu"} {
		dir := filepath.Join(shortDir(t), "tree")
		runGit(t, main, "worktree", "add", "-q", "-b", branch, dir)
		trees[branch] = start(dir, branch)
	}
	trustChromium(t, up)
	page := openTab(t, startChromium(t, up))
	shows := func(url, want string) {
		t.Helper()
		if _, err := page.visit(url); err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		if got := evaluate[string](t, page, "document.body.innerText.trim()"); got != want {
			t.Errorf("%s shows %q, want %q", url, got, want)
		}
	}
	login := func(name, host string) {
		t.Helper()
		shows("https://"+host+"/login", "")
		shows("https://"+host+"/", name+"/: __Secure-refresh="+name+" here="+name+" session="+name)
	}

	// Each is logged in at its own app, with its own cookies.
	login("main", "shop.localhost")
	login("fix-ui", "fix-ui.shop.localhost")
	login("menu", "menu.shop.localhost")
	shows("https://shop.localhost/", "main/: __Secure-refresh=main here=main session=main")
	shows("https://fix-ui.shop.localhost/", "fix-ui/: __Secure-refresh=fix-ui here=fix-ui session=fix-ui")
	// Also at the other host of the same worktree.
	shows("https://admin.shop.localhost/", "main/: __Secure-refresh=main session=main")
	shows("https://admin.fix-ui.shop.localhost/", "fix-ui/: __Secure-refresh=fix-ui session=fix-ui")
	for _, domain := range cookiesOf(t, page, "https://shop.localhost/", "https://admin.shop.localhost/") {
		if strings.Contains(domain, "fix-ui") || strings.Contains(domain, "menu") {
			t.Errorf("the main worktree gets a cookie of %s", domain)
		}
	}

	// Redirects and requests between hosts stay in the worktree.
	shows("https://fix-ui.shop.localhost/to-admin", "fix-ui/arrived: __Secure-refresh=fix-ui session=fix-ui")
	shows("https://shop.localhost/to-admin", "main/arrived: __Secure-refresh=main session=main")
	if _, err := page.visit("https://fix-ui.shop.localhost/"); err != nil {
		t.Fatal(err)
	}
	const ask = `fetch(%q, {credentials: 'include'}).then(r => r.text(), () => 'refused')`
	if got := evaluate[string](t, page, fmt.Sprintf(ask, "https://admin.fix-ui.shop.localhost/x")); !strings.Contains(got, "fix-ui/x: __Secure-refresh=fix-ui session=fix-ui") {
		t.Errorf("the other host of the worktree answers %q", got)
	}
	if got := evaluate[string](t, page, fmt.Sprintf(ask, "https://admin.shop.localhost/x")); got != "refused" {
		t.Errorf("the main worktree answers %q", got)
	}

	// Logged out of one is logged out of that one. The main worktree's cookies, which the
	// browser still sends, do not take their place.
	shows("https://fix-ui.shop.localhost/logout", "")
	shows("https://fix-ui.shop.localhost/", "fix-ui/: here=fix-ui")
	shows("https://shop.localhost/", "main/: __Secure-refresh=main here=main session=main")
	shows("https://menu.shop.localhost/", "menu/: __Secure-refresh=menu here=menu session=menu")
	login("fix-ui", "fix-ui.shop.localhost")
	shows("https://shop.localhost/logout", "")
	shows("https://shop.localhost/", "main/: here=main")
	shows("https://fix-ui.shop.localhost/", "fix-ui/: __Secure-refresh=fix-ui here=fix-ui session=fix-ui")

	// Another branch is another name.
	tree := trees["menu"]
	runGit(t, tree.dir, "switch", "-q", "-c", "menu-2")
	tree.await("applied")
	if ready := tree.await("ready"); !strings.Contains(ready.Line, `"https://menu-2.shop.localhost"`) {
		t.Errorf("after git switch: %s", ready.Line)
	}
	shows("https://menu-2.shop.localhost/", "menu/:")
	if code, _ := fetch(t, up.client("h2"), up.url("menu.shop.localhost", "/")); code != http.StatusNotFound {
		t.Errorf("the name of the branch before: %d", code)
	}
	if code, body := fetch(t, up.client("h2"), up.url("fix-ui.shop.localhost", "/")); code != http.StatusOK || !strings.Contains(body, "fix-ui/") {
		t.Errorf("the other worktree: %d %q", code, body)
	}

	// A rebase moves nothing. It detaches the head, and stops at a conflict.
	saveFile(t, filepath.Join(main, "file"), "main")
	runGit(t, main, "add", "file")
	runGit(t, main, "commit", "-q", "-m", "two")
	saveFile(t, filepath.Join(tree.dir, "file"), "branch")
	runGit(t, tree.dir, "add", "file")
	runGit(t, tree.dir, "commit", "-q", "-m", "two")
	rebase := exec.Command("git", "-C", tree.dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "rebase", "main")
	if out, err := rebase.CombinedOutput(); err == nil {
		t.Fatalf("the rebase has no conflict:\n%s", out)
	}
	tree.save("Proxyfile", worktreeFile+"host \"during.shop.localhost\" { respond = 204 }\n")
	e := tree.await("applied")
	if !strings.Contains(e.Line, "during.menu-2.shop.localhost/") || strings.Contains(e.Line, `"removed":["`) {
		t.Errorf("during a rebase: %s", e.Line)
	}
	if code, _ := fetch(t, tree.client("h2"), tree.url("during.menu-2.shop.localhost", "/")); code != http.StatusNoContent {
		t.Errorf("the new host: %d", code)
	}
}
