//go:build e2e && unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	frameworkSource = "../../testdata/frameworks"

	// frameworkPatience limits the wait for a dev server that builds before it
	// answers.
	frameworkPatience = 3 * time.Minute

	// ofTheProject is text that no visitor may read.
	ofTheProject = "of-the-project"
)

// heavyRecipes take minutes to install. TestFrameworks runs them, as it does the others.
var heavyRecipes = []string{"astro", "next", "nuxt", "storybook"}

// appPackages are further npm packages that an app in testdata/frameworks, or its
// framework, needs on Debian.
var appPackages = map[string][]string{
	"vite":        {"ms@2.1.3"},
	"rails":       {"@hotwired/turbo@8.0.23"},
	"reactrouter": {"isbot@5.2.3"},
	"astro":       {"node@22.23.3", "@astrojs/preact@6.0.5", "preact@10.27.2"}, // Debian's Node is too old for it
}

// TestE2ERecipes starts dev servers as the recipes say, and opens their pages
// through `devproxy up` with the Proxyfiles of the recipes.
func TestE2ERecipes(t *testing.T) {
	for _, name := range recipeNames(t) {
		if slices.Contains(heavyRecipes, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			r := readRecipe(t, name)
			dir := r.install(t, name, r.packages)
			port := r.run(t, dir, "/")
			saveFile(t, filepath.Join(dir, "Proxyfile"), r.portedTo(r.proxyfile, port))
			up := startUp(t, dir)
			client, page := up.client("h2"), up.url("shop.localhost", "/")
			client.Jar, _ = cookiejar.New(nil)
			status, body := fetch(t, client, page)
			if status != http.StatusOK || !strings.Contains(body, "<title>shop</title>") {
				t.Fatalf("%s answers %d:\n%.500s", page, status, body)
			}
			if strings.Contains(r.proxyfile, "forwarded_proto") {
				got := sendForm(t, client, page, body)
				if got.status != http.StatusOK || !strings.Contains(got.body, "sent Ann") {
					t.Errorf("the form answers %d:\n%.500s", got.status, got.body)
				}
			}
		})
	}
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="/([^"]*)"`)
	formHidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// sendForm sends the form of a page, as a browser does.
func sendForm(t *testing.T, client *http.Client, page, body string) answered {
	t.Helper()
	values, action := url.Values{"name": {"Ann"}}, ""
	for _, field := range formHidden.FindAllStringSubmatch(body, -1) {
		values.Set(field[1], field[2])
	}
	if found := formAction.FindStringSubmatch(body); found != nil {
		action = found[1]
	}
	return ask(t, client, "POST", page+action, values.Encode(), "Origin", strings.TrimSuffix(page, "/"), "Referer", page, "Content-Type", "application/x-www-form-urlencoded")
}

// portedTo returns text with another port than the recipe's.
func (r *recipe) portedTo(text, port string) string {
	return strings.ReplaceAll(text, r.port, port)
}

// install returns the folder of the app, with its packages, in the user's cache.
// Packages are installed once for each list of versions.
func (r *recipe) install(t *testing.T, folder string, packages []string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "devproxy-frameworks", folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries { // a fresh copy of the source; what tools have cached goes
		if name := entry.Name(); !slices.Contains([]string{"node_modules", "package.json", "package-lock.json", "installed"}, name) {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(frameworkSource, r.name))); err != nil {
		t.Fatal(err)
	}
	packages = slices.Concat(packages, appPackages[r.name])
	if len(packages) == 0 {
		return dir
	}
	wanted := strings.Join(packages, "\n")
	if done, err := os.ReadFile(filepath.Join(dir, "installed")); err == nil && string(done) == wanted {
		return dir
	}
	saveFile(t, filepath.Join(dir, "package.json"), `{"private":true}`)
	args := append([]string{"install", "--prefix", dir, "--no-audit", "--no-fund", "--save-exact"}, packages...)
	if out, err := runTool(t, 2*installLimit, os.Environ(), needTool(t, "npm"), args...); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	saveFile(t, filepath.Join(dir, "installed"), wanted)
	return dir
}

func frameworkEnv() []string {
	// Debian's programs come first: another Python has no Flask.
	return append(os.Environ(), "PATH=/usr/bin:"+os.Getenv("PATH"), "NO_COLOR=1", "BROWSER=none", "APP_SECRET="+ofTheProject,
		"NEXT_TELEMETRY_DISABLED=1", "STORYBOOK_DISABLE_TELEMETRY=1", "NUXT_TELEMETRY_DISABLED=1", "RAILS_ENV=development", "RACK_ENV=development")
}

// run runs the dev server in dir, on a free port that it returns, until the test
// ends. It waits until the server answers a request for page.
func (r *recipe) run(t *testing.T, dir, page string) (port string) {
	t.Helper()
	port = freeTCPPort(t)
	printed := &outputBuffer{}
	cmd := exec.Command("/bin/sh", "-c", r.portedTo(r.start, port))
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(frameworkEnv(), func(v string) bool { return strings.HasPrefix(v, "CI=") })
	cmd.Stdout, cmd.Stderr = printed, printed
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // killed
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("%s printed:\n%.4000s", r.name, printed.String())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), frameworkPatience)
	defer cancel()
	for often := time.NewTicker(200 * time.Millisecond); ; {
		err := succeeds(ctx, fmt.Sprintf("http://localhost:%s%s", port, page))
		if err == nil {
			return port
		}
		select {
		case <-often.C:
		case <-ended:
			t.Fatalf("%q ended:\n%s", r.start, printed.String())
		case <-ctx.Done():
			t.Fatalf("%q does not answer: %v\n%s", r.start, err, printed.String())
		}
	}
}

// succeeds returns nil if a GET of url succeeds.
func succeeds(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 {
		return errors.New(res.Status)
	}
	return nil
}

func freeTCPPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}
