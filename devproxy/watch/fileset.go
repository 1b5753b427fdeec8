package watch

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

// coarsest is the coarsest clock a file system stamps files with (FAT). Within
// it a second change can leave no trace in time and size.
const coarsest = 2 * time.Second

// file is a watched file.
type file struct {
	// seen is what the reader has seen, as far as that is known.
	seen  state
	known bool
	// blind: the reader could not say what it saw.
	blind bool
	// info is how the file looked at the last glance, nil when it could not
	// be looked at.
	info fs.FileInfo
}

// fileSet is the watched files by path.
type fileSet struct {
	files map[string]*file
	// stirred: something has happened to the files since the reader was last
	// told to read.
	stirred bool
}

func (s *fileSet) paths() []string { return slices.Collect(maps.Keys(s.files)) }

// replace watches files from now on. What is known of a file that stays, stays.
func (s *fileSet) replace(files []File) {
	old := s.files
	s.files = make(map[string]*file, len(files))
	for _, given := range files {
		f := old[given.Path]
		if f == nil {
			f = &file{}
		}
		if seen, whole := stateOf(given.Content); given.Content != nil && whole {
			f.seen, f.known, f.blind = seen, true, false
		} else {
			f.blind = true
		}
		s.files[given.Path] = f
	}
}

// compare reads the files. changed: one is not what the reader has seen; from
// now on it counts as seen. Files that are vacant all of a sudden are most
// likely being saved: with patience they are not settled and nothing counts.
func (s *fileSet) compare(patience bool) (changed, settled bool) {
	s.moved() // notes what has happened since the last glance
	now := make(map[string]state, len(s.files))
	for path, f := range s.files {
		now[path] = look(path)
		if !f.differs(now[path], s.stirred) {
			continue
		}
		if patience && now[path].vacant() {
			return false, false
		}
		changed = true
	}
	for path, f := range s.files {
		f.seen, f.known = now[path], true
	}
	if changed {
		s.stirred = false
	}
	return changed, true
}

// differs reports whether the reader should read again.
func (f *file) differs(now state, stirred bool) bool {
	switch {
	case !f.known:
		return now.fault == "" // the reader had nothing of it
	case f.seen != now:
		return true
	default:
		// A blind reader may have looked while the file was away, even when it
		// is back by now as it was. Only a file that nothing has happened to
		// is surely one that the reader refuses.
		return f.blind && stirred && now.fault == ""
	}
}

// moved glances at the files and reports whether they need comparing.
func (s *fileSet) moved() bool {
	compare := false
	for path, f := range s.files {
		info := glance(path)
		if !same(f.info, info) {
			s.stirred, compare = true, true
		}
		if info != nil && recent(info.ModTime()) {
			compare = true
		}
		f.info = info
	}
	return compare
}

// glance looks at a file without opening it; nil when that is not possible.
func glance(path string) fs.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

// same reports whether two glances saw the same.
func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.Mode() == b.Mode() && a.ModTime().Equal(b.ModTime())
}

func recent(modified time.Time) bool {
	age := time.Since(modified)
	return 0 <= age && age < coarsest
}
