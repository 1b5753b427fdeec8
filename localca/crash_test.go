package localca

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// moreStepsThanAny is above the number of steps any Open takes.
const moreStepsThanAny = 100

// crashStates are the states whose repair differs: both files are new, a key
// is kept, both are replaced.
var crashStates = []string{"nothing but leftovers", "truncated certificate", "expired root"}

func spoiled(t *testing.T, state string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	mustOpen(t, dir)
	for _, s := range states {
		if s.name == state {
			s.spoil(t, dir)
			return dir
		}
	}
	t.Fatalf("no state %q", state)
	return ""
}

// TestKilledAtEachStep kills a process that opens the CA, at each step in turn.
func TestKilledAtEachStep(t *testing.T) {
	for _, state := range crashStates {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			for step := 1; ; step++ {
				dir := spoiled(t, state)
				before := snapshot(t, dir)
				cmd, _, stderr := childCommand(t, dir, step)
				err := cmd.Run()
				if stderr.Len() > 0 || step == moreStepsThanAny {
					t.Fatalf("step %d: %v: %s", step, err, stderr)
				}
				mustWork(t, mustOpen(t, dir))
				nothingLost(t, dir, before)
				noTemporaryFiles(t, dir)
				if fresh, reason := mustOpen(t, dir).Fresh(); fresh {
					t.Errorf("killed at step %d: the second Open makes another root: %s", step, reason)
				}
				if err == nil { // it took fewer steps
					if step < 6 {
						t.Errorf("only %d steps", step-1)
					}
					return
				}
			}
		})
	}
}

// TestFailureAtEachStep lets each step fail as on a full disk.
func TestFailureAtEachStep(t *testing.T) {
	for _, state := range crashStates {
		t.Run(state, func(t *testing.T) {
			for failing := 1; failing < moreStepsThanAny; failing++ {
				dir := spoiled(t, state)
				before := snapshot(t, dir)
				s, err := newStore(dir)
				if err != nil {
					t.Fatal(err)
				}
				step, failed := 0, ""
				s.steps = func(name string) error {
					if step++; step == failing {
						failed = name
						return syscall.ENOSPC
					}
					return nil
				}
				_, err = s.open()
				if failed == "" {
					return // it took fewer steps
				}
				if explained, ok := errors.AsType[*StoreError](err); !ok || filepath.Dir(explained.Path) != dir || !strings.Contains(explained.Fix, "free some space") {
					t.Errorf("%s: %v, want a StoreError with the fix", failed, err)
				}
				noTemporaryFiles(t, dir)
				for _, writing := range []string{"create", "write", "sync /"} {
					if strings.HasPrefix(failed, writing) {
						withoutLeftovers(before)
						if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
							t.Errorf("%s: changed the folder:\n%s", failed, diff)
						}
					}
				}
				mustWork(t, mustOpen(t, dir))
				nothingLost(t, dir, before)
			}
			t.Error("the steps have no end")
		})
	}
}

// withoutLeftovers takes temporary files out of a snapshot: they are swept first.
func withoutLeftovers(files map[string]string) {
	for name := range files {
		if strings.Contains(name, tempMark) {
			delete(files, name)
		}
	}
}
