package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// maxOutputLine is how much of a line of cloudflared's output is looked at, in bytes.
	// The rest of a longer line is skipped.
	maxOutputLine = 16 << 10
	// maxStartOutput is how many bytes cloudflared may write until it is connected.
	// A start is about 10 KB. With TCP port 7844 refused, cloudflared 2026.8.2 retries
	// without a pause and logs several megabytes a second.
	maxStartOutput = 1 << 20
)

// metricsLine is what cloudflared logs once its metrics can be read
// (metrics/metrics.go, ServeMetrics).
var metricsLine = regexp.MustCompile(`^Starting metrics server on (\S+)/metrics$`)

// cloudflaredOutput reads what cloudflared writes, which is JSON lines with
// `--output json`, and plain text when it fails before it logs. It is an
// io.Writer that never fails, so that cloudflared never waits for it.
type cloudflaredOutput struct {
	log *slog.Logger
	// metrics receives the address of the metrics, once.
	metrics chan netip.AddrPort
	// flooded is closed when there is too much output before started is called.
	flooded chan struct{}

	mu        sync.Mutex
	line      []byte // not ended yet
	skip      bool   // the rest of a line that is too long
	written   int
	isStarted bool
	fault     *fault // the first that was recognised
	detail    string // of that
	last      string // the last line that reports an error
	isServed  bool   // metrics has been sent
}

func newCloudflaredOutput(log *slog.Logger) *cloudflaredOutput {
	return &cloudflaredOutput{log: log, metrics: make(chan netip.AddrPort, 1), flooded: make(chan struct{})}
}

// Write implements io.Writer.
func (o *cloudflaredOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if before := o.written; !o.isStarted {
		o.written = min(before+len(p), maxStartOutput)
		if before < maxStartOutput && o.written == maxStartOutput {
			close(o.flooded)
		}
	}
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		rest = after
		if !o.skip {
			room := maxOutputLine - len(o.line)
			o.skip = len(part) > room
			o.line = append(o.line, part[:min(len(part), room)]...)
		}
		if ended {
			o.endLocked()
		}
	}
	return len(p), nil
}

// endLocked looks at a whole line.
func (o *cloudflaredOutput) endLocked() {
	line := parseCloudflared(o.line)
	o.line, o.skip = o.line[:0], false
	if line.text() == "" {
		return
	}
	if o.log.Enabled(context.Background(), slog.LevelDebug) {
		o.log.Debug("output of cloudflared", "level", line.Level, "text", line.text())
	}
	if line.isError() {
		o.last = line.text()
	}
	if o.isStarted {
		return
	}
	if o.fault == nil {
		o.fault, o.detail = findFault(line)
	}
	if match := metricsLine.FindStringSubmatch(line.Message); match != nil && !o.isServed {
		if addr, err := netip.ParseAddrPort(match[1]); err == nil && addr.Addr().IsLoopback() {
			o.isServed = true
			o.metrics <- addr
		}
	}
}

// started ends the part of the output that explains why a tunnel does not
// start. Later output describes visitors too, and they choose some of its
// words.
func (o *cloudflaredOutput) started() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.isStarted = true
}

// lastError returns the last line that reports an error, or "".
func (o *cloudflaredOutput) lastError() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// cause returns the first fault that was recognised before started, or nil, and
// the line's description of it.
func (o *cloudflaredOutput) cause() (f *fault, detail string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fault, o.detail
}

// cloudflaredLine is one line of output.
type cloudflaredLine struct {
	Level   string `json:"level"`
	Message string `json:"message"`
	Cause   string `json:"error"`
	Status  string `json:"status_code"`
}

// parseCloudflared reads a line that is a JSON object, and keeps any other line
// unchanged.
func parseCloudflared(text []byte) cloudflaredLine {
	var line cloudflaredLine
	if json.Unmarshal(text, &line) != nil {
		line = cloudflaredLine{Message: string(text)}
	}
	return line
}

// isError reports whether the line can explain an end. A line that is not JSON is the
// error that cloudflared ends with (cmd/cloudflared/cliutil/errors.go).
func (l cloudflaredLine) isError() bool {
	return l.Level == "" || l.Level == "error" || l.Level == "fatal"
}

// text returns the line for a terminal.
func (l cloudflaredLine) text() string {
	text := l.Message
	if l.Cause != "" {
		text = strings.TrimPrefix(text+": "+l.Cause, ": ")
	}
	return printable(text)
}

// fault is a message of cloudflared that explains why a tunnel does not start.
type fault struct {
	// begins is the beginning of the line's message; has are words of
	// which the line contains one, or nil for any.
	begins string
	has    []string
	reason agent.Reason
	text   string // why, after "cannot share through cloudflare: "
	fix    string
	// isNetwork is set for a fault that a network which needs a proxy has too.
	isNetwork bool
	// isVague is set when the text needs cloudflared's words.
	isVague bool
}

// The fixes for faults that are not this machine's.
const (
	relayFix = "share through a relay of your own: devproxy relay login HOST"
	retryFix = "devproxy tries again; if that does not help, " + relayFix
)

// proxyFix replaces the fix of a network's fault where a proxy is configured.
// cloudflared makes its requests without one (cmd/cloudflared/tunnel/quick_tunnel.go
// and edgediscovery/dial.go).
const proxyFix = "cloudflared cannot use the proxy of this network; " + relayFix

// faults are messages of cloudflared 2026.8.2; the first that matches counts. The
// first one is of github.com/urfave/cli; those of "quick" are of
// cmd/cloudflared/tunnel/quick_tunnel.go, the rest of edgediscovery/allregions/discovery.go
// and supervisor/tunnel.go.
var faults = []fault{
	{begins: "Incorrect Usage", has: []string{"flag provided but not defined"}, reason: ReasonProgram},
	{begins: "Error unmarshaling QuickTunnel response", has: []string{"429 "}, reason: agent.ReasonBusy,
		text: "Cloudflare allows no more quick tunnels from this network for now (429)",
		fix:  "wait some minutes, devproxy tries again; or " + relayFix},
	{begins: "Error unmarshaling QuickTunnel response", reason: agent.ReasonFailed, isVague: true,
		text: "Cloudflare does not provide a quick tunnel now", fix: retryFix},
	{begins: "failed to request quick Tunnel", has: []string{"lookup "}, reason: agent.ReasonDNS, isNetwork: true,
		text: "cannot look up api.trycloudflare.com",
		fix:  "check this machine's DNS: nslookup api.trycloudflare.com"},
	{begins: "failed to request quick Tunnel", has: []string{"x509: ", "tls: "}, reason: agent.ReasonInspected,
		text: "something between this machine and api.trycloudflare.com decrypts TLS",
		fix:  "share from another network, or " + relayFix},
	{begins: "failed to request quick Tunnel", has: []string{"unreachable"}, reason: agent.ReasonUnreachable, isNetwork: true,
		text: "no route from this network to api.trycloudflare.com", fix: "check this machine's network; devproxy tries again"},
	{begins: "failed to request quick Tunnel", has: []string{"refused", "timeout", "Timeout", "deadline exceeded"}, reason: agent.ReasonBlocked, isNetwork: true,
		text: "api.trycloudflare.com does not answer on port 443", fix: retryFix},
	{begins: "failed to ", has: []string{"quick Tunnel", "quick-tunnel"}, reason: agent.ReasonFailed, isVague: true,
		text: "Cloudflare does not provide a quick tunnel now", fix: retryFix},
	{begins: "edge discovery: error looking up Cloudflare edge IPs", reason: agent.ReasonDNS, isNetwork: true,
		text: "cannot look up the addresses of Cloudflare's network below argotunnel.com",
		fix:  "check this machine's DNS: nslookup -type=srv _v2-origintunneld._tcp.argotunnel.com"},
	{begins: "Unable to establish connection with Cloudflare edge", has: []string{"x509: ", "tls: "}, reason: agent.ReasonInspected,
		text: "something between this machine and Cloudflare decrypts TLS on port 7844",
		fix:  "share from another network, or " + relayFix},
}

// portBlocked is the fault when no connection to Cloudflare could be made, over either
// protocol
// (https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/configure-tunnels/tunnel-with-firewall/).
var portBlocked = fault{reason: agent.ReasonBlocked, isNetwork: true,
	text: "no connection to Cloudflare over UDP or TCP port 7844",
	fix:  "have this network's operator allow outgoing port 7844 over UDP or TCP, or " + relayFix}

// findFault returns the fault that a line reports, or nil, and its details.
func findFault(line cloudflaredLine) (f *fault, detail string) {
	text := line.Message + " " + line.Cause + " " + line.Status + " "
	i := slices.IndexFunc(faults, func(f fault) bool {
		contained := func(word string) bool { return strings.Contains(text, word) }
		return strings.HasPrefix(line.Message, f.begins) && (f.has == nil || slices.ContainsFunc(f.has, contained))
	})
	switch {
	case i < 0:
		return nil, ""
	case line.Status != "":
		return &faults[i], printable(line.Status)
	}
	return &faults[i], line.text()
}
