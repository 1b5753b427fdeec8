package service

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// serve is a service: `serve PORT [next|late]`. It answers 503 to the first requests.
// With "next" it listens on the next free port, as Vite does when its own is taken.
func serve(args []string) int {
	port, _ := strconv.Atoi(args[0])
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	for err != nil && slices.Contains(args, "next") {
		port++
		listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var requests atomic.Int32
	fmt.Println("listening on", port)
	_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) < 3 && slices.Contains(args, "late") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	return 1
}

// freePort is a port that nothing listens on.
func freePort(t *testing.T, name string) uint16 {
	t.Helper()
	port, err := ChoosePort(t.TempDir(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// server is the spec of a service that is this test.
func server(t *testing.T, name string, args ...string) Spec {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t, name)
	return Spec{
		Name: name, Args: append([]string{program, "serve", strconv.Itoa(int(port))}, args...), Dir: t.TempDir(), Env: os.Environ(), Port: port,
	}
}

// TestReadyByPort is a service that is ready when its port accepts.
func TestReadyByPort(t *testing.T) {
	t.Parallel()
	spec := server(t, "web")
	r, j := newRunnerFor(t)
	r.Apply([]Spec{spec})
	if s := j.until("ready", in("web", Running)); s.Port != spec.Port || s.PID == 0 {
		t.Errorf("%+v", s)
	}
}

// TestReadyByRequest is one that first answers 503.
func TestReadyByRequest(t *testing.T) {
	t.Parallel()
	for _, ready := range []Ready{{Path: "/healthz"}, {Path: "/healthz", Status: 200}} {
		spec := server(t, "web", "late")
		spec.Ready = ready
		r, j := newRunnerFor(t)
		r.Apply([]Spec{spec})
		j.until("ready", in("web", Running))
	}
}

// TestReadyByLine is one that listens nowhere, and one that listens elsewhere.
func TestReadyByLine(t *testing.T) {
	t.Parallel()
	port := freePort(t, "worker")
	worker := Spec{Name: "worker", Args: []string{"sh", "-c", "echo connected to db; exec sleep 1000"}, Dir: t.TempDir(), Env: os.Environ(), Port: port, Ready: Ready{Log: "connected to *"}}
	r, j := newRunnerFor(t)
	r.Apply([]Spec{worker})
	if s := j.until("ready", in("worker", Running)); s.Port != port {
		t.Errorf("%+v", s)
	}
	if runtime.GOOS != "linux" {
		return // the system does not show which ports a process has
	}
	web := server(t, "web")
	web.Args[2] = strconv.Itoa(int(freePort(t, "other")))
	web.Ready.Log = "listening on"
	r.Apply([]Spec{web})
	if s := j.until("ready", in("web", Running)); strconv.Itoa(int(s.Port)) != web.Args[2] {
		t.Errorf("%+v, want port %s", s, web.Args[2])
	}
}

// TestNeverReady is a service whose condition is not met. Those that depend on it wait.
func TestNeverReady(t *testing.T) {
	t.Parallel()
	spec := server(t, "api")
	spec.Ready = Ready{Path: "/", Status: 418}
	web := server(t, "web")
	web.DependsOn = []string{"api"}
	r, j := newRunnerFor(t)
	r.Apply([]Spec{spec, web})
	j.until("starting", func(s State) bool { return in("api", Starting)(s) && s.PID != 0 })
	j.until("waiting", in("web", Waiting))
	r.Apply(nil)
	j.until("stopped", in("api", Stopped))
	if phases := j.phases("api") + ", " + j.phases("web"); phases != "starting ending stopped, waiting stopped" {
		t.Error(phases)
	}
}

// TestElsewhere is a service that listens on another port than it was asked to use.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the system does not show which ports a process has")
	}
	spec := server(t, "web", "next")
	spec.Args[2] = strconv.Itoa(int(freePort(t, "other"))) // it ignores its port
	r, j := newRunnerFor(t)
	r.Apply([]Spec{spec})
	s := j.until("ready", in("web", Running))
	if want := "web: listening on " + strconv.Itoa(int(s.Port)); s.Port == spec.Port || !slices.Contains(j.output(), want) {
		t.Errorf("%+v, %q", s, j.output())
	}
}

// TestPortInUse is a service whose port another process has. It starts when that ends.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	spec := server(t, "web")
	other, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", spec.Port))
	if err != nil {
		t.Fatal(err)
	}
	r, j := newRunnerFor(t)
	r.Apply([]Spec{spec})
	s := j.until("failed", in("web", Failed))
	if want := fmt.Sprintf("port %d is in use by ", spec.Port); !strings.HasPrefix(s.Exit.String(), want) {
		t.Errorf("%v, want %s", s.Exit, want)
	}
	other.Close()
	j.until("ready", in("web", Running))
}

// TestCannotStart is a service whose command or folder does not exist.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	script := folder + "/a-script"
	if err := os.WriteFile(script, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	bin, below := folder+"/node_modules/.bin", folder+"/apps/web"
	if err := errors.Join(os.MkdirAll(bin, 0o700), os.MkdirAll(below, 0o700), os.WriteFile(bin+"/vite", []byte("#!/bin/sh"), 0o700)); err != nil {
		t.Fatal(err)
	}
	elsewhere, link := t.TempDir(), folder+"/link"
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=.:" + os.Getenv("PATH")}
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{Args: []string{"no-such-program"}, Dir: folder, Env: env}, "no-such-program is not on PATH; the command starts in " + folder},
		{Spec{Args: []string{"a-script"}, Dir: folder, Env: env}, "a-script is not on PATH; for the file in " + folder + ", write ./a-script"},
		{Spec{Args: []string{"vite"}, Dir: below, Env: env}, "vite is not on PATH; it is a package in " + folder + "/node_modules, so write npx vite, pnpm exec vite or yarn vite"},
		{Spec{Args: []string{"./nothing"}, Dir: folder, Env: env}, "./nothing is not an executable file"},
		{Spec{Args: []string{"./a-script"}, Dir: folder, Env: env}, "./a-script: exec format error"},
		{Spec{Args: []string{"sh"}, Dir: folder + "/none", Env: env}, "the folder " + folder + "/none does not exist"},
		{Spec{Args: []string{"sh"}, Dir: link, RealDir: link, Env: env}, "the folder " + link + " is a link to another folder now; save the Proxyfile to have it read again"},
	} {
		c.spec.Name, c.spec.Restart = "web", Never
		r, j := newRunnerFor(t)
		r.Apply([]Spec{c.spec})
		if s := j.until("failed", in("web", Failed)); s.Exit.String() != c.want {
			t.Errorf("%q: %q, want %q", c.spec.Args, s.Exit, c.want)
		}
	}
}

// TestEndsAtOnce is a service that prints why it cannot run.
func TestEndsAtOnce(t *testing.T) {
	t.Parallel()
	spec := server(t, "web")
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, spec.Args[2], _ = net.SplitHostPort(other.Addr().String())
	r, j := newRunnerFor(t)
	r.Apply([]Spec{spec})
	s := j.until("failed", in("web", Failed))
	if s.Exit != (Exit{Status: 1}) || len(s.Output) != 1 || !strings.Contains(s.Output[0], "address already in use") || s.Next.IsZero() {
		t.Errorf("%+v", s)
	}
	if s := j.untilFrom(j.count(), "ending", in("web", Ending)); len(s.Output) == 0 {
		t.Errorf("its output is not known while it ends: %+v", s)
	}
	j.untilFrom(j.count(), "failed again", func(s State) bool { return in("web", Failed)(s) && s.Failures > 1 })
}

// TestRestart ends a service and starts it again.
func TestRestart(t *testing.T) {
	t.Parallel()
	r, j := newRunnerFor(t)
	r.Apply([]Spec{server(t, "web")})
	first := j.until("ready", in("web", Running))
	if err := r.Restart("web"); err != nil {
		t.Fatal(err)
	}
	j.until("ready again", func(s State) bool { return in("web", Running)(s) && s.PID != first.PID })
}

// TestChoosePort chooses the same free port each time.
func TestChoosePort(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first, err := ChoosePort(folder, "web", nil)
	if err != nil {
		t.Fatal(err)
	}
	if usual := UsualPort(folder, "web"); usual != first {
		t.Errorf("%d is usual, and %d was chosen", usual, first)
	}
	again, err := ChoosePort(folder, "web", nil)
	if err != nil || again != first || first < firstPort || first > lastPort {
		t.Errorf("%d, then %d, %v", first, again, err)
	}
	if other, err := ChoosePort(folder, "api", nil); err != nil || other == first {
		t.Errorf("both services have %d, %v", other, err)
	}
	if other, err := ChoosePort(folder, "web", []uint16{first}); err != nil || other == first {
		t.Errorf("chose %d, which is used, %v", other, err)
	}
	for _, address := range []string{"127.0.0.1", "[::1]", ""} {
		listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, first))
		if err != nil {
			t.Fatal(err)
		}
		if other, err := ChoosePort(folder, "web", nil); err != nil || other == first {
			t.Errorf("chose %d, which %q has, %v", other, address, err)
		}
		listener.Close()
	}
}
