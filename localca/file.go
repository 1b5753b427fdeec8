package localca

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempMark is in the names of temporary files, between the final name and a random part.
const tempMark = ".tmp-"

// WriteFile writes a file atomically: whatever happens, path has all of the old or all of
// the new content. It writes and syncs a temporary file next to path, renames it, and syncs
// the folder, so that the name survives a power cut as well. The mode is exactly perm,
// without the umask. The folder must exist.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	staged, err := steps(nil).stage(path, data, perm)
	if err != nil {
		return err
	}
	return staged.commit()
}

// steps is called before every step that changes the disk. Its error makes the step fail.
// Only tests set it.
type steps func(step string) error

func (s steps) at(step string) error {
	if s == nil {
		return nil
	}
	return s(step)
}

// stagedFile is complete on the disk, but not yet under its name. This way
// several files can be written before the first takes effect, and a full disk
// is noticed before anything has changed.
type stagedFile struct {
	path, temp string
	steps      steps
}

// stage writes data to a temporary file in the folder of path.
func (s steps) stage(path string, data []byte, perm fs.FileMode) (*stagedFile, error) {
	if err := s.at("create " + path); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix(path)+"*")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.fill(f, data, perm), f.Close()); err != nil {
		os.Remove(f.Name())
		return nil, err
	}
	return &stagedFile{path: path, temp: f.Name(), steps: s}, nil
}

// fill writes and syncs f. The caller closes it.
func (s steps) fill(f *os.File, data []byte, perm fs.FileMode) error {
	if err := s.at("write " + f.Name()); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if err := s.at("sync " + f.Name()); err != nil {
		return err
	}
	return f.Sync()
}

// commit gives the file its name.
func (f *stagedFile) commit() error {
	err := f.steps.at("rename to " + f.path)
	if err == nil {
		err = os.Rename(f.temp, f.path)
	}
	if err != nil {
		f.discard()
		return err
	}
	if err := f.steps.at("sync the folder of " + f.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(f.path))
}

// discard removes a file that was not committed. It ignores errors: the caller has a better
// one to report, and sweep comes later.
func (f *stagedFile) discard() { os.Remove(f.temp) }

// tempPrefix begins the names of the temporary files of path.
func tempPrefix(path string) string { return "." + filepath.Base(path) + tempMark }

// sweep removes temporary files of path that a killed process left. No other process may be
// writing path.
func sweep(path string) {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // they are harmless
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix(path)) {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
