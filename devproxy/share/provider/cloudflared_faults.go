package provider

import (
	"strings"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// fault is something that cloudflared says when a tunnel does not start.
type fault struct {
	// begins are the words that a line's message begins with; has are words of
	// which the line has one, or nil for any.
	begins string
	has    []string

	reason agent.Reason
	text   string // why, after "cannot share through cloudflare: "
	fix    string
	// isNetwork is a fault that a network which wants a proxy has too.
	isNetwork bool
	// isVague is one whose text needs what cloudflared says.
	isVague bool
}

// What helps with faults that this machine can do nothing about.
const (
	relayFix = "share through a relay of your own: devproxy relay login HOST"
	retryFix = "it is tried again; if that does not help, " + relayFix
)

// proxyFix replaces the fix of a network's fault where a proxy is configured.
// cloudflared makes its requests without one (cmd/cloudflared/tunnel/quick_tunnel.go
// and edgediscovery/dial.go).
const proxyFix = "cloudflared cannot use the proxy of this network; " + relayFix

// faults are what cloudflared 2026.8.2 writes; the first that fits counts. The
// first one is of github.com/urfave/cli; those of "quick" are of
// cmd/cloudflared/tunnel/quick_tunnel.go, the rest of edgediscovery/allregions/discovery.go
// and supervisor/tunnel.go.
var faults = []fault{
	{begins: "Incorrect Usage", has: []string{"flag provided but not defined"}, reason: ReasonProgram},

	{begins: "Error unmarshaling QuickTunnel response", has: []string{"429 "}, reason: agent.ReasonBusy,
		text: "Cloudflare allows no more quick tunnels from this network for now (429)",
		fix:  "wait some minutes, it is tried again; or " + relayFix},
	{begins: "Error unmarshaling QuickTunnel response", reason: agent.ReasonFailed, isVague: true,
		text: "Cloudflare does not give a quick tunnel now", fix: retryFix},

	{begins: "failed to request quick Tunnel", has: []string{"lookup "}, reason: agent.ReasonDNS, isNetwork: true,
		text: "cannot look up api.trycloudflare.com",
		fix:  "check this machine's DNS: nslookup api.trycloudflare.com"},
	{begins: "failed to request quick Tunnel", has: []string{"x509: ", "tls: "}, reason: agent.ReasonInspected,
		text: "something between this machine and api.trycloudflare.com decrypts TLS",
		fix:  "share from another network, or " + relayFix},
	{begins: "failed to request quick Tunnel", has: []string{"unreachable"}, reason: agent.ReasonUnreachable, isNetwork: true,
		text: "there is no way from this network to api.trycloudflare.com", fix: "check this machine's network; it is tried again"},
	{begins: "failed to request quick Tunnel", has: []string{"refused", "timeout", "Timeout", "deadline exceeded"}, reason: agent.ReasonBlocked, isNetwork: true,
		text: "api.trycloudflare.com does not answer on port 443", fix: retryFix},
	{begins: "failed to ", has: []string{"quick Tunnel", "quick-tunnel"}, reason: agent.ReasonFailed, isVague: true,
		text: "Cloudflare does not give a quick tunnel now", fix: retryFix},

	{begins: "edge discovery: error looking up Cloudflare edge IPs", reason: agent.ReasonDNS, isNetwork: true,
		text: "cannot look up the addresses of Cloudflare's network below argotunnel.com",
		fix:  "check this machine's DNS: nslookup -type=srv _v2-origintunneld._tcp.argotunnel.com"},
	{begins: "Unable to establish connection with Cloudflare edge", has: []string{"x509: ", "tls: "}, reason: agent.ReasonInspected,
		text: "something between this machine and Cloudflare decrypts TLS on port 7844",
		fix:  "share from another network, or " + relayFix},
}

// portBlocked is the fault when no connection to Cloudflare came to be, over either
// protocol
// (https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/configure-tunnels/tunnel-with-firewall/).
var portBlocked = fault{reason: agent.ReasonBlocked, isNetwork: true,
	text: "no connection to Cloudflare over UDP or TCP port 7844",
	fix:  "have whoever runs this network allow outgoing port 7844 over UDP or TCP, or " + relayFix}

// findFault is the fault that a line tells of, or nil, and its details.
func findFault(line cloudflaredLine) (f *fault, detail string) {
	text := line.Message + " " + line.Cause + " " + line.Status + " "
	for i, f := range faults {
		if strings.HasPrefix(line.Message, f.begins) && (f.has == nil || hasOne(text, f.has)) {
			if line.Status != "" {
				return &faults[i], printable(line.Status)
			}
			return &faults[i], line.text()
		}
	}
	return nil, ""
}

func hasOne(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
