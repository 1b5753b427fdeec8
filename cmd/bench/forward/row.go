package forward

import (
	"context"
	"fmt"
	"time"
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

// protocols are the ways to ask a proxy.
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

// loadRows lists what is measured, in the order of the table.
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
// the requests in a second.
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

// since is the time from start in milliseconds.
func since(start time.Time) float64 { return float64(time.Since(start).Microseconds()) / 1000 }
