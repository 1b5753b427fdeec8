package control

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"
)

// soon is far longer than anything takes that is bound to happen.
const soon = 10 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for another process or goroutine.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// shortDir is a folder with a path short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "c")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serve runs folder in this process until the test ends or it is told to go
// down.
func serve(t *testing.T, dir, folder string) *Instance {
	t.Helper()
	in, err := Acquire(dir, folder)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := in.Serve(ctx, Handler(Verbs{Status: func() Status { return sample(folder) }, Down: cancel}), nil)
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	eventually(t, "it serves", func() bool {
		_, err := Dial(dir, folder)
		return err == nil
	})
	return in
}

// sample is a status with every field set.
func sample(folder string) Status {
	plain := "127.0.0.1:8080"
	return Status{
		Folder:     folder,
		PID:        os.Getpid(),
		Version:    "1.2.3",
		Started:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Generation: 7,
		URLs:       []string{"https://shop.localhost:8443"},
		HTTPS:      "127.0.0.1:8443",
		HTTP:       &plain,
		Shared:     true,
		Hosts: []Host{{
			Name: "shop.localhost", URL: "https://shop.localhost:8443", File: "Proxyfile", Line: 1,
			Routes: []Route{{Path: "/", Upstream: ":5173", State: "waiting", Detail: "refused"}},
		}},
		Streams: 2,
		Rejected: &Rejected{
			At:          time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC),
			Error:       "no",
			Diagnostics: json.RawMessage(`[{"severity":"error"}]`),
		},
	}
}
