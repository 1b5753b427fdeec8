package watch

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// insideVariable is set in the copy of the test binary that runs one test with
// its own limits.
const insideVariable = "WATCH_TEST_INSIDE"

// inside runs the test as root of a user namespace of its own, whose inotify
// limits it may set; false in the process that only waits for it.
func inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) == t.Name() {
		return true
	}
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideVariable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) && os.Getenv("CI") != "true" {
		t.Skip("this system lets no test have a user namespace")
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func limit(t *testing.T, name, value string) {
	t.Helper()
	must(t, os.WriteFile("/proc/sys/user/"+name, []byte(value), 0))
}

// exhausted follows a file under the limit given and returns the notes.
func exhausted(t *testing.T) []string {
	t.Helper()
	_, path := project(t)
	notes := make(chan string, 100)
	r := follow(t, Options{noSafety: true, Note: func(text string) { notes <- text }}, path)
	write(t, path, "new")
	r.until("new")
	write(t, path, "newer")
	r.until("newer")
	close(notes)
	var all []string
	for note := range notes {
		all = append(all, note)
	}
	return all
}

func TestWithoutInstancesFilesArePolled(t *testing.T) {
	if !inside(t) {
		return
	}
	limit(t, "max_inotify_instances", "0")
	notes := exhausted(t)
	if len(notes) != 1 || !strings.Contains(notes[0], "fs.inotify.max_user_instances") {
		t.Errorf("notes: %q", notes)
	}
}

func TestWithoutWatchesFilesArePolled(t *testing.T) {
	if !inside(t) {
		return
	}
	limit(t, "max_inotify_watches", "0")
	notes := exhausted(t)
	if len(notes) != 1 || !strings.Contains(notes[0], "fs.inotify.max_user_watches") {
		t.Errorf("notes: %q", notes)
	}
}

// nobody is the user id of an ordinary user; root may read everything.
const nobody = 65534

func TestAFileThatMayNotBeReadAnyMoreIsSeen(t *testing.T) {
	if os.Getenv(insideVariable) != t.Name() {
		asOrdinaryUser(t)
		return
	}
	dir := os.Getenv("WATCH_TEST_FOLDER")
	path := filepath.Join(dir, "Proxyfile")
	write(t, path, "old")
	r := follow(t, Options{noSafety: true}, path)
	must(t, os.Chmod(path, 0))
	r.until("")
	r.quiet("still unreadable")
	must(t, os.Chmod(path, 0o600))
	r.until("old")
	must(t, os.Chmod(dir, 0o300)) // no folder to watch, but a file to read
	write(t, path, "new")
	r.until("new")
	must(t, os.Chmod(dir, 0o700))
}

// asOrdinaryUser runs the test in a process without root's privileges.
func asOrdinaryUser(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	dir, err := os.MkdirTemp("/tmp", "watch")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideVariable+"="+t.Name(), "WATCH_TEST_FOLDER="+dir)
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		// The test binary lies where only root may look.
		copied := filepath.Join(dir, "test")
		binary, err := os.ReadFile(self)
		must(t, err)
		must(t, os.WriteFile(copied, binary, 0o755))
		must(t, os.Chown(dir, nobody, nobody))
		cmd.Path, cmd.Args[0] = copied, copied
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}
