//go:build e2e && unix

package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestE2EShareFailover kills the relay that carries a link. The next one of the list
// takes over, with the same access rules, and keeps the link when the first is back.
// This machine is served all the time.
func TestE2EShareFailover(t *testing.T) {
	first := startDevRelay(t)
	second := newDevRelay(t, startBeside(t, first.upProcess, shortDir(t), "relay", "--dev", "--json", "--state", shortDir(t)+"/relay.db"), first.rootFile())
	const proxyfile = `
host "shop.localhost" { respond = { body = "the shop" } }
share { password = "sesame" }
`
	p := first.beginShare(t, projectDir(t, proxyfile), nil, "--relay", first.name+","+second.name)
	p.ready = p.await("ready")
	p.trust()
	p.awaitLink()
	if !strings.HasSuffix(p.link, ":"+first.port()) {
		t.Fatalf("the link %s is not the first relay's", p.link)
	}
	wants := func(r *devRelay) {
		t.Helper()
		if got := ask(t, r.visitor(t, "http/1.1"), http.MethodGet, p.link+"/", ""); got.status != http.StatusUnauthorized {
			t.Errorf("without the password: %d", got.status)
		}
		if got := ask(t, r.visitor(t, "http/1.1"), http.MethodGet, p.link+"/", "", "Authorization", "Bearer sesame"); got.body != "the shop" {
			t.Errorf("with the password: %d, %q", got.status, got.body)
		}
		if status, body := fetch(t, p.client("http/1.1"), p.url("shop.localhost", "/")); status != http.StatusOK || body != "the shop" {
			t.Errorf("on this machine: %d, %q", status, body)
		}
	}
	wants(first)
	first.stopped = true // not on its own
	first.kill()
	_ = first.cmd.Wait() // by the signal
	p.awaitLink()
	if !strings.HasSuffix(p.link, ":"+second.port()) {
		t.Fatalf("the link %s is not the second relay's", p.link)
	}
	wants(second)
	newDevRelay(t, startBeside(t, first.upProcess, shortDir(t), "relay", "--dev", "--json", "--listen", first.listen), first.rootFile())
	wants(second)
	p.stop()
}
