package forward

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// latencyRequests is how many requests of one connection make a latency figure.
const latencyRequests = 4000

// addedLatency is what the proxy adds to a request on one open connection, one
// request after the other.
func addedLatency(_ context.Context, l *lab, p *proxy) ([]float64, error) {
	direct, err := latencies(l.upstream)
	if err != nil {
		return nil, err
	}
	through, err := latencies(p.http)
	if err != nil {
		return nil, err
	}
	base := quantile(direct, 0.5)
	return []float64{quantile(through, 0.5) - base, quantile(through, 0.99) - base}, nil
}

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

func quantile(sorted []float64, q float64) float64 {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// sockets is how many WebSockets are open for the memory figure.
const sockets = 1000

// memory measures what the proxy holds after the rows before, had when it was
// new, and holds with open WebSockets.
func memory(_ context.Context, _ *lab, p *proxy) ([]float64, error) {
	loaded, err := p.residentMB()
	if err != nil {
		return nil, err
	}
	open := make([]net.Conn, 0, sockets)
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	for range sockets {
		conn, err := upgrade(p.http)
		if err != nil {
			return nil, fmt.Errorf("open WebSocket %d: %w", len(open)+1, err)
		}
		open = append(open, conn)
	}
	with, err := p.residentMB()
	return []float64{loaded, p.idle, with}, err
}

// startToFirst starts the proxy once more, on its ports, and waits for an answer.
func startToFirst(ctx context.Context, _ *lab, p *proxy) ([]float64, error) {
	p.stop()
	start := time.Now()
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	return []float64{since(start)}, nil
}

// saveToApplied replaces the configuration and waits for the first response that
// only the new one gives.
func saveToApplied(_ context.Context, _ *lab, p *proxy) ([]float64, error) {
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
	want := strconv.Itoa(p.generation)
	err := awaitBody(p.child, p.http, "/version", func(body string) bool { return body == want })
	return []float64{since(start)}, err
}
