package forward

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/cmd/bench/harness"
)

// measure is one figure of a row.
type measure struct{ name, title, unit string }

// loadRow is something to do with every proxy. run returns one value for each
// of measures; a negative one when the proxy cannot be measured.
type loadRow struct {
	Name, Title string
	measures    []measure
	run         func(context.Context, *lab, *proxy) ([]float64, error)
}

// protocols are the ways to reach a proxy.
var protocols = []protocol{
	{name: "h1", title: "HTTP/1.1", scheme: "http"},
	{name: "h1tls", title: "HTTP/1.1 + TLS", scheme: "https"},
	{name: "h2", title: "HTTP/2 + TLS", scheme: "https", h2: true},
}

type protocol struct {
	name, title, scheme string
	h2                  bool
}

// body is a file of the upstream.
type body struct {
	name, title string
	bytes       int
	// clients is the number of connections at once; over HTTP/2, streams divides
	// them among fewer connections.
	clients, streams int
}

var bodies = []body{
	{"1k", "1 KiB", 1 << 10, 64, 16},
	{"100k", "100 KiB", 100 << 10, 64, 16},
	{"10m", "10 MiB", 10 << 20, 4, 2},
}

// loadRows lists the measurements, in the order of the table.
func loadRows() []loadRow {
	var rows []loadRow
	for _, b := range bodies {
		for _, p := range protocols {
			rows = append(rows, loadRow{
				Name:  p.name + "-" + b.name,
				Title: p.title + ", " + b.title,
				measures: []measure{
					{"cpu", "CPU of one request", "µs"},
					{"rate", "requests", "1/s"},
				},
				run: func(ctx context.Context, l *lab, proxy *proxy) ([]float64, error) { return l.load(ctx, proxy, p, b) },
			})
		}
	}
	return append(rows,
		loadRow{"latency", "one connection, HTTP/1.1, 1 KiB", []measure{{"p50", "latency p50, without the upstream's", "µs"}, {"p99", "latency p99, without the upstream's p50", "µs"}}, addedLatency},
		loadRow{"memory", "resident memory", []measure{{"load", "after the load above", "MB"}, {"idle", "just started", "MB"}, {"sockets", "with 1 000 open WebSockets", "MB"}}, memory},
		loadRow{"start", "start", []measure{{"first", "to the first 200", "ms"}}, startToFirst},
		loadRow{"save", "save", []measure{{"applied", "to the first new response", "ms"}}, saveToApplied},
	)
}

func rowNames() []string {
	var names []string
	for _, row := range loadRows() {
		names = append(names, row.Name)
	}
	return names
}

// load puts proxy under load and returns its processor time for one request and
// the requests per second.
func (l *lab) load(ctx context.Context, p *proxy, proto protocol, b body) ([]float64, error) {
	warm := l.bench.duration / 10
	if _, err := l.h2load(ctx, p, proto, b, warm); err != nil { // connections, pools, certificates
		return nil, err
	}
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	result, err := l.h2load(ctx, p, proto, b, l.bench.duration)
	if err != nil {
		return nil, err
	}
	after, err := p.cpu()
	if err != nil {
		return nil, err
	}
	if result.failed > 0 || result.succeeded == 0 {
		return nil, fmt.Errorf("%d requests succeeded, %d failed", result.succeeded, result.failed)
	}
	return []float64{
		float64((after - before).Microseconds()) / float64(result.succeeded),
		float64(result.succeeded) / result.took.Seconds(),
	}, nil
}

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

// addedLatency is the latency that the proxy adds to a request on one open
// connection, one request after the other.
func addedLatency(_ context.Context, l *lab, p *proxy) ([]float64, error) {
	direct, err := latencies(l.upstream)
	if err != nil {
		return nil, err
	}
	through, err := latencies(p.http)
	if err != nil {
		return nil, err
	}
	base := harness.Quantile(direct, 0.5)
	return []float64{harness.Quantile(through, 0.5) - base, harness.Quantile(through, 0.99) - base}, nil
}

// latencyRequests is how many requests of one connection make a latency figure.
const latencyRequests = 4000

// latencies are in microseconds, sorted.
func latencies(addr string) ([]float64, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	reader := bufio.NewReader(conn)
	request := []byte("GET /1k HTTP/1.1\r\nHost: " + hostName + "\r\n\r\n")
	var took []float64
	for range latencyRequests {
		start := time.Now()
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		res, err := http.ReadResponse(reader, nil)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if err != nil {
			return nil, err
		}
		if res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("status %d", res.StatusCode)
		}
		took = append(took, float64(time.Since(start).Nanoseconds())/1000)
	}
	slices.Sort(took)
	return took, nil
}

// sockets is how many WebSockets are open for the memory figure.
const sockets = 1000

// memory measures the proxy's memory when it is new, after the rows before, and
// with open WebSockets.
func memory(ctx context.Context, _ *lab, p *proxy) ([]float64, error) {
	loaded, err := p.residentMB()
	if err != nil {
		return nil, err
	}
	for n := range sockets {
		conn, _, err := websocket.Dial(ctx, "ws://"+p.http+"/ws", &websocket.DialOptions{Host: hostName}) //nolint:bodyclose // Dial closes it
		if err != nil {
			return nil, fmt.Errorf("open WebSocket %d: %w", n+1, err)
		}
		defer func() { _ = conn.CloseNow() }()
	}
	with, err := p.residentMB()
	return []float64{loaded, p.idle, with}, err
}

// startToFirst starts the proxy once more, on its ports, and waits for a response.
func startToFirst(ctx context.Context, _ *lab, p *proxy) ([]float64, error) {
	p.child.Stop()
	start := time.Now()
	err := p.start(ctx)
	return []float64{since(start)}, err
}

// saveToApplied replaces the configuration and waits for the first response that
// only the new one has.
func saveToApplied(ctx context.Context, _ *lab, p *proxy) ([]float64, error) {
	p.generation++
	start := time.Now()
	if err := p.configure(); err != nil {
		return nil, err
	}
	if p.reload != nil {
		if err := p.reload(p); err != nil {
			return nil, err
		}
	}
	err := awaitBody(ctx, p.child, p.http, "/version", strconv.Itoa(p.generation))
	return []float64{since(start)}, err
}

// since is the time from start in milliseconds.
func since(start time.Time) float64 { return float64(time.Since(start).Microseconds()) / 1000 }
