package control

import (
	"context"
	"errors"
	"testing"
)

// TestRestart asks an instance to restart a service, and one that has none.
func TestRestart(t *testing.T) {
	dir, folder := shortDir(t), t.TempDir()
	in, err := Acquire(dir, folder)
	must(t, err)
	must(t, in.Listen())
	asked := make(chan string, 1)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() {
		served <- in.Serve(ctx, Handler(Verbs{Restart: func(service string) error {
			asked <- service
			if service != "web" {
				return errors.New(`no service "` + service + `" runs here`)
			}
			return nil
		}}), nil)
	}()
	client, err := Dial(dir, folder)
	must(t, err)
	must(t, client.Restart(t.Context(), "web"))
	if got := <-asked; got != "web" {
		t.Errorf("restarted %q", got)
	}
	const strange = "a/b ?"
	if err := client.Restart(t.Context(), strange); err == nil || err.Error() != `no service "a/b ?" runs here` {
		t.Error(err)
	}
	if got := <-asked; got != strange {
		t.Errorf("asked for %q", got)
	}
	cancel()
	must(t, <-served)
	must(t, in.Close())
}
