package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// pollInterval is between glances where no events come.
	pollInterval = 250 * time.Millisecond
	// safetyInterval is between glances where events come: a few system calls
	// per file, in case one is missing.
	safetyInterval = 2 * time.Second
	// attachRounds bounds how often folders that appear while their parents are
	// being watched are followed at once; the rest is left to the next glance.
	attachRounds = 8
)

// source is where events come from.
type source struct {
	fs     *fsnotify.Watcher // nil: none come
	events <-chan fsnotify.Event
	errors <-chan error
	note   func(string)
	told   map[string]bool // notes given
	safe   time.Duration   // between glances where events come

	dirs  map[string]fs.FileInfo // watched folders, as they were when watched
	names map[string]bool        // paths whose events matter, folded
	poor  bool                   // some folder has no events
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
	s.fs, s.events, s.errors = watcher, watcher.Events, watcher.Errors
	return s
}

func (s *source) close() {
	if s.fs != nil {
		s.fs.Close()
	}
}

func (s *source) interval() time.Duration {
	if s.fs == nil || s.poor {
		return pollInterval
	}
	return s.safe
}

// concerns reports whether event is about a watched file. Events of other
// files in a folder do not count: a log being written next to the Proxyfile
// would keep postponing the comparison.
func (s *source) concerns(event fsnotify.Event) bool {
	path := filepath.Clean(event.Name)
	_, watched := s.dirs[path]
	if watched && event.Has(fsnotify.Remove|fsnotify.Rename) {
		// The watch ended with the folder, even if the folder is put back.
		delete(s.dirs, path)
	}
	return watched || s.names[fold(path)]
}

// fold makes paths comparable on systems that ignore case. On others it lets
// superfluous events through.
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
		// A folder can have appeared before its parent was watched.
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
		added = s.add(dir) || added
		s.poor = s.poor || silent(dir)
	}
	return added
}

// add watches dir, unless exactly that folder is watched already.
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
		_ = s.fs.Remove(dir) // an error means that the watch has ended already
		delete(s.dirs, dir)
	}
}

// tell reports errors that the user can fix. Other errors cost only speed.
func (s *source) tell(err error) {
	fix := limitFix(err)
	if fix == "" || s.note == nil || s.told[fix] {
		return
	}
	s.told[fix] = true
	s.note(fmt.Sprintf("the system provides no more file events (%v), so files are checked every %v; to fix it permanently: %s", err, pollInterval, fix))
}

// linkLimit bounds the symbolic links followed for one file, as systems do.
const linkLimit = 40

// place is a name in a folder.
type place struct{ dir, name string }

func (p place) path() string { return filepath.Join(p.dir, p.name) }

// placesOf are the names that path depends on, each in its real folder: the
// file, every symbolic link on the way (replacing one changes the
// file), or the first name that is missing. The links of the root folder are
// the system's and stay.
func placesOf(path string) []place {
	root := filepath.VolumeName(path) + string(filepath.Separator)
	var (
		places []place
		dir    = root
		rest   = split(path[len(root):])
		links  = 0
	)
	for len(rest) > 0 {
		at := place{dir, rest[0]}
		rest = rest[1:]
		if at.name == ".." {
			dir = filepath.Dir(dir)
			continue
		}
		info, err := os.Lstat(at.path())
		switch {
		case err != nil:
			return append(places, at)
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > linkLimit {
				return places
			}
			if dir != root {
				places = append(places, at)
			}
			target, err := os.Readlink(at.path())
			if err != nil {
				return places
			}
			if filepath.IsAbs(target) {
				root = filepath.VolumeName(target) + string(filepath.Separator)
				dir, target = root, target[len(root):]
			}
			rest = append(split(target), rest...)
		case len(rest) == 0:
			return append(places, at)
		default:
			dir = at.path()
		}
	}
	return places
}

// split returns the names of a path without its root, "." left out.
func split(path string) []string {
	return slices.DeleteFunc(strings.Split(filepath.ToSlash(path), "/"), func(name string) bool { return name == "" || name == "." })
}
