package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// pollInterval is between glances where no events come.
	pollInterval = 250 * time.Millisecond
	// safetyInterval is between glances where events come: a few system calls
	// a file, for the event that does not.
	safetyInterval = 2 * time.Second
	// attachRounds bounds how often folders that come to be while their
	// parents are being watched are followed at once; the rest is left to the
	// next glance.
	attachRounds = 8
)

// source is where events come from.
type source struct {
	fs   *fsnotify.Watcher // nil: none come
	note func(string)
	told map[string]bool // notes given
	safe time.Duration   // between glances where events come

	dirs  map[string]fs.FileInfo // watched folders, as they were when watched
	names map[string]bool        // paths whose events matter, folded
	poor  bool                   // some folder gives no events
}

func newSource(opts Options) *source {
	s := &source{note: opts.Note, told: map[string]bool{}, dirs: map[string]fs.FileInfo{}, safe: safetyInterval}
	if opts.noSafety {
		s.safe = math.MaxInt64
	}
	if opts.Poll {
		return s
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		s.tell(err)
		return s
	}
	s.fs = watcher
	return s
}

func (s *source) close() {
	if s.fs != nil {
		s.fs.Close()
	}
}

func (s *source) events() <-chan fsnotify.Event {
	if s.fs == nil {
		return nil
	}
	return s.fs.Events
}

func (s *source) errors() <-chan error {
	if s.fs == nil {
		return nil
	}
	return s.fs.Errors
}

func (s *source) interval() time.Duration {
	if s.fs == nil || s.poor {
		return pollInterval
	}
	return s.safe
}

// concerns reports whether event is about a watched file. Events of the other
// files in a folder are none of ours: a log being written beside the Proxyfile
// would keep putting off the comparison.
func (s *source) concerns(event fsnotify.Event) bool {
	path := filepath.Clean(event.Name)
	_, watched := s.dirs[path]
	if watched && event.Has(fsnotify.Remove|fsnotify.Rename) {
		// The watch has gone with the folder, also when the folder is put back.
		delete(s.dirs, path)
	}
	return watched || s.names[fold(path)]
}

// fold makes paths comparable where case does not count. Where it does, an
// event too many is compared away.
func fold(path string) string { return strings.ToLower(path) }

// attach watches the folders that these files depend on now, and no others.
func (s *source) attach(paths []string) {
	if s.fs == nil {
		return
	}
	for range attachRounds {
		want := map[string]bool{}
		s.names = map[string]bool{}
		for _, path := range paths {
			for _, p := range placesOf(path) {
				want[p.dir] = true
				s.names[fold(p.path())] = true
			}
		}
		// A folder can have come to be before its parent was watched.
		if !s.sync(want) {
			return
		}
	}
}

// sync makes the watched folders those wanted and reports whether one is new.
func (s *source) sync(want map[string]bool) (added bool) {
	for dir := range s.dirs {
		if !want[dir] {
			s.drop(dir)
		}
	}
	s.poor = false
	for dir := range want {
		if s.add(dir) {
			added = true
		}
		if silent(dir) {
			s.poor = true
		}
	}
	return added
}

// add watches dir, unless it is the very folder that is watched already.
func (s *source) add(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil {
		s.drop(dir)
		return false
	}
	if old := s.dirs[dir]; old != nil {
		if os.SameFile(old, info) {
			return false
		}
		s.drop(dir)
	}
	if err := s.fs.Add(dir); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.poor = true
			s.tell(err)
		}
		return false
	}
	s.dirs[dir] = info
	return true
}

func (s *source) drop(dir string) {
	if s.dirs[dir] != nil {
		_ = s.fs.Remove(dir) // an error says that the watch has gone by itself
		delete(s.dirs, dir)
	}
}

// tell notes what the user can mend. Other errors cost only speed.
func (s *source) tell(err error) {
	fix := limitFix(err)
	if fix == "" || s.note == nil || s.told[fix] {
		return
	}
	s.told[fix] = true
	s.note(fmt.Sprintf("the system gives no more file events (%v), so files are looked at every %v; for good: %s", err, pollInterval, fix))
}
