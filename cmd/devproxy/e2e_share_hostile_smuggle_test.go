//go:build e2e && unix

package main

import (
	"net"
	"strings"
	"testing"
)

// relayReads are the cases that the relay judges otherwise than devproxy's own
// listeners, with what must happen there.
var relayReads = map[string]string{
	"host.txt/no Host on HTTP/1.0": "400",
	// The share's host has a port already.
	"host.txt/a Host with a colon and nothing behind it": "400",
	"host.txt/a URL with a colon and nothing behind it":  "400",
	"host.txt/an IPv6 Host":                              "400",
}

// TestE2EShareSmuggle sends every case of testdata/smuggle through the relay,
// which judges it by the rules of devproxy's own listeners.
func TestE2EShareSmuggle(t *testing.T) {
	relay := startDevRelay(t)
	p := relay.share(t, projectDir(t, smuggleProxyfile(1)), nil)
	cases := lyingRequests(t)
	known := 0
	for _, c := range cases {
		if expect, ok := relayReads[c.Name]; ok {
			c.Expect = expect
			known++
		}
		// The relay keeps a connection on which the agent has refused a request.
		c.kept = c.ByPlan
		t.Run(c.Name, func(t *testing.T) {
			upstream := newRawUpstream(t)
			p.save("Proxyfile", smuggleProxyfile(upstream.port()))
			p.awaitPast("applied")
			status := c.sendShared(t, relay, p.host("shop.localhost"))
			p.save("Proxyfile", smuggleProxyfile(1))
			p.awaitPast("applied")
			upstream.finish()
			c.compare(t, upstream, status)
		})
	}
	if known != len(relayReads) {
		t.Errorf("%d of %d exceptions are names of cases", known, len(relayReads))
	}
}

// sendShared is send through the relay, to the public host of the share.
func (c lyingRequest) sendShared(t *testing.T, relay *devRelay, host string) int {
	t.Helper()
	name, _, _ := strings.Cut(host, ":")
	raw := c.Raw
	c.Raw = strings.NewReplacer("shop.localhost:8443", host, "shop.localhost", host, "SHOP.localhost", strings.ToUpper(host)).Replace(c.Raw)
	if strings.Contains(c.Name, "port") { // another than the relay's: it may be behind a port mapping
		c.Raw = strings.ReplaceAll(raw, "shop.localhost", name)
	}
	return c.send(t, relay.dialRaw(t, name))
}

// TestE2EShareSmuggleHTTP2 sends every HTTP/2 case through the relay.
func TestE2EShareSmuggleHTTP2(t *testing.T) {
	relay := startDevRelay(t)
	p := relay.share(t, projectDir(t, smuggleProxyfile(1)), nil)
	host := p.host("shop.localhost")
	smuggleHTTP2(t, p.upProcess, host, func() { p.awaitPast("applied") }, func(t *testing.T) net.Conn { return relay.dialRaw(t, host, "h2") })
}
