//go:build e2e

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// machinePage is the origin of the machine's page on the default port.
const machinePage = "https://devproxy.localhost"

// openKey makes a key by `devproxy open`, and returns it with its URL.
func openKey(t *testing.T, u *upProcess) (url, key string) {
	t.Helper()
	out, err := runTool(t, patience, u.env, devproxyBinary(t), "open", "--json")
	if err != nil {
		t.Fatalf("devproxy open: %v\n%s", err, out)
	}
	var page openResult
	if err := json.Unmarshal([]byte(out), &page); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	origin, key, found := strings.Cut(page.URL, "/#")
	if origin != machinePage || !found {
		t.Fatalf("devproxy open made %s", page.URL)
	}
	return page.URL, key
}

// startThree starts two projects on the shared ports and one on its own.
func startThree(t *testing.T) (a, b *upProcess) {
	t.Helper()
	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	start := func(name string, args ...string) *upProcess {
		text := fmt.Sprintf("host %q { respond = { status = 200, body = \"<p>%s</p>\", headers = { Content-Type = \"text/html\" } } }\n", name, name)
		u := startBeside(t, place, projectDir(t, text), append([]string{"up", "--json"}, args...)...)
		u.ready = u.await("ready")
		u.trust()
		return u
	}
	a, b = start("a.localhost"), start("b.localhost")
	start("alone.localhost", "--https", ":0")
	return a, b
}

// TestE2EOpen is the machine's page in Chromium: opened by a key that stays nowhere,
// kept up to date in its place, also when the process that serves it is killed.
func TestE2EOpen(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	a, b := startThree(t)
	trustChromium(t, a)
	browser := startChromium(t, a)
	url, key := openKey(t, a)
	p := openTab(t, browser)
	if status, err := p.visit(url); err != nil || status != http.StatusOK {
		t.Fatalf("the page: %d, %v", status, err)
	}
	const count = "document.querySelectorAll('.project').length"
	p.await(t, count+" === 3 && document.body.innerText.includes('https://alone.localhost:')")
	if got := evaluate[string](t, p, "location.href"); got != machinePage+"/" {
		t.Errorf("the address is %s", got)
	}
	if evaluate[bool](t, p, fmt.Sprintf("document.documentElement.outerHTML.includes(%q) || Object.values(localStorage).includes(%[1]q) || document.cookie !== ''", key)) {
		t.Error("the key is in the page, or there is a cookie")
	}
	for _, requested := range append(p.asked("GET"), p.asked("POST")...) {
		if strings.Contains(requested, key) {
			t.Errorf("the key is in the request for %s", requested)
		}
	}
	if strings.Contains(a.stderr.String()+b.stderr.String(), key) {
		t.Error("the key was printed")
	}

	again := openTab(t, browser)
	if _, err := again.visit(machinePage + "/"); err != nil {
		t.Fatal(err)
	}
	again.await(t, count+" === 3")

	t.Run("another origin", func(t *testing.T) {
		token := evaluate[string](t, p, "localStorage.getItem('token')")
		other := openTab(t, browser)
		if _, err := other.visit("https://b.localhost/"); err != nil {
			t.Fatal(err)
		}
		for _, ask := range []string{
			fmt.Sprintf("fetch('%s/projects', {headers: {Authorization: 'Bearer %s'}})", machinePage, token),
			fmt.Sprintf("fetch('%s/', {credentials: 'include'})", machinePage),
		} {
			if got := evaluate[string](t, other, ask+".then(r => r.text(), () => 'refused')"); got != "refused" {
				t.Errorf("%s: %q", ask, got)
			}
		}
		const frame = `new Promise(done => {
			const frame = document.createElement('iframe');
			frame.onload = () => { try { done(String(frame.contentWindow.location.href)) } catch { done('another origin') } };
			frame.src = '` + machinePage + `/';
			document.body.append(frame);
		})`
		// What was not allowed to be framed is an error page of an origin of its own.
		evaluate[string](t, other, frame)
		if evaluate[int](t, other, "window.frames[0].length") != 0 || len(other.asked("POST")) > 0 {
			t.Error("the page in a frame has run")
		}
	})

	// A change replaces one project; the focus stays, in it and elsewhere.
	for _, focus := range []string{"https://a.localhost/", "https://b.localhost/"} {
		link := fmt.Sprintf("[...document.links].find(a => a.href === %q)", focus)
		evaluate[bool](t, p, link+".focus() || true")
		a.save("Proxyfile", "host \"a.localhost\" { respond = 200 }\nhost \"x\" { }\n# "+focus)
		a.await("rejected")
		p.await(t, "document.body.innerText.includes('is not served') && document.body.innerText.includes('is not below .localhost')")
		p.await(t, fmt.Sprintf("document.activeElement.href === %q", focus))
		a.save("Proxyfile", "host \"a.localhost\" { respond = 200 }\n# "+focus)
		a.await("applied", "recovered")
		p.await(t, "!document.body.innerText.includes('is not served')")
		p.await(t, fmt.Sprintf("document.activeElement.href === %q", focus))
	}

	// The oldest process is the front, and has served the page.
	a.kill()
	a.stopped = true
	_ = a.cmd.Wait()
	p.await(t, count+" === 2 && !document.body.innerText.includes('https://a.localhost') && document.getElementById('lost').hidden")
}

// TestE2EOpenByAnotherUser: another user of the machine gets nothing, even with a key
// that is not used yet.
func TestE2EOpenByAnotherUser(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	a, _ := startThree(t)
	_, key := openKey(t, a)
	request := func(uid uint32) string {
		cmd := exec.CommandContext(t.Context(), needTool(t, "curl"), "-sk", "-w", "%{http_code}", "--resolve", "devproxy.localhost:443:127.0.0.1",
			"-X", "POST", "-H", "Authorization: Bearer "+key, machinePage+"/token")
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v\n%s", err, out)
		}
		return string(out)
	}
	const nobody = 65534
	if got := request(nobody); !strings.HasPrefix(got, "Run `devproxy open`") || !strings.HasSuffix(got, "403") {
		t.Errorf("another user: %s", got)
	}
	if got := request(0); len(got) != 43+3 || !strings.HasSuffix(got, "200") {
		t.Errorf("the user: %s", got)
	}
	if got := request(0); !strings.HasSuffix(got, "403") {
		t.Errorf("the key again: %s", got)
	}
}
