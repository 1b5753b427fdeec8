package answer

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// TestUnreadable looks with the eyes of an ordinary user: root may read
// everything. The file system's user id is a thread's own on Linux.
func TestUnreadable(t *testing.T) {
	f := tree(t, map[string]string{"closed.txt": "a", "closed/index.html": "b", "open.txt": "c"})
	for dir := f.Dir; dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"closed.txt": 0, "closed": 0, "open.txt": 0o644} {
		if err := os.Chmod(filepath.Join(f.Dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		if os.Geteuid() == 0 {
			const nobody = 65534
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			if err := syscall.Setfsuid(nobody); err != nil {
				t.Error(err)
				return
			}
		}
		lookUnreadable(t, f)
	}()
	<-looked
}

func lookUnreadable(t *testing.T, f *plan.Files) {
	if w, err := get(f, "GET", "/open.txt", "", nil); err != nil || w.Body.String() != "c" {
		t.Errorf("a readable file: %q, %v", w.Body, err)
	}
	for _, rest := range []string{"/closed.txt", "/closed/", "/closed/x"} {
		_, err := get(f, "GET", rest, "", nil)
		var unreadable *ReadError
		if !errors.As(err, &unreadable) || !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", rest, err)
		}
	}
	f.Dir = filepath.Join(f.Dir, "closed", "below")
	var unreadable *ReadError
	if _, err := get(f, "GET", "/", "", nil); !errors.As(err, &unreadable) {
		t.Errorf("the folder: %v", err)
	}
}
