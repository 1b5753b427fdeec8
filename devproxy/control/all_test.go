package control

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAll asks two instances that answer, one that was killed, and one that does not answer.
func TestAll(t *testing.T) {
	dir := shortDir(t)
	if got, err := All(t.Context(), filepath.Join(dir, "none"), soon); err != nil || len(got) > 0 {
		t.Errorf("without a runtime directory: %v, %v", got, err)
	}
	parent, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	folder := func(name string) string { return filepath.Join(parent, name) }
	for _, name := range []string{"b", "a", "ended", "stuck"} {
		must(t, os.Mkdir(folder(name), 0o700))
	}
	serve(t, dir, folder("b"))
	serve(t, dir, folder("a"))
	// A process that was killed leaves its files.
	must(t, writeHolder(base(dir, folder("ended")), Holder{PID: os.Getpid(), Folder: folder("ended")}))
	got, err := All(t.Context(), dir, soon)
	must(t, err)
	if len(got) != 2 {
		t.Fatalf("%d answers: %+v", len(got), got)
	}
	for i, name := range []string{"a", "b"} {
		if a := got[i]; a.Err != nil || a.Holder.Folder != folder(name) || !cmp.Equal(sample(folder(name)), a.Status) {
			t.Errorf("%s: %+v", name, a)
		}
	}

	stuck, err := Acquire(dir, folder("stuck"))
	must(t, err)
	must(t, stuck.Listen()) // nothing serves it
	t.Cleanup(func() {
		stuck.ln.Close()
		stuck.Close()
	})
	got, err = All(t.Context(), dir, 100*time.Millisecond)
	must(t, err)
	if len(got) != 3 || got[2].Holder.Folder != folder("stuck") || got[2].Holder.PID == 0 || !errors.Is(got[2].Err, context.DeadlineExceeded) {
		t.Errorf("with one that does not answer: %+v", got)
	}
}
