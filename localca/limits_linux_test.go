package localca

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// insideVariable names the test that runs in its own process.
const insideVariable = "LOCALCA_TEST_INSIDE"

// inside reports whether this is the test's own process; otherwise it runs one,
// made as attr says, and reports what it reported.
func inside(t *testing.T, attr *syscall.SysProcAttr, env ...string) bool {
	t.Helper()
	if os.Getenv(insideVariable) == t.Name() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(append(os.Environ(), insideVariable+"="+t.Name()), env...)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		missingHere(t, "this system lets no test mount in a namespace of its own")
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// ownMounts gives a process a mount namespace; an ordinary user needs a user
// namespace for that.
func ownMounts() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		attr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	return attr
}

// mountTmpfs mounts a tiny disk of a test's own.
func mountTmpfs(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fillDisk leaves so many pages free on the disk of dir; free gives all back.
func fillDisk(t *testing.T, dir string, pages int) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "root-ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, os.Getpagesize())
	size := int64(0)
	for err == nil {
		var n int
		n, err = f.Write(page)
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Truncate(size - int64(pages*len(page))); err != nil {
		t.Fatal(err)
	}
	return func() { os.Remove(path) }
}

func TestFullDisk(t *testing.T) {
	if !inside(t, ownMounts()) {
		return
	}
	for _, state := range []string{"", "nothing but leftovers", "expired root"} {
		for pages := range 2 { // key and certificate need one each
			dir := mountTmpfs(t)
			for _, s := range states {
				if s.name == state {
					mustOpen(t, dir)
					s.spoil(t, dir)
				}
			}
			before := snapshot(t, dir)
			withoutLeftovers(before)
			sweep(filepath.Join(dir, keyFile))
			sweep(filepath.Join(dir, rootFile))
			free := fillDisk(t, dir, pages)
			_, err := Open(dir)
			if _, ok := errors.AsType[*StoreError](err); !ok || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
				t.Errorf("%q with %d pages: %v, want a StoreError with the fix", state, pages, err)
			}
			free()
			if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
				t.Errorf("%q with %d pages: a full disk changed the folder:\n%s", state, pages, diff)
			}
			mustWork(t, mustOpen(t, dir))
			nothingLost(t, dir, before)
		}
	}
}

func TestReadOnlyFolder(t *testing.T) {
	if !inside(t, ownMounts()) {
		return
	}
	dir := mountTmpfs(t)
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	for _, dir := range []string{dir, filepath.Join(dir, "ca")} {
		_, err := Open(dir)
		if _, ok := errors.AsType[*StoreError](err); !ok || !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), HomeVariable) {
			t.Errorf("Open(%q): %v, want a StoreError with the fix", dir, err)
		}
		if _, err := Load(dir); !errors.Is(err, ErrNoCA) {
			t.Errorf("Load(%q): %v, want ErrNoCA", dir, err)
		}
	}
	remount(0)
	made := mustOpen(t, dir)
	remount(syscall.MS_RDONLY)
	found := mustOpen(t, dir)
	mustWork(t, found)
	if !found.Root().Equal(made.Root()) {
		t.Error("another root")
	}
	remount(0)
	if err := os.Chmod(filepath.Join(dir, keyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	remount(syscall.MS_RDONLY)
	if _, err := Open(dir); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read, and that cannot be made private: %v", err)
	}
}

// An account that owns nothing.
const nobody = 65534

// folderVariable names the folder an ordinary user's test owns.
const folderVariable = "LOCALCA_TEST_FOLDER"

// ordinaryFolder makes a folder that nobody owns, where this process is root.
func ordinaryFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if os.Getuid() == 0 {
		// A test's temporary folder lies in one that is closed to others.
		err := errors.Join(os.Chmod(filepath.Dir(folder), 0o755), os.Chown(folder, nobody, nobody))
		if err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestOrdinaryUser(t *testing.T) {
	folder := os.Getenv(folderVariable)
	if folder == "" {
		folder = ordinaryFolder(t)
	}
	if !inside(t, nil, folderVariable+"="+folder) {
		return
	}
	// The privileges go here and not in exec, because such a user need not be
	// allowed to read the test's binary.
	if os.Getuid() == 0 {
		for _, err := range []error{syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := filepath.Join(folder, "ca")
	refused := func(what, dir string) {
		t.Helper()
		_, err := Open(dir)
		if _, ok := errors.AsType[*StoreError](err); !ok || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), HomeVariable) {
			t.Errorf("%s: Open: %v, want a StoreError with the fix", what, err)
		}
	}
	chmod := func(path string, mode fs.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	mode := func(path string) fs.FileMode {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}

	refused("another user's folder", "/")
	refused("a new one in another user's folder", "/localca-test")
	chmod(folder, 0o500)
	refused("a parent that cannot be written", dir)
	chmod(folder, 0o700)

	made := mustOpen(t, dir)
	key := filepath.Join(dir, keyFile)
	before := snapshot(t, dir)
	chmod(dir, 0)
	refused("a closed folder", dir)
	if _, err := Open(dir); err == nil || !strings.HasPrefix(err.Error(), "can't read") {
		t.Errorf("a closed folder: %v, want an error that it cannot be read", err)
	}
	if _, err := Load(dir); !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrNoCA) {
		t.Errorf("Load from a closed folder: %v", err)
	}
	chmod(dir, 0o500)
	mustWork(t, mustOpen(t, dir)) // a sound CA can be used
	chmod(key, 0)
	refused("a closed key", dir)
	chmod(key, 0o400)
	chmod(dir, 0o700)
	mustWork(t, mustOpen(t, dir))
	chmod(key, 0o644)
	chmod(dir, 0o777)
	mustWork(t, mustOpen(t, dir))
	if mode(key) != 0o600 || mode(dir) != 0o700 {
		t.Errorf("key %o in folder %o, want 600 in 700", mode(key), mode(dir))
	}
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Error(diff)
	}

	remove(t, dir, rootFile)
	chmod(dir, 0o500)
	refused("a broken CA that cannot be repaired", dir)
	chmod(dir, 0o700)
	if healed := mustOpen(t, dir); !healed.key.Equal(made.key) {
		t.Error("the key was not kept")
	}

	// A folder with other things in it keeps its mode.
	writeFile(t, filepath.Join(dir, "notes.txt"), "")
	chmod(dir, 0o755)
	mustWork(t, mustOpen(t, dir))
	if mode(dir) != 0o755 {
		t.Errorf("a shared folder became %o", mode(dir))
	}
	chmod(dir, 0o777)
	refused("a folder where others can put a root", dir)
}

// TestFolderOfNowhere: a relative path says nothing once the folder it begins in is gone.
func TestFolderOfNowhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("ca"); err == nil || !strings.Contains(err.Error(), "find the folder") {
		t.Errorf("Open: %v", err)
	}
	if _, err := Load("ca"); err == nil || !strings.Contains(err.Error(), "find the folder") {
		t.Errorf("Load: %v", err)
	}
}

// TestSyncDir: a folder that cannot be synced, as in /proc, is as good as one that is;
// one that is not there is not.
func TestSyncDir(t *testing.T) {
	for dir, fine := range map[string]bool{t.TempDir(): true, "/proc": true, filepath.Join(t.TempDir(), "none"): false} {
		if err := syncDir(dir); (err == nil) != fine {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
