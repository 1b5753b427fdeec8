package forward

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// loadResult is what h2load counted.
type loadResult struct {
	succeeded, failed int
	took              time.Duration
}

// h2load requests b from p for duration.
func (l *lab) h2load(ctx context.Context, p *proxy, proto protocol, b body, duration time.Duration) (loadResult, error) {
	clients, streams := b.clients, 1
	args := []string{"--h1"}
	if proto.h2 {
		args, clients, streams = nil, max(b.clients/b.streams*2, 1), b.streams/2
	}
	addr := p.http
	if proto.scheme == "https" {
		addr = p.https
	}
	args = append(args,
		"-c", strconv.Itoa(clients), "-m", strconv.Itoa(max(streams, 1)), "-t", "1",
		"-D", strconv.Itoa(int(max(duration.Milliseconds(), 100)))+"ms",
		"--connect-to", addr,
		proto.scheme+"://"+hostName+"/"+b.name)
	cmd := exec.CommandContext(ctx, l.tools["h2load"], args...)
	out, err := cmd.CombinedOutput() // on our core
	if err != nil {
		return loadResult{}, fmt.Errorf("h2load %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return readH2load(string(out))
}

var (
	h2loadFinished = regexp.MustCompile(`finished in ([0-9.]+)(us|ms|s),`)
	h2loadStatus   = regexp.MustCompile(`status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
	h2loadRequests = regexp.MustCompile(`requests: .* (\d+) failed, (\d+) errored, (\d+) timeout`)
)

// readH2load reads the summary that h2load prints. Requests that were in progress
// when time was up count as neither.
func readH2load(text string) (loadResult, error) {
	finished := h2loadFinished.FindStringSubmatch(text)
	status := h2loadStatus.FindStringSubmatch(text)
	requests := h2loadRequests.FindStringSubmatch(text)
	if finished == nil || status == nil || requests == nil {
		return loadResult{}, fmt.Errorf("h2load printed no summary:\n%s", text)
	}
	took, err := time.ParseDuration(finished[1] + finished[2])
	if err != nil {
		return loadResult{}, err
	}
	number := func(text string) int { n, _ := strconv.Atoi(text); return n } // the pattern has digits only
	return loadResult{
		succeeded: number(status[1]),
		failed:    number(status[2]) + number(status[3]) + number(status[4]) + number(requests[2]) + number(requests[3]),
		took:      took,
	}, nil
}
