package forward

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// TestAccounting: whatever requests, dials and connections come to, the counters
// of connections equal what is open, and nothing stays in a list.
func TestAccounting(t *testing.T) {
	log.SetOutput(io.Discard) // net/http reports what comes unasked
	defer log.SetOutput(os.Stderr)
	secure := testTLS(t)
	for seed := range uint64(24) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { accountFor(t, seed, secure) })
		})
	}
}

func accountFor(t *testing.T, seed uint64, secure *tls.Config) {
	w := &erratic{rand: rand.New(rand.NewPCG(seed, 0)), threads: make(chan struct{}, []int{1, 2, 4, 1000}[seed%4]), patient: seed%8 < 4}
	member := plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{"127.0.0.1:1"}, Text: ":erratic"}
	if seed%3 == 2 {
		member.Scheme, member.SkipVerify, member.ServerName = plan.SchemeHTTPS, true, "localhost"
		w.secure = secure
	}
	spec := &plan.Upstream{Members: []plan.Member{member}}
	u := New(spec, Options{Dial: w.dial})
	route := &plan.Route{ID: "shop.localhost /", Path: "/", Answer: spec, Hold: time.Second, Timeout: 3 * time.Second}
	conns := &u.members.shared[0].conns

	var group sync.WaitGroup
	for range 40 {
		for range w.intn(12) {
			method := []string{"GET", "GET", "GET", "GET", "PUT", "POST"}[w.intn(6)]
			target := "/" + w.fate()
			ctx, cancel := context.WithCancel(context.Background())
			if w.intn(5) == 0 {
				time.AfterFunc(w.pause(), cancel)
			}
			var body io.Reader
			if method != "GET" {
				body = strings.NewReader("data")
			}
			r := httptest.NewRequestWithContext(ctx, method, target, body)
			if w.intn(20) == 0 {
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", "websocket")
			}
			x := Exchange{Match: plan.Match{Route: route}, Target: target, Scheme: "https"}
			if w.intn(10) == 0 {
				x.Client = "visitor" + fmt.Sprint(w.intn(3))
				r.Header.Set("Authorization", "NTLM abc")
			}
			group.Go(func() {
				defer cancel()
				_ = u.Forward(httptest.NewRecorder(), r, x)
			})
		}
		time.Sleep(w.pause())
		synctest.Wait()
		conns.examine(t, w, false)
	}
	group.Wait()
	time.Sleep(2 * maxPatience) // until spare connections are closed
	synctest.Wait()
	conns.examine(t, w, true)
	conns.mu.Lock()
	for name, n := range map[string]int{
		"queued": len(conns.queued), "opening": len(conns.opening),
		"spare": len(conns.spare), "waiting": len(conns.waiting), "closers": len(conns.closers),
	} {
		if n != 0 {
			t.Errorf("no request is under way, and %s has %d", name, n)
		}
	}
	conns.mu.Unlock()
	if n, served := w.open.Load(), w.served.Load(); n > maxIdle || served == 0 {
		t.Errorf("%d connections are open after %d answers", n, served)
	}
	u.Retire()
	if err := u.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	time.Sleep(2 * idleTimeout) // spare connections under TLS are net/http's alone
	synctest.Wait()
	conns.mu.Lock()
	if conns.open != 0 || conns.accepted != 0 || conns.slow != 0 || w.open.Load() != 0 || len(conns.idle) != 0 || len(conns.spare) != 0 {
		t.Errorf("after the end %d are counted, %d accepted, %d slow, and %d are open", conns.open, conns.accepted, conns.slow, w.open.Load())
	}
	conns.mu.Unlock()
	w.group.Wait()
}

// examine checks what holds whenever all goroutines wait, and what holds when no
// request is under way.
func (s *connections) examine(t *testing.T, w *erratic, idle bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	// A connection is counted when it is known to stay open (acceptance).
	if open := int(w.open.Load()); s.open > open || idle && s.open < open {
		t.Errorf("%d connections are counted, %d are open", s.open, open)
	}
	if s.accepted < 0 || s.accepted > s.open || s.slow < 0 || s.slow > s.accepted || s.capacity < 0 || s.streams < 0 || s.streams > s.open {
		t.Errorf("%d of %d connections are accepted, at most %d", s.accepted, s.open, s.capacity)
	}
	for _, q := range []queue[*dialling]{s.queued, s.opening} {
		for i, d := range q {
			if slices.Contains(q[i+1:], d) || d.unneeded || d.turn == nil {
				t.Errorf("a dialling is listed twice or without need; unneeded %t", d.unneeded)
			}
		}
	}
	for _, d := range s.queued {
		if !d.since.IsZero() || slices.Contains(s.opening, d) {
			t.Error("a dialling is queued and has begun")
		}
	}
	if !slices.IsSortedFunc(s.opening, func(a, b *dialling) int { return a.since.Compare(b.since) }) {
		t.Error("the connections are not in the order in which they began")
	}
	for _, q := range []*queue[*watchedConn]{&s.idle, &s.spare} {
		for i, c := range *q {
			c.mu.Lock()
			closed, used := c.closed, c.used
			c.mu.Unlock()
			if c.list != q || slices.Contains((*q)[i+1:], c) || !c.counted || c.private && c.answered || closed || used ||
				c.answered != (q == &s.idle) || slices.Contains(s.opening, c.dialling) {
				t.Errorf("idle: counted %t, private %t, closed %t, used %t, answered %t", c.counted, c.private, closed, used, c.answered)
			}
		}
	}
	claims := slices.Concat(s.waiting, s.closers)
	for i, cl := range claims {
		if slices.Contains(claims[i+1:], cl) {
			t.Error("a claim waits twice")
		}
	}
	for _, cl := range s.closers {
		if cl.closed.IsZero() || cl.due.IsZero() {
			t.Error("a claim has closed nothing")
		}
	}
	waits := len(s.queued)+len(s.spare) > 0 || len(s.waiting)+len(s.closers) > 0 && len(s.idle) > 0
	if waits && !s.sharesQueuedLocked() && (s.timerAt.IsZero() || s.timerAt.Before(time.Now())) {
		t.Errorf("no timer runs: queued %d, spare %d, waiting %d, closers %d, idle %d", len(s.queued), len(s.spare), len(s.waiting), len(s.closers), len(s.idle))
	}
}

// erratic is a server of few threads that fails in every way, and counts the
// connections to it that are not closed on this side.
type erratic struct {
	mu      sync.Mutex
	rand    *rand.Rand
	threads chan struct{}
	secure  *tls.Config // nil without TLS
	patient bool        // closes no idle connection
	open    atomic.Int64
	served  atomic.Int64
	group   sync.WaitGroup
}

func (w *erratic) intn(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

func (w *erratic) pause() time.Duration {
	return time.Duration(w.intn(1<<w.intn(9))) * time.Millisecond
}

func (w *erratic) fate() string {
	fates := []string{"", "", "", "", "", "", "", "close", "lose", "slow", "slow", "silent", "garbage", "excess", "cut", "sulk"}
	return fates[w.intn(len(fates))]
}

func (w *erratic) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	if w.intn(4) == 0 {
		select {
		case <-time.After(w.pause()):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch w.intn(40) {
	case 0:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case 1:
		return nil, errors.New("no route")
	}
	ours, theirs := net.Pipe()
	w.open.Add(1)
	fault := w.intn(40)
	w.group.Go(func() {
		defer theirs.Close()
		if fault == 0 {
			return
		}
		w.threads <- struct{}{}
		defer func() { <-w.threads }()
		w.serve(theirs, fault)
	})
	return &tallied{Conn: ours, open: &w.open}, nil
}

func (w *erratic) serve(c net.Conn, fault int) {
	if w.secure != nil {
		if fault == 1 {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			return
		}
		s := tls.Server(c, w.secure)
		_ = s.SetDeadline(time.Now().Add(time.Second))
		if s.Handshake() != nil {
			return
		}
		c = s
	}
	r := bufio.NewReader(c)
	for {
		keep := w.pause() + 50*time.Millisecond
		if w.patient {
			keep = time.Hour
		}
		_ = c.SetDeadline(time.Now().Add(keep))
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		fate := strings.TrimPrefix(req.URL.Path, "/")
		if fate == "lose" {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		switch fate {
		case "slow":
			time.Sleep(w.pause())
		case "silent":
			_, _ = io.Copy(io.Discard, r)
			return
		case "garbage":
			_, _ = io.WriteString(c, "nonsense\r\n\r\n")
			return
		case "cut":
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
			return
		}
		answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		switch {
		case fate == "close" || req.Close:
			answer = strings.Replace(answer, "\r\n", "\r\nConnection: close\r\n", 1)
		case fate == "excess":
			answer += "more"
		}
		w.served.Add(1)
		if _, err := io.WriteString(c, answer); err != nil || fate == "close" || fate == "sulk" || req.Close {
			return
		}
	}
}

// tallied takes itself from open when it is closed.
type tallied struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

// Close closes the connection.
func (c *tallied) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
