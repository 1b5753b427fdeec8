package control

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

// TestStale has an instance that runs, one that ended, and one that was killed.
func TestStale(t *testing.T) {
	dir := shortDir(t)
	if got, err := Stale(filepath.Join(dir, "none")); err != nil || got != nil {
		t.Errorf("without a runtime directory: %v, %v", got, err)
	}
	folder := func(name string) string {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(path, 0o700))
		real, err := filepath.EvalSymlinks(path)
		must(t, err)
		return real
	}
	run := filepath.Join(dir, "run")
	serve(t, run, folder("runs"))
	ended, err := Acquire(run, folder("ended"))
	must(t, err)
	must(t, ended.Close())
	killed, err := Acquire(run, folder("killed"))
	must(t, err)
	must(t, killed.Listen())
	if got, err := Stale(run); err != nil || got != nil {
		t.Errorf("before: %v, %v", got, err)
	}
	// What SIGKILL leaves: a socket that nothing listens on, and the file of a process
	// that has ended.
	must(t, killed.ln.Close())
	ln, err := runtimedir.Listen(killed.base + socketSuffix)
	must(t, err)
	ln.SetUnlinkOnClose(false)
	must(t, ln.Close())
	must(t, writeHolder(killed.base, Holder{PID: endedPID(t), Folder: folder("killed")}))
	must(t, killed.lock.Unlock())
	want := []Left{{Lock: killed.base + lockSuffix, Files: []string{killed.base + socketSuffix, killed.base + holderSuffix}}}
	got, err := Stale(run)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// endedPID is the id of a process that has ended.
func endedPID(t *testing.T) int {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	p, err := os.StartProcess(self, []string{self, "-test.run=^$"}, &os.ProcAttr{})
	must(t, err)
	_, err = p.Wait()
	must(t, err)
	return p.Pid
}
