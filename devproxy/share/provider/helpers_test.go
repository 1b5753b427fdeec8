package provider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/crypto/ssh"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// needTool is the path of a program; without it the test is skipped, or failed
// where CI promises that everything is there.
func needTool(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, filepath.Join("/usr/sbin", name)} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; make deps installs it", name)
	}
	t.Skipf("%s is missing; make deps installs it", name)
	return ""
}

// patience limits the waits of a test, which usually take milliseconds.
const patience = 30 * time.Second

// testShare is a share through an SSH server, until the test ends.
type testShare struct {
	t      testing.TB
	home   string // $DEVPROXY_HOME
	user   string // the user's home directory
	states chan agent.State
	result chan error

	mu    sync.Mutex
	notes []string
}

// shareOptions are the parts of a share except the server.
type shareOptions struct {
	times func(*sshTimes)
	env   map[string]string
	hosts []string
}

// newShare is a share that has not begun.
func newShare(t testing.TB) *testShare {
	s := &testShare{t: t, home: t.TempDir(), user: t.TempDir(), states: make(chan agent.State, 1000), result: make(chan error, 1)}
	if err := os.Mkdir(filepath.Join(s.user, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	return s
}

// carrier is that of a server.
func (s *testShare) carrier(server *sshServer, o shareOptions) Carrier {
	p := sshProvider(server)
	p.opener = func(opts Options) (opener, error) {
		opener := newSSHOpener(server, opts)
		if o.times != nil {
			o.times(&opener.times)
		}
		return opener, nil
	}
	if o.hosts == nil {
		o.hosts = []string{""}
	}
	return p.New(Options{
		Claim: tunnel.Claim{Hosts: o.hosts}, Home: s.home,
		Getenv: func(name string) string {
			if name == "HOME" {
				return s.user
			}
			return o.env[name]
		},
		Notify: func(state agent.State) { s.states <- state },
		Note: func(text string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.notes = append(s.notes, text)
		},
	})
}

// start shares the application of the tests through a server.
func (s *testShare) start(server *sshServer, o shareOptions) {
	s.t.Helper()
	c := s.carrier(server, o)
	app := &http.Server{Handler: application(), ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, visitorKey{}, conn.(*Conn).Visitor)
	}}
	served := make(chan error, 1)
	go func() { served <- app.Serve(c) }()
	go func() { s.result <- c.Run(context.Background()) }()
	s.t.Cleanup(func() {
		app.Close()
		c.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.t.Errorf("serving ended with %v", err)
		}
	})
}

// wait waits for a state of the share.
func (s *testShare) wait(is func(agent.State) bool) agent.State {
	s.t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	var last agent.State
	for {
		select {
		case last = <-s.states:
			if is(last) {
				return last
			}
		case err := <-s.result:
			s.t.Fatalf("the share ended with %v", err)
		case <-timeout.C:
			s.t.Fatalf("the share did not come so far; its state is %+v", last)
		}
	}
}

func isUp(s agent.State) bool      { return s.Phase == agent.Up }
func isWaiting(s agent.State) bool { return s.Phase == agent.Waiting }

// fails waits for the end of the share.
func (s *testShare) fails(reason agent.Reason, texts ...string) *agent.Error {
	s.t.Helper()
	select {
	case err := <-s.result:
		return wantError(s.t, err, reason, texts...)
	case <-time.After(patience):
		s.t.Fatal("the share did not end")
	}
	return nil
}

// wantError checks an error: its reason, that its text and fix have all texts, and
// that both can be printed.
func wantError(t testing.TB, err error, reason agent.Reason, texts ...string) *agent.Error {
	t.Helper()
	var e *agent.Error
	if !errors.As(err, &e) || e.Reason != reason || e.Fix == "" {
		t.Fatalf("the error is %#v, want %s with a fix", err, reason)
	}
	all := e.Error() + "\n" + e.Fix
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%q does not say %q", all, text)
		}
	}
	if strings.ContainsFunc(all, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
		t.Errorf("%q has control characters", all)
	}
	return e
}

func (s *testShare) noted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes
}

type visitorKey struct{}

// application answers a page, event streams, uploads and WebSockets.
func application() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		visitor := r.Context().Value(visitorKey{}).(tunnel.Visitor)
		fmt.Fprintf(w, "page of %s for %s from %v", visitor.Host, visitor.Scheme, visitor.Addr)
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // it ends when the visitor leaves
	})
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		hash := sha256.New()
		n, err := io.Copy(hash, r.Body)
		fmt.Fprintf(w, "%d %s %v", n, hex.EncodeToString(hash.Sum(nil)), err)
	})
	mux.HandleFunc("GET /download/{n}", func(w http.ResponseWriter, r *http.Request) {
		var n int64
		_, _ = fmt.Sscan(r.PathValue("n"), &n)
		_, _ = io.CopyN(w, zeros{}, n)
	})
	mux.HandleFunc("GET /socket", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if c.Write(r.Context(), kind, append([]byte("echo "), message...)) != nil {
				return
			}
		}
	})
	return mux
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

func fingerprintOf(f *fakeSSH) string { return ssh.FingerprintSHA256(f.key.PublicKey()) }
