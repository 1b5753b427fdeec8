package control

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStatusIsWhatTheInstanceSays(t *testing.T) {
	dir, folder := shortDir(t), t.TempDir()
	in := serve(t, dir, folder)
	client, err := Dial(dir, folder)
	must(t, err)
	got, err := client.Status(t.Context())
	must(t, err)
	if diff := cmp.Diff(sample(folder), got); diff != "" {
		t.Error(diff)
	}
	for path, want := range map[string]fs.FileMode{
		dir:                    0o700,
		in.base + socketSuffix: 0o600,
		in.base + lockSuffix:   0o600,
		in.base + holderSuffix: 0o600,
	} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

// The names are what scripts read; a change breaks them.
func TestTheJSONOfStatusIsStable(t *testing.T) {
	const want = `{"folder":"/shop","pid":1,"version":"1.2.3","started":"2026-01-02T03:04:05Z","generation":7,` +
		`"urls":["https://shop.localhost:8443"],"https":"127.0.0.1:8443","http":"127.0.0.1:8080","shared":true,` +
		`"hosts":[{"name":"shop.localhost","url":"https://shop.localhost:8443","file":"Proxyfile","line":1,` +
		`"routes":[{"path":"/","upstream":":5173","state":"waiting","detail":"refused"}]}],"streams":2,` +
		`"rejected":{"at":"2026-01-02T03:05:00Z","error":"no","diagnostics":[{"severity":"error"}]},"share":null}`
	status := sample("/shop")
	status.PID = 1
	got, err := json.Marshal(status)
	must(t, err)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestDownReturnsWhenTheFolderIsFree(t *testing.T) {
	dir, folder := shortDir(t), t.TempDir()
	for range 10 {
		p := up(t, dir, folder)
		client, err := Dial(dir, folder)
		must(t, err)
		must(t, client.Down(t.Context()))
		// At once: a user may stop one and start another.
		in, err := Acquire(dir, folder)
		must(t, err)
		must(t, in.Close())
		must(t, p.Wait())
		if _, err := os.Stat(in.base + socketSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("the socket is left: %v", err)
		}
	}
}

// TestListenComesBeforeServe: a client that connects as soon as the socket is open
// gets its answer from Serve.
func TestListenComesBeforeServe(t *testing.T) {
	dir, folder := shortDir(t), t.TempDir()
	in, err := Acquire(dir, folder)
	must(t, err)
	must(t, in.Listen())
	client, err := Dial(dir, folder)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() {
		served <- in.Serve(ctx, Handler(Verbs{Down: func() {}, Status: func() Status { return sample(folder) }}), nil)
	}()
	if got, err := client.Status(t.Context()); err != nil || got.Folder != folder {
		t.Errorf("%+v, %v", got, err)
	}
	cancel()
	must(t, <-served)
	must(t, in.Close())
}

func TestDownGivesUpWhenItsContextEnds(t *testing.T) {
	dir, folder := shortDir(t), t.TempDir()
	in, err := Acquire(dir, folder)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	asked := make(chan struct{})
	go func() {
		served <- in.Serve(ctx, Handler(Verbs{Down: func() { close(asked) }}), nil)
	}()
	eventually(t, "it serves", func() bool { _, err := Dial(dir, folder); return err == nil })
	client, err := Dial(dir, folder)
	must(t, err)
	impatient, giveUp := context.WithCancel(t.Context())
	go func() { <-asked; giveUp() }()
	err = client.Down(impatient)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Down: %v, want a canceled context", err)
	}
	cancel()
	must(t, <-served)
	must(t, in.Close())
	must(t, in.Close())
}

func TestASecondInstanceIsToldOfTheFirst(t *testing.T) {
	dir, folder := shortDir(t), t.TempDir()
	p := up(t, dir, folder)
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(folder, link))
	for _, way := range []string{folder, link, folder + "/."} {
		_, err := Acquire(dir, way)
		held, ok := errors.AsType[*HeldError](err)
		if !ok || held.Holder.PID != p.Process.Pid || held.Holder.Started.IsZero() {
			t.Errorf("%s: %v, want a HeldError of pid %d", way, err, p.Process.Pid)
		}
	}
	in, err := Acquire(dir, t.TempDir())
	if err != nil {
		t.Errorf("another folder: %v", err)
	} else {
		must(t, in.Close())
	}
	p.kill(t)
}

func TestAfterAKillTheNextTakesOver(t *testing.T) {
	dir, folder := shortDir(t), t.TempDir()
	p := up(t, dir, folder)
	p.kill(t)
	if _, err := os.Stat(base(dir, mustReal(t, folder)) + socketSuffix); err != nil {
		t.Fatalf("nothing to replace: %v", err)
	}
	if holder, ok := readHolder(base(dir, mustReal(t, folder))); ok {
		t.Errorf("a killed process is still the holder: %+v", holder)
	}
	if _, err := Dial(dir, folder); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Dial: %v, want ErrNotRunning", err)
	}
	if running, err := List(dir); err != nil || len(running) != 0 {
		t.Errorf("List = %v, %v", running, err)
	}
	serve(t, dir, folder)
	client, err := Dial(dir, folder)
	must(t, err)
	_, err = client.Status(t.Context())
	must(t, err)
}

func mustReal(t *testing.T, folder string) string {
	t.Helper()
	real, err := realFolder(folder)
	must(t, err)
	return real
}

func TestOfManyAtOnceOneRuns(t *testing.T) {
	dir, folder := shortDir(t), t.TempDir()
	const many = 6
	var all []*process
	for range many {
		all = append(all, start(t, "up", dir, folder))
	}
	for _, p := range all {
		p.stdin.Close()
	}
	var winners, told int
	var winner *process
	var lines []string
	for _, p := range all {
		line := p.line()
		lines = append(lines, line)
		if line == "acquired" {
			winners++
			winner = p
		}
	}
	if winners != 1 {
		t.Fatalf("%d run: %q", winners, lines)
	}
	for i, p := range all {
		if p != winner {
			if strings.Contains(lines[i], "(pid ") {
				told++
			}
			p.Wait()
		}
	}
	if told != many-1 {
		t.Errorf("%d of %d were told who runs: %q", told, many-1, lines)
	}
	winner.kill(t)
}

// Looking must not disturb: a verb that asks while another process starts
// must not make it believe that the folder is taken.
func TestAskingNeverRefusesAnInstance(t *testing.T) {
	dir, folder := shortDir(t), t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				Dial(dir, folder)
				List(dir)
			}
		}
	}()
	for range 200 {
		in, err := Acquire(dir, folder)
		if err != nil {
			t.Error(err)
			break
		}
		must(t, in.Close())
	}
	close(stop)
	<-stopped
}

func TestNothingRuns(t *testing.T) {
	folder := t.TempDir()
	for _, dir := range []string{shortDir(t), filepath.Join(t.TempDir(), "none")} {
		if _, err := Dial(dir, folder); !errors.Is(err, ErrNotRunning) {
			t.Errorf("Dial: %v, want ErrNotRunning", err)
		}
		if running, err := List(dir); err != nil || len(running) != 0 {
			t.Errorf("List = %v, %v", running, err)
		}
	}
}

func TestListIsWhatRuns(t *testing.T) {
	dir := shortDir(t)
	var want []string
	for _, name := range []string{"a", "b", "c"} {
		folder := filepath.Join(mustReal(t, t.TempDir()), name)
		must(t, os.Mkdir(folder, 0o755))
		want = append(want, folder)
		serve(t, dir, folder)
	}
	idle, err := Acquire(dir, t.TempDir()) // held, but it does not answer yet
	must(t, err)
	running, err := List(dir)
	must(t, err)
	must(t, idle.Close())
	var got []string
	for _, holder := range running {
		got = append(got, holder.Folder)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
