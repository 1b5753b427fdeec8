package devproxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// planIn is the plan of a Proxyfile in folder.
func planIn(t *testing.T, folder, text string) *plan.Plan {
	t.Helper()
	path := filepath.Join(folder, "Proxyfile")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	file, diags, err := hcl.Load(path, hcl.Options{WorkDir: folder})
	if err != nil || diags.HasErrors() {
		t.Fatal(err, diags)
	}
	built, diags := plan.Build(file, plan.Env{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return built
}

// newServer is closed when the test has ended.
func newServer(t *testing.T) *Server {
	s := New(Options{})
	s.SetListening(Listening{HTTPSPort: 443, ServePlain: true})
	t.Cleanup(s.Close)
	return s
}

// status asks s for the root of host.
func status(s *Server, host string) int {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://"+host+"/", nil))
	return w.Code
}

func mustApply(t *testing.T, s *Server, folder, text string) Applied {
	t.Helper()
	applied, err := s.Apply(planIn(t, folder, text))
	if err != nil {
		t.Fatal(err)
	}
	return applied
}

func TestApplyOfAnEqualPlanChangesNothing(t *testing.T) {
	s, folder := newServer(t), t.TempDir()
	if s.Generation() != 0 || status(s, "shop.localhost") != 404 {
		t.Errorf("a new server: generation %d, status %d", s.Generation(), status(s, "shop.localhost"))
	}
	const text = `host "shop.localhost" { respond = 204 }`
	if first := mustApply(t, s, folder, text); first.Generation != 1 || len(first.Changes.Added) != 1 {
		t.Errorf("first %+v", first)
	}
	for _, same := range []string{text, "# moved down\n\n" + text} {
		if again := mustApply(t, s, folder, same); again.Generation != 1 || !again.Changes.Empty() {
			t.Errorf("again %+v", again)
		}
	}
	if line := s.Hosts(t.Context())[0].Line; line != 3 {
		t.Errorf("the host is said to be in line %d, want where it is now", line)
	}
	if next := mustApply(t, s, folder, `host "shop.localhost" { respond = 200 }`); next.Generation != 2 || len(next.Changes.Changed) != 1 {
		t.Errorf("next %+v", next)
	}
	if got := status(s, "shop.localhost"); got != 200 {
		t.Errorf("status %d", got)
	}
}

func TestApplyAfterClose(t *testing.T) {
	s, folder := newServer(t), t.TempDir()
	mustApply(t, s, folder, `host "one.localhost" { respond = 200 }`)
	s.Close()
	if _, err := s.Apply(planIn(t, folder, `host "one.localhost" { respond = 204 }`)); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply: %v", err)
	}
}

// TestSavesKeepSocketsOfMembersThatStay: a socket continues as long as its
// member is among those of its route, however the file writes that.
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
