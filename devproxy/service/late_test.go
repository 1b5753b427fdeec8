package service

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLate is what is said about each service that does not become ready.
func TestLate(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	answers := uint16(server.Listener.Addr().(*net.TCPAddr).Port)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silentPort := uint16(silent.Addr().(*net.TCPAddr).Port)
	silent.Close() // it may be a service that speaks no HTTP, and need not be there for this
	free := freePort(t, "late")
	asked := "which the command gets as {port} and in PORT"
	for name, c := range map[string]struct {
		spec    Spec
		printed string
		ports   []uint16
		want    string
	}{
		"no line matches":    {Spec{Port: free, Ready: Ready{Log: "ready in"}}, "VITE v7\n  Local: http://localhost\n\n", nil, `no line of its output contains "ready in"; the last line:   Local: http://localhost`},
		"nothing printed":    {Spec{Ready: Ready{Log: "ready in"}}, "", nil, `no line of its output contains "ready in"; it has printed nothing`},
		"a long line":        {Spec{Ready: Ready{Log: "ready in"}}, strings.Repeat("ä", 500), nil, `no line of its output contains "ready in"; the last line: ` + strings.Repeat("ä", maxLastLine) + "…"},
		"another status":     {Spec{Port: answers, Ready: Ready{Path: "/up"}}, "", nil, fmt.Sprintf("GET /up on port %d returns 404; expected 200 to 399", answers)},
		"not that status":    {Spec{Port: answers, Ready: Ready{Path: "/", Status: 204}}, "", nil, fmt.Sprintf("GET / on port %d returns 404; expected 204", answers)},
		"a status elsewhere": {Spec{Port: free, Ready: Ready{Path: "/up"}}, "", []uint16{answers}, fmt.Sprintf("GET /up on port %d returns 404; expected 200 to 399", answers)},
		"no port":            {Spec{Port: free}, "", nil, fmt.Sprintf("nothing listens on port %d, %s", free, asked)},
		"another port":       {Spec{Port: free}, "", []uint16{silentPort}, fmt.Sprintf("it listens on port %d instead of %d, %s", silentPort, free, asked)},
		"not on loopback":    {Spec{Port: free}, "", []uint16{free}, fmt.Sprintf("it listens on port %d, but not on 127.0.0.1 or [::1]", free)},
	} {
		out := newOutput(c.spec, &tail{}, nil)
		_, _ = out.Write([]byte(c.printed + "\n"))
		a := awaiting{spec: c.spec, ports: func() []uint16 { return c.ports }, client: newClient(), out: out}
		ctx, cancel := context.WithCancel(t.Context())
		got := ""
		if _, ok := a.run(ctx, 1, func(why string) { got = why; cancel() }); ok || got != c.want {
			t.Errorf("%s: %v, %q, want %q", name, ok, got, c.want)
		}
		cancel()
	}
}

// TestLateIsRepeated says it again after growing pauses, and no longer once the service
// is ready.
func TestLateIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		spec := Spec{Ready: Ready{Log: "up"}}
		out := newOutput(spec, &tail{}, nil)
		a := awaiting{spec: spec, out: out}
		began, at := time.Now(), []time.Duration{}
		time.AfterFunc(4*time.Minute, func() { _, _ = out.Write([]byte("up\n")) })
		_, ok := a.run(t.Context(), lateAfter, func(string) { at = append(at, time.Since(began)) })
		if got := fmt.Sprint(at); !ok || got != "[10s 30s 1m10s 2m10s 3m10s]" {
			t.Error(ok, got)
		}
	})
}

// TestLateState has the reason, and the output, in the state until the service is ready.
func TestLateState(t *testing.T) {
	t.Parallel()
	f, j := newFakeSystem(), newJournal(t)
	sys := f.system()
	await := sys.await
	sys.await = func(ctx context.Context, spec Spec, r running, out *output, late func(string)) (uint16, bool) {
		_, _ = out.Write([]byte("hello\n"))
		late("no line")
		return await(ctx, spec, r, out, late)
	}
	r := newRunner(j.options(), sys)
	defer r.Close(context.Background())
	r.Apply([]Spec{named("web")})
	s := j.until("late", func(s State) bool { return s.Late != "" })
	if s.Phase != Starting || s.String() != "web is not ready: no line" || len(s.Output) != 1 {
		t.Errorf("%+v", s)
	}
	f.mu.Lock()
	close(f.commands["web"].ready)
	f.mu.Unlock()
	if s := j.until("ready", in("web", Running)); s.Late != "" || s.Output != nil {
		t.Errorf("%+v", s)
	}
}
