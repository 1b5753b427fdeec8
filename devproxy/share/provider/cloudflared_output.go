package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"sync"
)

const (
	// maxOutputLine is how much of a line of cloudflared's output is looked at, in bytes.
	// The rest of a longer line is skipped.
	maxOutputLine = 16 << 10
	// maxStartOutput is how many bytes cloudflared may write until it is connected.
	// A start is about 10 KB. With TCP port 7844 refused, cloudflared 2026.8.2 tries
	// again without a pause and logs several megabytes a second.
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
	// flooded is closed when there is too much output before settle.
	flooded chan struct{}

	mu       sync.Mutex
	line     []byte // not ended yet
	skip     bool   // the rest of a line that is too long
	written  int
	settled  bool
	fault    *fault // the first that was recognised
	detail   string // of that
	last     string // the last line that tells of an error
	isServed bool   // metrics has been sent
}

func newCloudflaredOutput(log *slog.Logger) *cloudflaredOutput {
	return &cloudflaredOutput{log: log, metrics: make(chan netip.AddrPort, 1), flooded: make(chan struct{})}
}

// Write is io.Writer's.
func (o *cloudflaredOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if before := o.written; !o.settled {
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
		o.log.Debug("cloudflared says", "level", line.Level, "text", line.text())
	}
	if line.isError() {
		o.last = line.text()
	}
	if o.settled {
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

// settle ends the part of the output that explains why a tunnel does not start.
// What follows is about visitors too, who choose some of its words.
func (o *cloudflaredOutput) settle() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settled = true
}

// lastWords is the last line that tells of an error, or "".
func (o *cloudflaredOutput) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// cause is the first fault that was recognised before settle, or nil, and what the
// line said of it.
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

// parseCloudflared reads a line that is a JSON object, or takes it as it is.
func parseCloudflared(text []byte) cloudflaredLine {
	var line cloudflaredLine
	if json.Unmarshal(text, &line) != nil {
		line = cloudflaredLine{Message: string(text)}
	}
	return line
}

// isError reports whether the line can explain an end. What is not JSON is the
// error that cloudflared ends with (cmd/cloudflared/cliutil/errors.go).
func (l cloudflaredLine) isError() bool {
	return l.Level == "" || l.Level == "error" || l.Level == "fatal"
}

// text is the line for a terminal.
func (l cloudflaredLine) text() string {
	text := l.Message
	if l.Cause != "" {
		text = strings.TrimPrefix(text+": "+l.Cause, ": ")
	}
	return printable(text)
}
