package devproxy

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/service"
)

// TestServicePage is the page of a service in each of its states, and the response
// once it is ready. Its port accepts connections all the time.
func TestServicePage(t *testing.T) {
	d := newDevServer(t, "web")
	var state atomic.Pointer[service.State]
	state.Store(&service.State{Name: "web", Phase: service.Starting})
	s := serveWith(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", d.port()), Options{
		Service: func(port uint16) (service.State, bool) { return *state.Load(), port == uint16(d.port()) },
	})
	for _, c := range []struct {
		state       service.State
		want, never string
	}{
		{service.State{Name: "web", Phase: service.Starting}, "web is starting.", "The end of its output"},
		{service.State{Name: "web", Phase: service.Starting, Late: "GET / on port 3000 returns 404; expected 204"}, "GET / on port 3000 returns 404; expected 204.", "is starting"},
		{service.State{Name: "web", Phase: service.Starting, Late: "nothing listens", Output: []string{"Local: :3001"}}, "Local: :3001", "is starting"},
		{service.State{Name: "web", Phase: service.Waiting, WaitsFor: []string{"api", "db"}}, "web waits for api, db.", "Nothing is listening"},
		{service.State{Name: "web", Phase: service.Failed, Exit: service.Exit{Status: 3}, Output: []string{"cannot find module", "<script>"}}, "cannot find module\n&lt;script&gt;", "<script>\n"},
		{service.State{Name: "web", Phase: service.Failed, Exit: service.Exit{Status: 3}}, "web exited with status 3.", "connection refused"},
		{service.State{Name: "web", Phase: service.Failed}, "<code>devproxy restart web</code>", "starts it again"},
		{service.State{Name: "web", Phase: service.Failed, Next: time.Now().Add(time.Hour)}, "devproxy starts it again in 3", "devproxy restart"},
		{service.State{Name: "web", Phase: service.Failed, Exit: service.Exit{Error: "port 3000 is in use by node (pid 1)"}}, "web can&#39;t run: port 3000 is in use by node (pid 1).", "exited"},
	} {
		state.Store(&c.state)
		got := s.get(s.url("/"), "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", "text/html")
		if got.status != 503 || !strings.Contains(got.body, c.want) || strings.Contains(got.body, c.never) {
			t.Errorf("%+v: %d, want %q and not %q in\n%s", c.state, got.status, c.want, c.never, got.body)
		}
	}
	held := make(chan int, 1)
	go func() { held <- s.get(s.url("/")).status }()
	for s.InFlight() == 0 {
		time.Sleep(time.Millisecond)
	}
	state.Store(&service.State{Name: "web", Phase: service.Running})
	if status := <-held; status != 200 {
		t.Errorf("a held request: %d", status)
	}
}

// TestServiceNotReady: the terminal says what the service does, not which port is closed.
func TestServiceNotReady(t *testing.T) {
	refused := &service.NotReadyError{State: service.State{Name: "web", Phase: service.Failed, Exit: service.Exit{Error: "vite is not on PATH"}}}
	dial := &net.OpError{Op: "dial", Err: refused}
	got := forward.Unavailable{Attempts: []forward.Attempt{{Addr: "127.0.0.1:20000", Err: dial}, {Addr: "[::1]:20000", Err: dial}}}.String()
	if want := "web can't run: vite is not on PATH"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
