package watch

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// In a bubble nothing but the clock moves, so times are exact: the glance
// after a save, and then the quiet.
func TestASaveIsReportedAfterTheNextPollAndTheQuiet(t *testing.T) {
	_, path := project(t)
	past := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	must(t, os.Chtimes(path, past, past))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := New(Options{Poll: true})
		w.Set([]File{{Path: path, Content: []byte("old")}})
		go w.Run(ctx)
		time.Sleep(time.Second)
		select {
		case <-w.Changes():
			t.Error("reported without a change")
		default:
		}
		write(t, path, "new")
		start := time.Now()
		<-w.Changes()
		if took := time.Since(start); took > pollInterval+quiet || took < quiet {
			t.Errorf("a save was reported after %v, want at most %v", took, pollInterval+quiet)
		}
		must(t, os.Remove(path))
		start = time.Now()
		<-w.Changes()
		if took := time.Since(start); took > pollInterval+longest || took < longest {
			t.Errorf("a removal was reported after %v, want %v to %v", took, longest, pollInterval+longest)
		}
		cancel()
		synctest.Wait()
	})
}
