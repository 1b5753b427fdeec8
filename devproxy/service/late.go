package service

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/listen"
)

// maxLastLine bounds how much of a line of output a reason quotes, in characters.
const maxLastLine = 120

// why says why the service is not ready; empty if nothing is known to be missing.
func (a *awaiting) why(ctx context.Context) string {
	ready, port := a.spec.Ready, a.spec.Port
	if !a.printed() {
		return fmt.Sprintf("no line of its output contains %q; %s", ready.Log, a.lastLine())
	}
	if port == 0 {
		return ""
	}
	if listen.StrangerOn(port) {
		return fmt.Sprintf("another user of this machine listens on port %d", port)
	}
	if accepts(ctx, port) {
		return a.whyNot(ctx, port)
	}
	if elsewhere := a.choose(ctx); elsewhere != 0 {
		return a.whyNot(ctx, elsewhere)
	}
	others := a.ports()
	switch {
	case slices.Contains(others, port):
		return fmt.Sprintf("it listens on port %d, but not on 127.0.0.1 or [::1]", port)
	case len(others) == 0:
		return fmt.Sprintf("nothing listens on port %d, which the command gets as {port} and in PORT", port)
	}
	texts := make([]string, len(others))
	for i, other := range others {
		texts[i] = strconv.Itoa(int(other))
	}
	return fmt.Sprintf("it listens on port %s instead of %d, which the command gets as {port} and in PORT", strings.Join(texts, ", "), port)
}

// whyNot says what the response to the request for ready.path lacks; empty without one.
func (a *awaiting) whyNot(ctx context.Context, port uint16) string {
	ready := a.spec.Ready
	if ready.Path == "" {
		return ""
	}
	wanted := "200 to 399"
	if ready.Status != 0 {
		wanted = strconv.Itoa(ready.Status)
	}
	switch status := a.status(ctx, port, ready.Path); {
	case status == 0:
		return fmt.Sprintf("GET %s on port %d gets no response", ready.Path, port)
	case ready.accepts(status):
		return ""
	default:
		return fmt.Sprintf("GET %s on port %d returns %d; expected %s", ready.Path, port, status, wanted)
	}
}

// lastLine quotes the last line that the service has printed.
func (a *awaiting) lastLine() string {
	last := ""
	for _, line := range a.out.tail.all() {
		if strings.TrimSpace(line) != "" {
			last = line
		}
	}
	if last == "" {
		return "it has printed nothing"
	}
	if runes := []rune(last); len(runes) > maxLastLine {
		last = string(runes[:maxLastLine]) + "…"
	}
	return "the last line: " + last
}
