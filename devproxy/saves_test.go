package devproxy

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/hcl"
)

// The saves that nothing may notice: bars.md's numbers.
const (
	totalSaves = 200
	badEvery   = 4 // every fourth is bad: 50
	idleCount  = 20
)

// numbered is a Proxyfile in which everything that a request can see carries
// the number n: what devproxy answers, what it sends up, what it sends down,
// and which of two servers is asked.
func numbered(n int, a, b *devServer) string {
	server := []*devServer{a, b}[n%2]
	return fmt.Sprintf(`host "shop.localhost" {
  upstream = %d

  route "/fixed" {
    respond          = { status = 200, body = "%d" }
    response_headers = { X-Number = "%d" }
  }

  route "/echo" {
    request_headers  = { X-Number = "%d" }
    response_headers = { X-Number = "%d" }
  }

  route "/moves" {
    upstream         = %d
    response_headers = { X-Number = "%s /moves" }
  }
}
`, a.port(), n, n, n, n, server.port(), server.name)
}

// bad is numbered with a mistake: each kind in turn.
func bad(n int, a, b *devServer) (text string, line int) {
	text = numbered(n, a, b)
	switch n / badEvery % 3 {
	case 0:
		return strings.Replace(text, "upstream = ", "upstrem = ", 1), 2
	case 1:
		return strings.Replace(text, `"/echo" {`, `"/echo`, 1), 9
	default:
		return strings.Replace(text, `"/echo"`, `"/fixed"`, 1), 9
	}
}

// load is clients that loop until they are stopped.
type load struct {
	t       testing.TB
	site    *site
	ctx     context.Context
	stop    context.CancelFunc
	group   sync.WaitGroup
	answers atomic.Int64
	echoes  atomic.Int64
}

func startLoad(t testing.TB, s *site) *load {
	l := &load{t: t, site: s}
	l.ctx, l.stop = context.WithCancel(t.Context())
	for _, http2 := range []bool{false, true} {
		client := s.client(http2)
		for _, path := range []string{"/fixed", "/echo", "/moves"} {
			l.group.Go(func() { l.ask(client, path) })
		}
	}
	conn := s.open("/ws")
	l.group.Go(func() { l.talk(conn) })
	return l
}

// ask wants every response to have one number throughout.
func (l *load) ask(client *http.Client, path string) {
	for l.ctx.Err() == nil {
		// Not l.ctx: requests in progress must finish.
		got, err := get(context.Background(), client, l.site.url(path))
		if err != nil || got.status != 200 || got.body == "" || got.header.Get("X-Number") != got.body {
			l.t.Errorf("%s: %v, status %d, header %q, body %q", path, err, got.status, got.header.Get("X-Number"), got.body)
		}
		l.answers.Add(1)
	}
}

func (l *load) talk(conn *websocket.Conn) {
	for n := 0; l.ctx.Err() == nil; n++ {
		if err := echo(context.Background(), conn, fmt.Sprint(n)); err != nil {
			l.t.Errorf("the WebSocket after %d messages: %v", n, err)
			return
		}
		l.echoes.Add(1)
		time.Sleep(time.Millisecond) // leave the machine to the requests
	}
}

// end returns when every client has its last answer.
func (l *load) end() {
	l.stop()
	l.group.Wait()
}

// TestSavesUnderLoad saves 200 times, 50 of them with a mistake, while clients
// ask over HTTP/1.1 and HTTP/2, WebSockets are open and a download runs:
// nothing fails, nothing is closed, no answer mixes two saves.
func TestSavesUnderLoad(t *testing.T) {
	a, b := newDevServer(t, "a"), newDevServer(t, "b")
	s := serveFile(t, numbered(0, a, b))
	idle := make([]*websocket.Conn, idleCount)
	for i := range idle {
		idle[i] = s.open("/ws")
	}
	download, err := s.client(true).Get(s.url("/download"))
	if err != nil {
		t.Fatal(err)
	}
	defer download.Body.Close()
	checked := make(chan error, 1)
	go func() {
		_, err := checkDownload(download.Body)
		checked <- err
	}()
	l := startLoad(t, s)

	saveAll(t, s, a, b)

	l.end()
	close(a.finish)
	if err := <-checked; err != nil {
		t.Errorf("the download: %v", err)
	}
	for i, conn := range idle {
		if err := echo(t.Context(), conn, "still here"); err != nil {
			t.Errorf("WebSocket %d: %v", i, err)
		}
	}
	if got := s.get(s.url("/fixed")); got.body != fmt.Sprint(totalSaves-1) {
		t.Errorf("after the last save /fixed is %q", got.body)
	}
	t.Logf("%d answers, %d echoes", l.answers.Load(), l.echoes.Load())
	if l.answers.Load() < totalSaves || l.echoes.Load() < totalSaves {
		t.Errorf("%d answers, %d echoes: too few to prove anything", l.answers.Load(), l.echoes.Load())
	}
}

// saveAll saves and compares each outcome with the expected one.
func saveAll(t *testing.T, s *site, a, b *devServer) {
	generation := s.Generation()
	for n := 1; n < totalSaves; n++ {
		if n%badEvery == 0 {
			text, line := bad(n, a, b)
			checkRejected(t, s.save(text), line)
			continue
		}
		generation++
		applied := s.apply(numbered(n, a, b))
		// The idle ones, and the one that talks.
		if applied.Generation != generation || applied.Kept != idleCount+1 || applied.Dropped != 0 {
			t.Errorf("save %d: generation %d, want %d; kept %d, dropped %d", n, applied.Generation, generation, applied.Kept, applied.Dropped)
		}
	}
	text, line := bad(totalSaves, a, b)
	checkRejected(t, s.save(text), line)
}

func checkRejected(t *testing.T, save Save, line int) {
	t.Helper()
	if !save.Rejected() || save.Err != nil || len(save.Diagnostics) == 0 {
		t.Fatalf("applied %+v, error %v, diagnostics %v", save.Applied, save.Err, save.Diagnostics)
	}
	d := save.Diagnostics[0]
	if d.Severity != hcl.Error || d.Range.File != "Proxyfile" || d.Range.Start.Line != line {
		t.Errorf("%v, want an error in Proxyfile:%d", d, line)
	}
}
