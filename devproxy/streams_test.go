package devproxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// closeCode reads until the WebSocket ends and gives its close code; -1
// without a close frame.
func closeCode(t *testing.T, conn *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, _, err := conn.Read(ctx)
	return websocket.CloseStatus(err)
}

func (d *devServer) await(t *testing.T, what string) {
	t.Helper()
	select {
	case got := <-d.arrived:
		if got != what {
			t.Fatalf("the dev server saw %q, want %q", got, what)
		}
	case <-time.After(patience):
		t.Fatalf("the dev server never saw %q", what)
	}
}

// events opens an event stream and reads its first event.
func (s *site) events(path string, http2 bool) (*http.Response, *bufio.Reader, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	s.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url(path), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.client(http2).Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	in := bufio.NewReader(response.Body)
	line, err := in.ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	return response, in, line
}

const twoRoutes = `host "shop.localhost" {
  upstream = %d
  route "%s" { upstream = %d }
}
`

func TestWebSocketOfRemovedRouteGetsCloseFrame(t *testing.T) {
	a, b := newDevServer(t, "a"), newDevServer(t, "b")
	s := serveFile(t, fmt.Sprintf(twoRoutes, a.port(), "/gone", b.port()))
	kept, gone := s.open("/ws"), s.open("/gone")
	for _, conn := range []*websocket.Conn{kept, gone} {
		if err := echo(t.Context(), conn, "hello"); err != nil {
			t.Fatal(err)
		}
	}
	applied := s.apply(fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", a.port()))
	if applied.Kept != 1 || applied.Dropped != 1 {
		t.Errorf("kept %d, dropped %d, want 1 and 1", applied.Kept, applied.Dropped)
	}
	if code := closeCode(t, gone); code != websocket.StatusServiceRestart {
		t.Errorf("the WebSocket of the removed route ended with %d, want 1012", code)
	}
	b.await(t, "close 1001")
	if err := echo(t.Context(), kept, "still here"); err != nil {
		t.Errorf("the WebSocket of the other route: %v", err)
	}
}

// TestWebSocketStaysWhenHeadersChange changes all of a route but its upstream.
func TestWebSocketStaysWhenHeadersChange(t *testing.T) {
	a := newDevServer(t, "a")
	const text = "host \"shop.localhost\" {\n  upstream = %d\n  request_headers = { X = \"%s\" }\n}\n"
	s := serveFile(t, fmt.Sprintf(text, a.port(), "1"))
	conn := s.open("/ws")
	if applied := s.apply(fmt.Sprintf(text, a.port(), "2")); len(applied.Changes.Changed) != 1 || applied.Kept != 1 || applied.Dropped != 0 {
		t.Errorf("%+v, want one route changed and its socket kept", applied)
	}
	if err := echo(t.Context(), conn, "still here"); err != nil {
		t.Error(err)
	}
}

// TestEventStreamOfMovedRouteEnds re-targets a route: the stream has a clean
// end, upon which a browser asks again, and asking again reaches the new one.
func TestEventStreamOfMovedRouteEnds(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[http2], func(t *testing.T) {
			a, b := newDevServer(t, "a"), newDevServer(t, "b")
			s := serveFile(t, fmt.Sprintf(twoRoutes, a.port(), "/events", a.port()))
			_, in, first := s.events("/events", http2)
			if first != "data: a\n" || s.Streams() != 1 {
				t.Fatalf("first event %q, %d streams", first, s.Streams())
			}
			if applied := s.apply(fmt.Sprintf(twoRoutes, a.port(), "/events", b.port())); applied.Dropped != 1 {
				t.Errorf("dropped %d, want 1", applied.Dropped)
			}
			if rest, err := io.ReadAll(in); err != nil || string(rest) != "\n" {
				t.Errorf("the rest of the stream is %q, %v; want a clean end", rest, err)
			}
			if _, _, again := s.events("/events", http2); again != "data: b\n" {
				t.Errorf("after the save the first event is %q", again)
			}
		})
	}
}

// TestRequestInFlightFinishes re-targets, then removes, the route of a request
// that is waiting for its answer.
func TestRequestInFlightFinishes(t *testing.T) {
	for name, next := range map[string]string{
		"moved":   "host \"shop.localhost\" {\n  upstream = %[1]d\n  route \"/slow\" { respond = 204 }\n}\n",
		"removed": "host \"other.localhost\" { upstream = %[1]d }\n",
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newDevServer(t, "a"), newDevServer(t, "b")
			s := serveFile(t, fmt.Sprintf(twoRoutes, a.port(), "/slow", b.port()))
			answered := make(chan error, 1)
			go func() {
				got, err := get(context.Background(), s.client(true), s.url("/slow"))
				if err == nil && got.body != "b finished" {
					err = fmt.Errorf("status %d, body %q", got.status, got.body)
				}
				answered <- err
			}()
			b.await(t, "/slow")
			s.apply(fmt.Sprintf(next, a.port()))
			close(b.finish)
			if err := <-answered; err != nil {
				t.Error(err)
			}
		})
	}
}

// freePort is one that nothing listens on.
func freePort(t *testing.T) int {
	t.Helper()
	d := newDevServer(t, "")
	d.Close()
	return d.port()
}

// TestHeldRequestFollowsTheFile has a fetch wait for a port that was written
// wrong. The save that puts it right answers it.
func TestHeldRequestFollowsTheFile(t *testing.T) {
	for name, fixed := range map[string]string{
		"another port":   "host \"shop.localhost\" { upstream = %d }\n",
		"another answer": "host \"shop.localhost\" { respond = { status = 200, body = \"a /\" } } # not %d\n",
	} {
		t.Run(name, func(t *testing.T) {
			a := newDevServer(t, "a")
			s := serveFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %d\n  hold = \"1m\"\n}\n", freePort(t)))
			answered := make(chan error, 1)
			go func() {
				got, err := get(t.Context(), s.client(false), s.url("/"))
				if err == nil && (got.status != 200 || got.body != "a /") {
					err = fmt.Errorf("status %d, body %q", got.status, got.body)
				}
				answered <- err
			}()
			for s.InFlight() == 0 {
				time.Sleep(time.Millisecond)
			}
			s.apply(fmt.Sprintf(fixed, a.port()))
			select {
			case err := <-answered:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Fatal("the fetch still waits for the wrong port")
			}
			record := <-s.records
			if record.Generation != 2 {
				t.Errorf("recorded for generation %d, want 2: the one that answered", record.Generation)
			}
		})
	}
}

// busy reports whether an upstream still carries an exchange.
func (s *site) busy() bool {
	for _, u := range s.current.Load().upstreams {
		if !u.Idle() {
			return true
		}
	}
	return false
}

// TestStop ends a site as Ctrl-C does: streams are closed properly, the
// request in flight is answered, Run returns.
func TestStop(t *testing.T) {
	a := newDevServer(t, "a")
	s := serveFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", a.port()))
	conn := s.open("/ws")
	_, in, _ := s.events("/events", true)
	a.await(t, "/events")
	answered := make(chan error, 1)
	go func() {
		got, err := get(context.Background(), s.client(false), s.url("/slow"))
		if err == nil && got.body != "a finished" {
			err = fmt.Errorf("status %d, body %q", got.status, got.body)
		}
		answered <- err
	}()
	a.await(t, "/slow")
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()

	if code := closeCode(t, conn); code != websocket.StatusServiceRestart {
		t.Errorf("the WebSocket ended with %d, want 1012", code)
	}
	if _, err := io.ReadAll(in); err != nil {
		t.Errorf("the event stream: %v, want a clean end", err)
	}
	select {
	case err := <-stopped:
		t.Fatalf("Run returned (%v) with a request in flight", err)
	default:
	}
	close(a.finish)
	if err := <-answered; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	if s.busy() || s.Streams() != 0 {
		t.Errorf("Run returned with exchanges under way, %d streams", s.Streams())
	}
}

// TestStopSendsAwayWhatIsHeld has a fetch wait for a port that never opens: the
// end does not wait for its patience.
func TestStopSendsAwayWhatIsHeld(t *testing.T) {
	s := serveFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %d\n  hold = \"1h\"\n}\n", freePort(t)))
	answered := make(chan error, 1)
	go func() {
		got, err := get(context.Background(), s.client(false), s.url("/"))
		if err == nil && (got.status != 503 || !strings.HasPrefix(got.body, "devproxy is stopping.")) {
			err = fmt.Errorf("status %d, body %q", got.status, got.body)
		}
		answered <- err
	}()
	for s.InFlight() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := errors.Join(s.stop(), <-answered); err != nil {
		t.Error(err)
	}
}

// TestStopIsTheEndOfApply saves once more while devproxy ends: what came after
// the drain would never be drained.
func TestStopIsTheEndOfApply(t *testing.T) {
	s := serveFile(t, "host \"shop.localhost\" { respond = 204 }\n")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	p := planIn(t, folder, "host \"shop.localhost\" { respond = 200 }\n")
	if _, err := s.Apply(p); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply returned %v, want ErrClosed", err)
	}
}

// TestStopWaitsForCloseFrames has nothing but a WebSocket whose visitor is slow
// to read: the process may not end before its close frame was sent.
func TestStopWaitsForCloseFrames(t *testing.T) {
	a := newDevServer(t, "a")
	s := serveFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", a.port()))
	conn := s.open("/ws")
	if err := echo(t.Context(), conn, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if s.busy() {
		t.Error("Run returned with the WebSocket's exchange under way")
	}
	if code := closeCode(t, conn); code != websocket.StatusServiceRestart {
		t.Errorf("the WebSocket ended with %d, want 1012", code)
	}
}

// TestStopAfterRetire removes the route of a request in flight and stops: Run
// waits for the upstream that no plan names any more.
func TestStopAfterRetire(t *testing.T) {
	a, b := newDevServer(t, "a"), newDevServer(t, "b")
	s := serveFile(t, fmt.Sprintf(twoRoutes, a.port(), "/slow", b.port()))
	answered := make(chan error, 1)
	go func() {
		got, err := get(context.Background(), s.client(true), s.url("/slow"))
		if err == nil && got.body != "b finished" {
			err = fmt.Errorf("status %d, body %q", got.status, got.body)
		}
		answered <- err
	}()
	b.await(t, "/slow")
	s.apply(fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", a.port()))
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	close(b.finish)
	if err := errors.Join(<-answered, <-stopped); err != nil {
		t.Error(err)
	}
}

// TestCloseCutsOff has Close end what Run waits for.
func TestCloseCutsOff(t *testing.T) {
	a := newDevServer(t, "a")
	s := serveFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", a.port()))
	answered := make(chan error, 1)
	go func() {
		_, err := get(context.Background(), s.client(false), s.url("/slow"))
		answered <- err
	}()
	a.await(t, "/slow")
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	s.Close()
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("the request that was cut off looks whole")
	}
}
