package watch

import (
	"os"
	"testing"
)

func TestAChangeBetweenReadingAndWatchingIsSeen(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		_, path := project(t)
		r := follow(t, opts)
		r.paths = []string{path}
		r.w.Set([]File{{Path: path, Content: []byte("read before it was saved")}})
		r.until("old")
		r.quiet("read again")

		must(t, os.Remove(path))
		write(t, path, "old")
		r.quiet("removed and made again")
		r.w.Set([]File{{Path: path}})
		r.changed("the reader had looked while it was away")
		r.read()
		r.quiet("read again")
	})
}

func TestAReaderThatRefusesAFileIsToldOnce(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		_, path := project(t)
		r := follow(t, opts)
		refused := []File{{Path: path}}
		r.w.Set(refused)
		r.changed("given without content")
		r.w.Set(refused)
		r.quiet("nothing has happened to it")
		write(t, path, "new")
		r.changed("written")
		r.w.Set(refused)
		r.quiet("nothing has happened to it")
	})
}

// The comparison may come before the glance that would have noticed.
func TestWhatAComparisonNoticesIsNotForgotten(t *testing.T) {
	_, path := project(t)
	var set fileSet
	compare := func(want bool, when string) {
		t.Helper()
		if changed, _ := set.compare(false); changed != want {
			t.Fatalf("%s: changed = %v", when, changed)
		}
	}
	set.replace([]File{{Path: path}})
	compare(true, "given without content")
	set.replace([]File{{Path: path, Content: []byte("old")}})
	compare(false, "read")
	must(t, os.Remove(path))
	write(t, path, "old")
	compare(false, "back as it was")
	set.replace([]File{{Path: path}})
	compare(true, "the reader had looked while it was away")
}

func TestFilesNoLongerSetAreNotWatched(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		dir, path := project(t)
		other := dir + "/other"
		write(t, other, "x")
		r := follow(t, opts, path, other)
		r.paths = []string{path}
		r.read()
		r.quiet("set again")
		write(t, other, "y")
		r.quiet("the other written")
		write(t, path, "new")
		r.until("new")
	})
}

func TestChangesNobodyReceivesAreOne(t *testing.T) {
	w := New(Options{})
	for range 3 {
		raise(w.changes)
	}
	<-w.Changes()
	select {
	case <-w.Changes():
		t.Error("two changes")
	default:
	}
}

func TestALargeFileIsComparedBySizeAndTime(t *testing.T) {
	_, path := project(t)
	must(t, os.Truncate(path, maxHashed+1))
	first := look(path)
	if again := look(path); again != first {
		t.Error("the same file has two states")
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("x"), maxHashed)
	must(t, err)
	must(t, f.Close())
	if look(path) == first {
		t.Error("a change beyond what is read was missed")
	}
	if _, ok := stateOf(make([]byte, maxHashed+1)); ok {
		t.Error("a content that is too long for it has a state")
	}
}
