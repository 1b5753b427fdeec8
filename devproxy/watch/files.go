package watch

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"
)

// fileSet is the watched files by path.
type fileSet struct {
	files map[string]*file
	// stirred: something has happened to the files since the reader was last
	// notified.
	stirred bool
}

// file is a watched file.
type file struct {
	// seen is the state that the reader has seen, if known.
	seen  state
	known bool
	// blind: the reader does not know which state it saw.
	blind bool
	// info is the file at the last glance, nil when that failed.
	info fs.FileInfo
}

func (s *fileSet) paths() []string { return slices.Collect(maps.Keys(s.files)) }

// replace watches files from now on. The state of a file that stays is kept.
func (s *fileSet) replace(files []File) {
	old := s.files
	s.files = make(map[string]*file, len(files))
	for _, given := range files {
		f := cmp.Or(old[given.Path], &file{})
		if seen, whole := stateOf(given.Content); given.Content != nil && whole {
			f.seen, f.known, f.blind = seen, true, false
		} else {
			f.blind = true
		}
		s.files[given.Path] = f
	}
}

// compare reads the files. changed means that one differs from what the reader has
// seen; from now on it counts as seen. Files that are suddenly vacant are probably
// being saved: with patience they are not done, and nothing counts.
func (s *fileSet) compare(patience bool) (changed, done bool) {
	s.moved() // notes the events since the last glance
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
		// is back by now as it was. Only when nothing has happened to the file
		// is it certain that the reader refuses it.
		return f.blind && stirred && now.fault == ""
	}
}

// coarsest is the coarsest clock a file system stamps files with (FAT). Within
// it a second change can leave no trace in time and size.
const coarsest = 2 * time.Second

// moved glances at the files, without opening them, and reports whether they need
// comparing.
func (s *fileSet) moved() bool {
	compare := false
	for path, f := range s.files {
		info, _ := os.Stat(path) // nil when that fails
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

// maxHashed bounds how much of a file is read. No Proxyfile comes near it; of
// a longer file the first part, the size and the time are compared.
const maxHashed = 16 << 20

// fault is why a file has no content to compare; empty when it has.
type fault string

const (
	missing    fault = "missing"
	folder     fault = "folder"
	special    fault = "special" // a device, a pipe: reading could block for ever
	unreadable fault = "unreadable"
)

// state describes the file at a path. States of equal content are equal.
type state struct {
	fault    fault
	sum      [sha256.Size]byte
	size     int64
	modified int64 // Unix nanoseconds, of a file longer than maxHashed
}

// stateOf is the state of a file with this content. ok is false when that is too
// long.
func stateOf(content []byte) (s state, ok bool) {
	if len(content) > maxHashed {
		return state{}, false
	}
	return state{sum: sha256.Sum256(content), size: int64(len(content))}, true
}

// vacant reports whether the file is empty, as it is for a moment while many
// editors save.
func (s state) vacant() bool { return s.fault == missing || s.fault == "" && s.size == 0 }

// look returns the state of the file at path.
func look(path string) state {
	info, err := os.Stat(path)
	if s := faultOf(info, err); s.fault != "" {
		return s
	}
	f, err := open(path)
	if err != nil {
		return faultOf(nil, err)
	}
	defer f.Close()
	// Another file may have taken its place since.
	info, err = f.Stat()
	if s := faultOf(info, err); s.fault != "" {
		return s
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(f, maxHashed+1)); err != nil {
		return faultOf(nil, err)
	}
	if s, ok := stateOf(b.Bytes()); ok {
		return s
	}
	return state{
		sum:      sha256.Sum256(b.Bytes()[:maxHashed]),
		size:     info.Size(),
		modified: info.ModTime().UnixNano(),
	}
}

// open opens a file for reading. O_NONBLOCK (ignored on Windows): a pipe that has
// taken the file's place since it was looked at must not block the watcher until
// something is written to it.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// faultOf is the state of anything that is not a regular file or cannot be
// read; its fault is empty for any other file.
func faultOf(info fs.FileInfo, err error) state {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return state{fault: missing}
	case err != nil:
		return state{fault: unreadable}
	case info.IsDir():
		return state{fault: folder}
	case !info.Mode().IsRegular():
		return state{fault: special}
	}
	return state{}
}
