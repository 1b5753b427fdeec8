//go:build e2e && unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// The saves that nothing may notice.
const (
	totalSaves = 200
	badEvery   = 4   // every fourth is bad: 50
	openSocket = 100 // WebSockets, idle
)

// savesServer is the upstream of the saves. It sends its name with every
// response.
type savesServer struct {
	*httptest.Server
	name    string
	finish  chan struct{} // closed: answers that wait come to their end
	waiting chan struct{} // one for each request of /slow
}

func newSavesServer(t *testing.T, name string) *savesServer {
	s := &savesServer{name: name, finish: make(chan struct{}), waiting: make(chan struct{}, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("/moves", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) })
	mux.HandleFunc("/echo", s.echo)
	mux.HandleFunc("/ws", echoMessages)
	mux.HandleFunc("/gone", echoMessages)
	mux.HandleFunc("/events", s.events)
	mux.HandleFunc("/slow", s.slow)
	mux.HandleFunc("/download", s.download)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *savesServer) port(t *testing.T) int {
	t.Helper()
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// echoTime is the duration of a response of /echo: long enough for a save to
// come between its request and its answer.
const echoTime = 20 * time.Millisecond

func (s *savesServer) echo(w http.ResponseWriter, r *http.Request) {
	time.Sleep(echoTime)
	fmt.Fprint(w, r.Header.Get("X-Number"))
}

func (s *savesServer) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, "data: %s\n\n", s.name)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// slow answers when finish is closed.
func (s *savesServer) slow(w http.ResponseWriter, r *http.Request) {
	s.waiting <- struct{}{}
	select {
	case <-s.finish:
		fmt.Fprint(w, s.name)
	case <-r.Context().Done():
	}
}

// download sends numbered pieces until finish is closed.
func (s *savesServer) download(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-s.finish:
			fmt.Fprintf(w, "end %d\n", n)
			return
		case <-r.Context().Done():
			return
		case <-tick.C:
			fmt.Fprintf(w, "%d\n", n)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// readDownload wants every piece of a download, and its end.
func readDownload(from io.Reader) error {
	lines := bufio.NewScanner(from)
	for n := 0; lines.Scan(); n++ {
		switch lines.Text() {
		case strconv.Itoa(n):
		case fmt.Sprintf("end %d", n):
			return lines.Err()
		default:
			return fmt.Errorf("piece %d is %q", n, lines.Text())
		}
	}
	return fmt.Errorf("the download broke off: %w", errors.Join(io.ErrUnexpectedEOF, lines.Err()))
}

// saves is a running `up` whose Proxyfile is saved again and again.
type saves struct {
	*upProcess
	a, b       *savesServer
	generation uint64

	ctx     context.Context
	stop    context.CancelFunc
	group   sync.WaitGroup
	answers atomic.Int64
	echoes  atomic.Int64
}

// proxyfile is one in which everything that a request can see carries the
// number n: devproxy's own responses, the header fields in both directions, and
// which of two servers gets the requests. more goes into the host.
func (s *saves) proxyfile(n int, more string) string {
	server := []*savesServer{s.a, s.b}[n%2]
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
    response_headers = { X-Number = "%s" }
  }
%s}
`, s.a.port(s.t), n, n, n, n, server.port(s.t), server.name, more)
}

// leaving are the routes that the last save takes away or moves.
func (s *saves) leaving(moved *savesServer) string {
	return fmt.Sprintf("  route \"/events\" { upstream = %d }\n", moved.port(s.t))
}

// good saves number n, which must be applied without a socket closed.
func (s *saves) good(n, sockets int, more string) {
	s.save("Proxyfile", s.proxyfile(n, more))
	e := s.await("applied")
	s.generation++
	if e.Generation != s.generation || e.Kept != sockets || e.Dropped != 0 || len(e.Changed) < 2 {
		s.t.Errorf("save %d, generation %d, %d sockets: %s", n, s.generation, sockets, e.Line)
	}
}

// bad saves number n with one mistake of three, which must be shown with its
// line.
func (s *saves) bad(n int, more string) {
	text, line := s.proxyfile(n, more), 9
	switch n / badEvery % 3 {
	case 0:
		text, line = strings.Replace(text, "upstream = ", "upstrem = ", 1), 2
	case 1:
		text = strings.Replace(text, `"/echo" {`, `"/echo`, 1)
	default:
		text = strings.Replace(text, `"/echo"`, `"/fixed"`, 1)
	}
	s.save("Proxyfile", text)
	e := s.await("rejected")
	at := func(d savedWrong) bool { return d.File == "Proxyfile" && d.Line == line && d.Severity == "error" }
	if !slices.ContainsFunc(e.Diagnostics, at) {
		s.t.Errorf("save %d has its mistake in Proxyfile:%d: %s", n, line, e.Line)
	}
}

// ask loops, and wants every answer to be of one number throughout.
func (s *saves) ask(client *http.Client, path string) {
	for s.ctx.Err() == nil {
		if err := s.askOnce(client, path); err != nil {
			s.t.Errorf("%s: %v", path, err)
		}
		s.answers.Add(1)
	}
}

func (s *saves) askOnce(client *http.Client, path string) error {
	response, err := client.Get(s.url("shop.localhost", path))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if number := response.Header.Get("X-Number"); response.StatusCode != 200 || len(body) == 0 || number != string(body) {
		return errors.Join(err, fmt.Errorf("status %d, X-Number %q, body %q", response.StatusCode, number, body))
	}
	return err
}

// talk keeps a WebSocket busy.
func (s *saves) talk(conn *websocket.Conn) {
	for n := 0; s.ctx.Err() == nil; n++ {
		if err := echoed(conn, strconv.Itoa(n)); err != nil {
			s.t.Errorf("the WebSocket after %d messages: %v", n, err)
			return
		}
		s.echoes.Add(1)
		time.Sleep(time.Millisecond) // leave the machine to the requests
	}
}

// echoed sends text and wants it back.
func echoed(conn *websocket.Conn, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return err
	}
	_, got, err := conn.Read(ctx)
	if err == nil && string(got) != text {
		err = fmt.Errorf("sent %q, got %q", text, got)
	}
	return err
}

func (s *saves) open(path string) *websocket.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, s.url("shop.localhost", path), &websocket.DialOptions{HTTPClient: s.client("h1")})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func (s *saves) get(protocol, path string) *http.Response {
	s.t.Helper()
	response, err := s.client(protocol).Get(s.url("shop.localhost", path))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	return response
}

// soakTime is how long saves go on; 0 for one round of them. `make soak`
// sets it.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAK")
	if text == "" {
		return 0
	}
	limit, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SOAK: %v; write 10m", err)
	}
	return limit
}

// TestE2ESaves saves 200 times, 50 of them with a mistake, while clients ask
// over HTTP/1.1 and HTTP/2, WebSockets are open and a download runs: nothing
// fails, nothing is closed, no answer mixes two saves. At last routes go: their
// sockets are told, their requests finish.
func TestE2ESaves(t *testing.T) {
	s := &saves{a: newSavesServer(t, "a"), b: newSavesServer(t, "b"), generation: 1}
	s.upProcess = &upProcess{t: t} // for proxyfile, before there is one
	more := s.leaving(s.a) + fmt.Sprintf("  route \"/gone\" { upstream = %d }\n", s.b.port(t))
	s.upProcess = startUp(t, projectDir(t, s.proxyfile(0, more)))
	s.ctx, s.stop = context.WithCancel(t.Context())
	defer s.stop()

	idle := make([]*websocket.Conn, openSocket)
	for i := range idle {
		idle[i] = s.open("/ws")
	}
	downloaded := make(chan error, 1)
	download := s.get("h2", "/download")
	go func() { downloaded <- readDownload(download.Body) }()
	for _, protocol := range []string{"h1", "h2"} {
		client := s.client(protocol)
		for _, path := range []string{"/fixed", "/echo", "/moves"} {
			s.group.Go(func() { s.ask(client, path) })
		}
	}
	talking := s.open("/ws")
	s.group.Go(func() { s.talk(talking) })

	last := s.saveFor(soakTime(t), more)
	s.stop()
	s.group.Wait()
	for i, conn := range idle {
		if err := echoed(conn, "still here"); err != nil {
			t.Errorf("WebSocket %d: %v", i, err)
		}
	}
	s.takeAway(last+1, len(idle)+1)
	if err := <-downloaded; err != nil {
		t.Error(err)
	}
	t.Logf("%d saves, %d answers, %d echoes", last, s.answers.Load(), s.echoes.Load())
	if s.answers.Load() < totalSaves || s.echoes.Load() < totalSaves {
		t.Error("too little happened meanwhile to prove anything")
	}
}

// saveFor saves totalSaves times, and again until limit has passed, and returns
// the last number.
func (s *saves) saveFor(limit time.Duration, more string) int {
	start, n := time.Now(), 0
	for round := 0; round == 0 || time.Since(start) < limit; round++ {
		for range totalSaves {
			n++
			if n%badEvery == 0 {
				s.bad(n, more)
			} else {
				s.good(n, openSocket+1, more)
			}
		}
	}
	return n
}

// takeAway saves a file that lacks /gone and has /events elsewhere.
func (s *saves) takeAway(n, kept int) {
	gone, events := s.open("/gone"), s.get("h2", "/events")
	in := bufio.NewReader(events.Body)
	if line, err := in.ReadString('\n'); err != nil || line != "data: a\n" {
		s.t.Fatalf("the first event is %q, %v", line, err)
	}
	answered := make(chan error, 1)
	go func() {
		response, err := s.client("h1").Get(s.url("shop.localhost", "/slow"))
		if err == nil {
			response.Body.Close()
		}
		answered <- err
	}()
	<-s.a.waiting

	s.save("Proxyfile", s.proxyfile(n, s.leaving(s.b)))
	if e := s.await("applied"); e.Kept != kept || e.Dropped != 2 {
		s.t.Errorf("want %d kept, 2 dropped: %s", kept, e.Line)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if _, _, err := gone.Read(ctx); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		s.t.Errorf("the WebSocket of the removed route: %v, want close code 1012", err)
	}
	if rest, err := io.ReadAll(in); err != nil || string(rest) != "\n" {
		s.t.Errorf("the event stream of the moved route ends with %q, %v; want a clean end", rest, err)
	}
	close(s.a.finish)
	if err := <-answered; err != nil {
		s.t.Errorf("the request in flight: %v", err)
	}
}
