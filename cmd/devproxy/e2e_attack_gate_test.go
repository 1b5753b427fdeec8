//go:build e2e && linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// visitorFrom is a visitor who comes from one of this machine's many loopback
// addresses: to the gate each is another network.
func (r *devRelay) visitorFrom(t *testing.T, protocol, addr string) *http.Client {
	t.Helper()
	client := r.visitor(t, protocol)
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}).DialContext(ctx, "tcp", r.listen)
	}
	return client
}

// talkative is an app that gives something away whatever the method.
func talkative(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Set-Cookie", "session=1")
	html(w, "the app's page")
}

// TestE2EAttackGatePreflight: no request gets to the app without the key by
// looking like a preflight; what browsers send is answered by the gate.
func TestE2EAttackGatePreflight(t *testing.T) {
	relay := startDevRelay(t)
	shop := startApp(t, talkative)
	hosts := fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nhost \"admin.shop.localhost\" { upstream = %[1]q }\n", shop.URL)
	for kind, text := range map[string]string{
		"a plain name": "share { name = \"preflights\" }\n", "a password": "share { password = \"right\" }\n",
	} {
		p := relay.share(t, projectDir(t, hosts+text), nil)
		own, other := p.base(), "https://"+p.host("admin.shop.localhost")
		for _, protocol := range both {
			client := relay.visitor(t, protocol)
			for _, to := range []string{own, other} {
				for _, test := range []struct {
					method, path, body string
					fields             []string
					want               int
				}{
					{"OPTIONS", "/", "", []string{"Origin", own, "Access-Control-Request-Method", "PUT"}, 204},
					{"OPTIONS", "/a?b", "", []string{"Origin", other, "Access-Control-Request-Method", "DELETE", "Access-Control-Request-Headers", "x-a"}, 204},
					{"OPTIONS", "/", "", []string{"Origin", own, "Access-Control-Request-Method", "PUT", "Cookie", "a=b"}, 204},
					{"OPTIONS", "/", "body", []string{"Origin", own, "Access-Control-Request-Method", "PUT"}, 401},
					{"OPTIONS", "/", "", []string{"Origin", own}, 401},
					{"OPTIONS", "/", "", []string{"Origin", own, "Access-Control-Request-Method", "a b"}, 401},
					{"OPTIONS", "/", "", []string{"Origin", own, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "<x>"}, 401},
					{"OPTIONS", "/", "", []string{"Access-Control-Request-Method", "PUT"}, 401},
					{"OPTIONS", "/", "", []string{"Origin", "null", "Access-Control-Request-Method", "PUT"}, 401},
					{"OPTIONS", "/", "", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "PUT"}, 401},
					{"GET", "/", "", []string{"Origin", own, "Access-Control-Request-Method", "PUT"}, 401},
					{"POST", "/", "body", []string{"Origin", own, "Access-Control-Request-Method", "PUT"}, 401},
					{"PROPFIND", "/", "", []string{"Origin", own, "Access-Control-Request-Method", "PUT"}, 401},
				} {
					got := ask(t, client, test.method, to+test.path, test.body, test.fields...)
					if got.status != test.want || strings.Contains(got.body, "the app") || got.header.Get("Set-Cookie") != "" {
						t.Errorf("%s, %s: %s %s %q: %d %q %v, want %d", kind, protocol, test.method, to+test.path, test.fields, got.status, got.body, got.header, test.want)
					}
					if got.status == 204 && (got.header.Get("Access-Control-Allow-Origin") != test.fields[1] || got.header.Get("Access-Control-Allow-Methods") != test.fields[3] ||
						got.header.Get("Access-Control-Allow-Credentials") != "true") {
						t.Errorf("%s, %s: %v", kind, protocol, got.header)
					}
				}
			}
		}
		if seen := shop.take(); len(seen) > 0 {
			t.Errorf("%s: the app was asked %d times: %+v", kind, len(seen), seen[0])
		}
		if kind == "a password" { // the control: with the key the app gets the request
			got := ask(t, relay.visitor(t, "h2"), "OPTIONS", own+"/", "", "Origin", own, "Access-Control-Request-Method", "PUT", "Authorization", "Bearer right")
			if seen := shop.take(); got.status != 200 || len(seen) != 1 {
				t.Errorf("with the key: %d, the app was asked %d times", got.status, len(seen))
			}
		}
	}
}

// TestE2EAttackGateLockOut guesses from many networks for as long as it can,
// while visitors log in.
func TestE2EAttackGateLockOut(t *testing.T) {
	relay := startDevRelay(t)
	shop := startApp(t, talkative)
	p := relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nshare { password = \"right\" }\n", shop.URL)), nil)
	login := func(client *http.Client, password string, fields ...string) answered {
		t.Helper()
		return ask(t, client, "POST", p.base()+"/.well-known/devproxy/login", "password="+password+"&to=%2F",
			append([]string{"Origin", p.base(), "Content-Type", "application/x-www-form-urlencoded"}, fields...)...)
	}
	first := login(relay.visitorFrom(t, "h2", "127.0.1.1"), "right")
	if first.status != 303 {
		t.Fatalf("the first login: %d %q", first.status, first.body)
	}
	device := ""
	for _, line := range first.header["Set-Cookie"] {
		if pair, _, _ := strings.Cut(line, ";"); strings.HasPrefix(pair, "__Host-devproxy-device=") {
			device = pair
		}
	}
	if device == "" {
		t.Fatalf("no device cookie: %v", first.header)
	}
	var attackers []*http.Client
	for i := range 9 {
		attackers = append(attackers, relay.visitorFrom(t, both[i%2], fmt.Sprintf("127.0.2.%d", i+1)))
	}
	compared := 0
	attack := func() {
		for range 2 {
			for _, attacker := range attackers {
				switch got := login(attacker, "wrong"); got.status {
				case 401:
					compared++
				case 429:
				default:
					t.Fatalf("a guess: %d %q", got.status, got.body)
				}
			}
		}
	}
	for range 4 {
		attack()
	}
	if compared < 30 || compared > 45 {
		t.Errorf("%d guesses were compared", compared)
	}
	for i := range 3 {
		attack()
		if got := login(attackers[0], "right", "Cookie", device); got.status != 303 {
			t.Errorf("round %d: a known browser, even in an attacker's network: %d", i, got.status)
		}
		if got := login(relay.visitorFrom(t, "h1", fmt.Sprintf("127.0.3.%d", i+1)), "right"); got.status != 303 {
			t.Errorf("round %d: somebody who comes for the first time: %d", i, got.status)
		}
		script := ask(t, relay.visitorFrom(t, "h1", "127.0.1.1"), "GET", p.base()+"/", "", "Authorization", "Bearer right")
		if script.status != 200 {
			t.Errorf("round %d: a script where somebody has logged in: %d", i, script.status)
		}
		forged := strings.Replace(device, "=", "=x", 1)
		if got := login(attackers[i], "right", "Cookie", forged); got.status != 429 {
			t.Errorf("round %d: with a forged device cookie: %d", i, got.status)
		}
	}
	for _, r := range shop.take() {
		if strings.Contains(fmt.Sprint(r.Header), "devproxy") {
			t.Errorf("the app is told: %v", r.Header)
		}
	}
}

// TestE2EAttackGateCookies: decoy cookies lock no one out, and an app's cookies
// do not leave the share.
func TestE2EAttackGateCookies(t *testing.T) {
	relay := startDevRelay(t)
	domain, _, _ := strings.Cut(relay.name, ":")
	shop := startApp(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Link"] = []string{"</a.css>; rel=preload"}
		w.Header()["Set-Cookie"] = []string{"wide=1; Domain=" + domain}
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
		w.Header()["Trailer"] = []string{"Set-Cookie, X-Sum"}
		w.Header()["Referrer-Policy"] = []string{"unsafe-url"}
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "the app's page")
		w.Header()["Set-Cookie"], w.Header()["X-Sum"] = []string{"wide=2; Domain=" + domain}, []string{"1"}
	})
	p := relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nshare { password = \"right\" }\n", shop.URL)), nil)
	for _, protocol := range both {
		client := relay.visitor(t, protocol)
		in := ask(t, client, "POST", p.base()+"/.well-known/devproxy/login", "password=right&to=%2F", "Origin", p.base(), "Content-Type", "application/x-www-form-urlencoded")
		if in.status != 303 {
			t.Fatalf("%s: %d", protocol, in.status)
		}
		good, _, _ := strings.Cut(in.header.Get("Set-Cookie"), ";")
		name, value, _ := strings.Cut(good, "=")
		decoys := strings.Repeat(name+"="+value[:len(value)-4]+"AAAA; ", 100)
		var hints []textproto.MIMEHeader
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			hints = append(hints, h)
			return nil
		}})
		r, err := http.NewRequestWithContext(ctx, "GET", p.base()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Cookie"] = []string{decoys + good + "; a=b"}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != 200 || string(body) != "the app's page" {
			t.Fatalf("%s: behind decoys: %d %q, %v", protocol, response.StatusCode, body, err)
		}
		if response.Header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: the name is told: %v", protocol, response.Header)
		}
		if len(hints) != 1 || hints[0].Get("Link") == "" || hints[0].Get("Set-Cookie") != "" {
			t.Errorf("%s: hints: %v", protocol, hints)
		}
		if response.Trailer.Get("X-Sum") != "1" || response.Trailer.Get("Set-Cookie") != "" || response.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: trailers: %v, head %v", protocol, response.Trailer, response.Header)
		}
		if seen := shop.take(); len(seen) != 1 || seen[0].Header.Get("Cookie") != "a=b" {
			t.Errorf("%s: the app is told: %+v", protocol, seen)
		}
	}
}

// TestE2EAttackGateSecret: the link's secret reaches the app in no field, however
// the page's URL gets there.
func TestE2EAttackGateSecret(t *testing.T) {
	relay := startDevRelay(t)
	shop := startApp(t, talkative)
	p := relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nshare { name = \"secretive\" }\n", shop.URL)), nil)
	_, secret, _ := strings.Cut(p.link, "?devproxy=")
	if secret == "" {
		t.Fatalf("%s has no secret", p.link)
	}
	encoded := ""
	for _, c := range []byte(secret) {
		encoded += fmt.Sprintf("%%%02x", c)
	}
	for _, protocol := range both {
		for _, url := range []string{p.base() + "/?devproxy=" + secret, p.base() + "/?a=b&%64evproxy=" + encoded + "&c", p.base() + "/?x=" + encoded} {
			got := ask(t, relay.visitor(t, protocol), "POST", url, "", "Authorization", "Bearer "+secret, "Referer", url, "Hx-Current-Url", url, "X-Url", url)
			seen := shop.take()
			if got.status != 200 || len(seen) != 1 {
				t.Fatalf("%s: %s: %d, the app was asked %d times", protocol, url, got.status, len(seen))
			}
			if text := fmt.Sprint(seen[0].RequestURI, seen[0].Header); strings.Contains(text, secret) || strings.Contains(strings.ToLower(text), encoded) {
				t.Errorf("%s: the app is told the secret: %s", protocol, text)
			}
		}
	}
}

// TestE2EAttackGateRebinding reads devproxy's responses by a name that a
// stranger makes resolve to this machine.
func TestE2EAttackGateRebinding(t *testing.T) {
	u := startUp(t, projectDir(t, "host \"shop.localhost\" { respond = 204 }\n"), "--http", ":0")
	if u.ready.HTTP == nil {
		t.Fatalf("no plain HTTP: %s", u.ready.Line)
	}
	read := func(conn net.Conn, host, fields string) string {
		t.Helper()
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", host, fields); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	dial := map[string]func() (net.Conn, error){
		"http": func() (net.Conn, error) { return net.DialTimeout("tcp", *u.ready.HTTP, patience) },
		"https": func() (net.Conn, error) {
			return tls.Dial("tcp", u.addr.String(), &tls.Config{RootCAs: u.roots, ServerName: "shop.localhost"})
		},
	}
	for scheme, dial := range dial {
		for _, test := range []struct{ host, fields string }{
			{"shpo.localhost", ""},
			{"evil.example", ""},
			{"evil.example", "Sec-Fetch-Site: same-origin\r\n"},
			{"shpo.localhost", "Origin: http://evil.example\r\n"},
			{"shpo.localhost", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"},
		} {
			conn, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			text := read(conn, test.host, test.fields)
			if strings.Contains(text, "shop.localhost") || strings.Contains(text, u.dir) {
				t.Errorf("%s, Host %s, %q tells what is served:\n%s", scheme, test.host, test.fields, text)
			}
		}
	}
}

// TestE2EAttackGateAddedHost: a host that is written into the Proxyfile while
// it is shared has no public name, and no wildcard of the share reaches it,
// until the user publishes it.
func TestE2EAttackGateAddedHost(t *testing.T) {
	relay := startDevRelay(t)
	const before = "host \"shop.localhost\" { respond = { status = 200, body = \"shop\" } }\nhost \"*.shop.localhost\" { respond = { status = 200, body = \"wildcard\" } }\n"
	const after = before + "host \"admin.shop.localhost\" { respond = { status = 200, body = \"private\" } }\n"
	dir := projectDir(t, before)
	p := relay.share(t, dir, nil)
	client := relay.visitor(t, "h1")
	admin := strings.Replace(p.hosts["*.shop.localhost"], "*", "admin", 1)
	if got := ask(t, client, "GET", admin+"/", ""); got.body != "wildcard" {
		t.Fatalf("before: %d %q", got.status, got.body)
	}
	if err := os.WriteFile(filepath.Join(dir, "Proxyfile"), []byte(after), 0o600); err != nil {
		t.Fatal(err)
	}
	var told upEvent
	for told.Event != "not_shared" {
		told = p.await("not_shared", "applied", "shared", "relay")
		if told.Event == "shared" && strings.Contains(told.Line, "admin") {
			t.Fatalf("shared at once: %s", told.Line)
		}
	}
	if !strings.Contains(told.Line, `"hosts":["admin.shop.localhost"]`) {
		t.Errorf("%s", told.Line)
	}
	if got := ask(t, client, "GET", admin+"/", ""); got.status != 421 {
		t.Errorf("a host that nobody wanted shared: %d %q", got.status, got.body)
	}
	if got := ask(t, client, "GET", p.hosts["shop.localhost"]+"/", ""); got.body != "shop" {
		t.Errorf("what is shared: %d %q", got.status, got.body)
	}
	attached := startBeside(t, p.upProcess, dir, "share", "--json") // run on purpose
	for {
		e := p.await("shared", "relay")
		if e.Event == "shared" {
			p.noteLink(e)
			break
		}
	}
	if got := ask(t, client, "GET", p.hosts["admin.shop.localhost"]+"/", ""); got.body != "private" {
		t.Errorf("once asked for: %d %q", got.status, got.body)
	}
	attached.kill()
	_ = attached.cmd.Wait()
	attached.stopped = true
}
