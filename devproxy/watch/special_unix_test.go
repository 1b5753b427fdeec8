//go:build unix

package watch

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestWhatIsNoFileIsNotRead(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, opts Options) {
		_, path := project(t)
		r := follow(t, opts, path)

		must(t, os.Remove(path))
		must(t, syscall.Mkfifo(path, 0o600))
		r.w.Set([]File{{Path: path}}) // a reader must not open it either
		r.changed("a pipe in its place")
		r.w.Set([]File{{Path: path}})
		r.quiet("nobody writes to the pipe")

		must(t, os.Remove(path))
		must(t, os.Mkdir(path, 0o755))
		r.changed("a folder in its place")
		r.w.Set([]File{{Path: path}})
		r.quiet("still a folder")

		must(t, os.Remove(path))
		write(t, path, "a file again")
		r.until("a file again")
	})
}

func TestADeviceIsNotRead(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	for _, path := range []string{pipe, "/dev/zero"} {
		if got := look(path); got != (state{fault: special}) {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// The pipe that takes a file's place after it was looked at.
func TestOpeningAPipeDoesNotWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(path, 0o600))
	f, err := open(path)
	must(t, err)
	f.Close()
}
