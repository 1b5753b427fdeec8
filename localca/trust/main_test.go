package trust

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/devproxy/devproxy/devproxy/programs"
	"github.com/devproxy/devproxy/localca"
)

// fixture is a CA, a home of its own, and the machine that the stores see:
// this one's programs, and nothing of its user's.
type fixture struct {
	t       *testing.T
	ca      *localca.CA
	machine Machine
	env     map[string]string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, ca: newCA(t), env: map[string]string{}}
	f.machine = Here(programs.Here())
	// Tests change PATH later.
	f.machine.Find = func(program string) (string, error) { return programs.Here().Find(program) }
	f.machine.Run = func(ctx context.Context, argv ...string) ([]byte, error) { return run(ctx, programs.Here(), argv) }
	f.machine.Home = t.TempDir()
	f.machine.Getenv = func(name string) string { return f.env[name] }
	f.machine.SystemCommand = func(verb string) []string { return []string{"sudo", "devproxy", verb, "--store", "system"} }
	f.machine.JavaCommand = func(verb, home string) []string {
		return []string{"sudo", "env", "JAVA_HOME=" + home, "devproxy", verb, "--store", "java"}
	}
	return f
}

func newCA(t *testing.T) *localca.CA {
	t.Helper()
	ca, err := localca.Open(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// rootOf is the root as the stores take it; nil is a CA that is gone.
func rootOf(ca *localca.CA) Root {
	if ca == nil {
		return Root{}
	}
	return Root{Cert: ca.Root(), File: ca.RootFile(), Domain: ca.Domain()}
}

// store is the store of this name for the fixture's CA.
func (f *fixture) store(name string) Store { return f.storeFor(name, f.ca) }

func (f *fixture) storeFor(name string, ca *localca.CA) Store {
	f.t.Helper()
	for _, s := range Stores(f.machine, rootOf(ca)) {
		if s.Name() == name {
			return s
		}
	}
	f.t.Fatalf("unknown store %q", name)
	return Store{}
}

// home is a path below the home.
func (f *fixture) home(parts ...string) string {
	return filepath.Join(append([]string{f.machine.Home}, parts...)...)
}

// write makes a file below the home, and its folders.
func (f *fixture) write(path, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// want fails the test unless a result has this state.
func want(t *testing.T, got Result, state State) Result {
	t.Helper()
	if got.State != state {
		t.Fatalf("%s is %q, want %q: %s (%s)", got.Store, got.State, state, got.Detail, got.Fix)
	}
	return got
}

// listenWith serves HTTPS on loopback with a leaf of the CA for localhost, or for its
// domain.
func listenWith(t *testing.T, ca *localca.CA) (addr string, stop func()) {
	t.Helper()
	leaf, err := ca.Issue(rootOf(ca).host())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) }),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // a client that refuses us is a result
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{*leaf}}))
	}()
	return ln.Addr().String(), func() { srv.Close(); <-done }
}

// withHandshake lets the stores prove themselves.
func (f *fixture) withHandshake() {
	f.machine.Handshake = func(context.Context) (string, func(), error) {
		addr, stop := listenWith(f.t, f.ca)
		return addr, stop, nil
	}
}

// needTool finds a program. Without it the test is skipped, except in CI.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missingHere(t, err.Error())
	}
	return path
}

// missingHere skips a test for what the machine lacks; in CI that is a failure.
func missingHere(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}
