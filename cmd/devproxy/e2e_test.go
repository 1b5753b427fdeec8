//go:build e2e && unix

package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// demoLimit limits the demo with everything it builds and installs.
const demoLimit = 6 * time.Minute

// TestE2EDemo runs `make demo`, with Vite and without, and asks for every link of its page
// at both addresses.
func TestE2EDemo(t *testing.T) {
	for name, file := range map[string]string{"vite": "Proxyfile", "no-node": "nonode/Proxyfile"} {
		t.Run(name, func(t *testing.T) {
			vite := file == "Proxyfile"
			if vite {
				needTool(t, "npm")
			}
			// In the checkout, as its reader does it: only there is a module to build the
			// API in. What it adds is what git ignores.
			place := &upProcess{}
			var private []string
			place.home, place.state, private = privateState(t)
			mark := "DEVPROXY_E2E_MARK=" + rand.Text()
			place.env = append(os.Environ(), mark, "DEVPROXY_HOME="+place.state, "NO_COLOR=1")
			for _, entry := range private {
				if strings.HasPrefix(entry, "XDG_RUNTIME_DIR=") {
					place.env = append(place.env, entry)
				}
			}
			u := startProgram(t, place, "../..", []string{needTool(t, "make"), "--silent", "demo", "DEMO_FILE=" + file, "DEMO=--json --https :0 --http :0"})
			link := awaitDemo(t, u, vite)
			for address, base := range map[netip.AddrPort]string{u.addr: u.ready.URLs[0], portOf(t, link): link} {
				at := &upProcess{t: t, roots: u.roots, addr: address}
				for path, want := range map[string]string{"/": "one origin", "/api/hello": "Hello", "/docs/": "Docs", "/docs/routes": "Routes"} {
					if status, body := fetch(t, at.client("h2"), base+path); status != 200 || !strings.Contains(body, want) {
						t.Errorf("%s%s answers %d without %q: %.300s", base, path, status, want, body)
					}
				}
				if status, _ := fetch(t, at.client("h2"), base+"/old/routes"); status != 302 {
					t.Errorf("%s/old/routes answers %d, want a redirect", base, status)
				}
				if _, body := fetch(t, at.client("h2"), base+"/"); strings.Contains(body, "/@vite/client") != vite {
					t.Errorf("served by Vite is %v: %.300s", !vite, body)
				}
			}
			u.stopped = true
			if out, err := runTool(t, patience, place.env, devproxyBinary(t), "down", "-f", filepath.Join(demoSource, file)); err != nil {
				t.Errorf("devproxy down: %v\n%s", err, out)
			}
			for range u.events { // until it has ended
			}
			if err := u.cmd.Wait(); err != nil {
				t.Errorf("make demo ends with %v", err)
			}
			if left := processesWith(mark); left != nil {
				t.Errorf("the demo leaves processes behind: %q", left)
			}
		})
	}
}

// awaitDemo returns the demo's link once that and its services work.
func awaitDemo(t *testing.T, u *upProcess, vite bool) (link string) {
	t.Helper()
	services := map[string]bool{"api": true, "web": vite} // that are not ready yet
	timeout := time.After(demoLimit)
	for u.ready.Event == "" || link == "" || services["api"] || services["web"] {
		select {
		case e, open := <-u.events:
			switch {
			case !open || e.Event == "failed" || e.Event == "rejected":
				t.Fatalf("the demo ends: %s", e.Line)
			case e.Event == "ready":
				u.ready = e
				u.trust()
			case e.Event == "shared":
				var shared struct{ URL string }
				decodeEvent(t, e, &shared)
				link = shared.URL
			case e.Event == "service":
				var status struct{ Service struct{ Name, State string } }
				decodeEvent(t, e, &status)
				services[status.Service.Name] = services[status.Service.Name] && status.Service.State != "ready"
			}
		case <-timeout:
			t.Fatalf("the demo does not work within %v", demoLimit)
		}
	}
	return link
}

// portOf is the port of a URL on this machine.
func portOf(t *testing.T, link string) netip.AddrPort {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort("127.0.0.1:" + u.Port())
}

// processesWith are the command lines of running processes with an entry in
// their environment, where the system lists them (Linux).
func processesWith(entry string) (commands []string) {
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, folder := range folders {
		environ, err := os.ReadFile(filepath.Join(folder, "environ"))
		if err != nil || !bytes.Contains(environ, []byte(entry)) {
			continue
		}
		if command, err := os.ReadFile(filepath.Join(folder, "cmdline")); err == nil {
			commands = append(commands, string(bytes.ReplaceAll(command, []byte{0}, []byte(" "))))
		}
	}
	return commands
}

// certifiedNames are names that the root may sign for, of every kind.
var certifiedNames = []string{"localhost", "shop.localhost", "a.b.shop.localhost", "127.0.0.1", "::1"}

const helloProxyfile = `host "shop.localhost" { respond = { status = 200, body = "hello" } }`

// TestE2EClients has clients with different certificate verification ask the
// running program. localca proves the details; this proves the chain that `up`
// really sends.
func TestE2EClients(t *testing.T) {
	u := startUp(t, projectDir(t, helloProxyfile))
	for _, name := range certifiedNames {
		dial := "127.0.0.1"
		if name == "::1" {
			dial = "::1"
		}
		for client, ask := range map[string]func(*testing.T, *upProcess, string, string) error{
			"go": askGo, "curl": askCurl, "node": askNode, "openssl": askOpenSSL,
		} {
			t.Run(client+"/"+name, func(t *testing.T) {
				needLoopback(t, dial)
				if err := ask(t, u, name, dial); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// needLoopback skips a test on a machine without an address: one without ::1 is
// fine, but CI's has it.
func needLoopback(t *testing.T, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err == nil {
		listener.Close()
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// bracketed is a name as it is written in a URL.
func bracketed(name string) string {
	if strings.Contains(name, ":") {
		return "[" + name + "]"
	}
	return name
}

func askGo(t *testing.T, u *upProcess, name, _ string) error {
	for _, protocol := range []string{"h1", "h2"} {
		status, body := fetch(t, u.client(protocol), u.url(bracketed(name), "/"))
		if err := wantHello(name, status, body); err != nil {
			return fmt.Errorf("%s: %w", protocol, err)
		}
	}
	return nil
}

// wantHello: a name that is in no Proxyfile has a certificate all the same, so
// that its page can say so.
func wantHello(name string, status int, body string) error {
	known := name == "shop.localhost"
	if known && (status != 200 || body != "hello") || !known && status != 404 {
		return fmt.Errorf("%s answers %d %.60q", name, status, body)
	}
	return nil
}

func askCurl(t *testing.T, u *upProcess, name, dial string) error {
	port := fmt.Sprint(u.addr.Port())
	out, err := runTool(t, patience, u.env, needTool(t, "curl"), "--disable", "--silent", "--show-error", "--noproxy", "*",
		"--cacert", u.rootFile(), "--connect-to", net.JoinHostPort(name, port)+":"+net.JoinHostPort(dial, port),
		"--output", "/dev/null", "--write-out", "%{http_code} %{http_version} %{ssl_verify_result}", u.url(bracketed(name), "/"))
	want := "404 2 0"
	if name == "shop.localhost" {
		want = "200 2 0"
	}
	if err != nil || out != want {
		return fmt.Errorf("curl says %q, want %q: %w", out, want, err)
	}
	return nil
}

// askNode trusts the root as `devproxy env` has Node do it.
func askNode(t *testing.T, u *upProcess, name, dial string) error {
	const script = `
const [name, host, port] = process.argv.slice(1);
require('https').get({host, port, servername: name.includes('.0.') || name.includes(':') ? '' : name, headers: {host: name}},
  r => { console.log(r.socket.authorized); r.resume() })
  .on('error', e => { console.log(e.code, e.message); process.exitCode = 1 });`
	env := append(u.env, "NODE_EXTRA_CA_CERTS="+u.rootFile(), "NODE_OPTIONS=")
	out, err := runTool(t, patience, env, needTool(t, "node"), "-e", script, "--", name, dial, fmt.Sprint(u.addr.Port()))
	if err != nil || strings.TrimSpace(out) != "true" {
		return fmt.Errorf("node says %q: %w", out, err)
	}
	return nil
}

func askOpenSSL(t *testing.T, u *upProcess, name, dial string) error {
	args := []string{"s_client", "-brief", "-verify_return_error", "-x509_strict", "-CAfile", u.rootFile(), "-no-CApath",
		"-connect", net.JoinHostPort(dial, fmt.Sprint(u.addr.Port()))}
	if net.ParseIP(name) != nil {
		args = append(args, "-noservername", "-verify_ip", name)
	} else {
		args = append(args, "-servername", name, "-verify_hostname", name)
	}
	out, err := runTool(t, patience, u.env, needTool(t, "openssl"), args...)
	if err != nil || !strings.Contains(out, "Verification: OK") {
		return fmt.Errorf("openssl says %q: %w", out, err)
	}
	return nil
}
