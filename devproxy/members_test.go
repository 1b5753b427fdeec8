package devproxy

import (
	"context"
	"fmt"
	"testing"

	"github.com/coder/websocket"
)

// TestSavesKeepSocketsOfMembersThatStay: a socket goes on as long as its member is
// among those of its route, however the file writes that.
func TestSavesKeepSocketsOfMembersThatStay(t *testing.T) {
	web, other := newDevServer(t, "web"), newDevServer(t, "other")
	file := func(upstream string) string {
		return fmt.Sprintf("host \"shop.localhost\" { upstream = service.web }\nservice \"web\" {\n  %s\n}\n", upstream)
	}
	s := serveFile(t, file(fmt.Sprintf("upstream = %d", web.port())))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	socket := s.open("/ws")
	for _, upstream := range []string{
		fmt.Sprintf("upstream = \"127.0.0.1:%d\"", web.port()),
		fmt.Sprintf("upstream = [%d, %d]", web.port(), other.port()),
		fmt.Sprintf("upstream = [%d, %d]\n  balance = \"least_conn\"", other.port(), web.port()),
		fmt.Sprintf("upstream = \"http://localhost:%d\"", web.port()),
		fmt.Sprintf("upstream = %d\n  health = { path = \"/\" }", web.port()),
		fmt.Sprintf("upstream = %d\n  fallback = %d", other.port(), web.port()),
	} {
		applied := s.apply(file(upstream))
		if applied.Kept != 1 || applied.Dropped != 0 || s.Streams() != 1 {
			t.Errorf("%s: kept %d, dropped %d, open %d", upstream, applied.Kept, applied.Dropped, s.Streams())
		}
		if err := echo(ctx, socket, upstream); err != nil {
			t.Fatalf("%s: %v", upstream, err)
		}
	}
	applied := s.apply(file(fmt.Sprintf("upstream = %d", other.port())))
	if applied.Kept != 0 || applied.Dropped != 1 {
		t.Errorf("the member is gone: kept %d, dropped %d", applied.Kept, applied.Dropped)
	}
	if _, _, err := socket.Read(ctx); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("the socket ends with %v", err)
	}
	// A socket of an upstream that no plan has any more ends with devproxy.
	socket = s.open("/ws")
	s.apply(file(fmt.Sprintf("upstream = [%d, %d]", web.port(), other.port())))
	go func() { _, _, _ = socket.Read(ctx) }() // answers the close frame
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}
