package localca

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"
)

func TestOpenKeepsTheRoot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "ca")
	if _, err := Load(dir); !errors.Is(err, ErrNoCA) {
		t.Fatalf("Load of nothing: %v, want ErrNoCA", err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("Load made a folder")
	}
	first := mustOpen(t, dir)
	if fresh, reason := first.Fresh(); !fresh || reason != "none existed yet" {
		t.Errorf("Fresh() = %v, %q", fresh, reason)
	}
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, again := range []*CA{mustOpen(t, dir), loaded} {
		if fresh, reason := again.Fresh(); fresh || reason != "" {
			t.Errorf("Fresh() = %v, %q", fresh, reason)
		}
		if !again.Root().Equal(first.Root()) || !again.key.Equal(first.key) {
			t.Error("another root")
		}
	}
	text, err := os.ReadFile(first.RootFile())
	if err != nil || string(text) != string(first.RootPEM()) || !filepath.IsAbs(first.RootFile()) {
		t.Errorf("RootFile() = %q, %v", first.RootFile(), err)
	}
	if runtime.GOOS == "windows" {
		return // no mode bits
	}
	for path, want := range map[string]fs.FileMode{
		filepath.Dir(dir): 0o700, dir: 0o700,
		filepath.Join(dir, keyFile): 0o600, filepath.Join(dir, rootFile): 0o644, filepath.Join(dir, lockFile): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %o", path, info.Mode(), err, want)
		}
	}
}

// states are the ways a folder can be broken, by what is done to that of a good CA.
var states = []struct {
	name    string
	spoil   func(t testing.TB, dir string)
	reason  string // part of Fresh's
	keepKey bool   // the key goes on
	asides  int
}{
	{"key without certificate", func(t testing.TB, dir string) { remove(t, dir, rootFile) }, "root.pem was missing", true, 0},
	{"certificate without key", func(t testing.TB, dir string) { remove(t, dir, keyFile) }, "root-key.pem was missing", false, 1},
	{"nothing but leftovers", func(t testing.TB, dir string) {
		remove(t, dir, keyFile)
		remove(t, dir, rootFile)
		writeFile(t, filepath.Join(dir, ".root.pem.tmp-123"), "half")
		writeFile(t, filepath.Join(dir, ".root-key.pem.tmp-123"), "half")
	}, "none existed yet", false, 0},
	{"empty key", func(t testing.TB, dir string) { writeFile(t, filepath.Join(dir, keyFile), "") }, "root-key.pem was broken: it is empty", false, 2},
	{"truncated key", func(t testing.TB, dir string) { truncate(t, dir, keyFile) }, "root-key.pem was broken", false, 2},
	{"garbage key", func(t testing.TB, dir string) {
		writeFile(t, filepath.Join(dir, keyFile), string(encodePEM(keyBlock, []byte("no key"))))
	}, "it has no private key", false, 2},
	{"certificate as key", func(t testing.TB, dir string) { copyFile(t, dir, rootFile, keyFile) }, "has a CERTIFICATE instead of a PRIVATE KEY", false, 2},
	{"empty certificate", func(t testing.TB, dir string) { writeFile(t, filepath.Join(dir, rootFile), "") }, "root.pem was broken: it is empty", true, 1},
	{"truncated certificate", func(t testing.TB, dir string) { truncate(t, dir, rootFile) }, "root.pem was broken", true, 1},
	{"garbage certificate", func(t testing.TB, dir string) {
		writeFile(t, filepath.Join(dir, rootFile), string(encodePEM(certificateBlock, []byte("no cert"))))
	}, "it has no certificate", true, 1},
	{"huge certificate", func(t testing.TB, dir string) {
		writeFile(t, filepath.Join(dir, rootFile), strings.Repeat("#", maxFile+1))
	}, "far too large", true, 1},
	{"two certificates", func(t testing.TB, dir string) {
		text, _ := os.ReadFile(filepath.Join(dir, rootFile))
		writeFile(t, filepath.Join(dir, rootFile), string(text)+string(text))
	}, "more than one PEM block", true, 1},
	{"folder as certificate", func(t testing.TB, dir string) {
		remove(t, dir, rootFile)
		if err := os.Mkdir(filepath.Join(dir, rootFile), 0o700); err != nil {
			t.Fatal(err)
		}
	}, "root.pem was broken: it is not a file", true, 1},
	{"certificate of another key", func(t testing.TB, dir string) {
		other := t.TempDir()
		mustOpen(t, other)
		text, _ := os.ReadFile(filepath.Join(other, rootFile))
		writeFile(t, filepath.Join(dir, rootFile), string(text))
	}, "root.pem did not belong to root-key.pem", true, 1},
	{"leaf as certificate", func(t testing.TB, dir string) {
		ca := mustOpen(t, dir)
		leaf, err := ca.Issue("localhost")
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, rootFile), string(encodePEM(certificateBlock, leaf.Certificate[0])))
	}, "did not belong", true, 1},
	{"expired root", func(t testing.TB, dir string) {
		remove(t, dir, keyFile)
		remove(t, dir, rootFile)
		openAt(t, dir, time.Now().AddDate(-rootYears, 0, -1))
	}, "root.pem expired on", false, 2},
}

func remove(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func truncate(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.Truncate(filepath.Join(dir, name), 100); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, dir, from, to string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, from))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, to), string(text))
}

func TestBrokenStatesHeal(t *testing.T) {
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			dir := t.TempDir()
			old := mustOpen(t, dir)
			state.spoil(t, dir)
			before := snapshot(t, dir)
			if _, err := Load(dir); !errors.Is(err, ErrNoCA) || !strings.Contains(err.Error(), state.reason) {
				t.Errorf("Load: %v, want ErrNoCA because %q", err, state.reason)
			}
			if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
				t.Errorf("Load changed the folder:\n%s", diff)
			}
			healed := mustOpen(t, dir)
			if fresh, reason := healed.Fresh(); !fresh || !strings.Contains(reason, state.reason) {
				t.Errorf("Fresh() = %v, %q; want %q", fresh, reason, state.reason)
			}
			mustWork(t, healed)
			if healed.key.Equal(old.key) != state.keepKey {
				t.Errorf("the key was kept: %v, want %v", !state.keepKey, state.keepKey)
			}
			if state.keepKey { // clients that trust the old root accept the new leaves
				leaf, err := healed.Issue("shop.localhost")
				if err != nil {
					t.Fatal(err)
				}
				if err := verify(old.Root(), leaf.Leaf, "shop.localhost", time.Now()); err != nil {
					t.Errorf("by the old root: %v", err)
				}
			}
			if kept := asides(t, dir); len(kept) != state.asides {
				t.Errorf("kept aside: %q, want %d files", kept, state.asides)
			}
			nothingLost(t, dir, before)
			noTemporaryFiles(t, dir)
			again := mustOpen(t, dir)
			if fresh, _ := again.Fresh(); fresh || !again.Root().Equal(healed.Root()) {
				t.Error("the next Open makes another root")
			}
		})
	}
}

// mustWork issues a leaf and verifies it.
func mustWork(t testing.TB, ca *CA) {
	t.Helper()
	leaf, err := ca.Issue("shop.localhost")
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(ca.Root(), leaf.Leaf, "shop.localhost", time.Now()); err != nil {
		t.Fatal(err)
	}
}

// nothingLost looks for the content of each file of a snapshot, under any name.
func nothingLost(t testing.TB, dir string, before map[string]string) {
	t.Helper()
	now := map[string]bool{}
	for _, text := range snapshot(t, dir) {
		now[text] = true
	}
	for name, text := range before {
		if !now[text] && !strings.Contains(name, tempMark) {
			t.Errorf("the content of %s is gone", name)
		}
	}
}

// TestUnsafeRootIsReplaced: a root that could sign more than it should is not
// used, nor is its key, though the two agree.
func TestUnsafeRootIsReplaced(t *testing.T) {
	_, everything, err := net.ParseCIDR("0.0.0.0/0")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		reason string
		change func(*x509.Certificate)
	}{
		{"constrained", func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.PermittedIPRanges, c.PermittedDNSDomainsCritical = nil, nil, false
		}},
		{"constrained", func(c *x509.Certificate) { c.PermittedDNSDomainsCritical = false }},
		{"constrained", func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"localhost", "com"} }},
		{"constrained", func(c *x509.Certificate) { c.PermittedDNSDomains = nil }},
		{"constrained", func(c *x509.Certificate) { c.PermittedIPRanges[0] = everything }},
		{"constrained", func(c *x509.Certificate) { c.PermittedIPRanges = nil }},
		{"path length 0", func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 1, false }},
		{"path length 0", func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = -1, false }},
		{"path length 0", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }},
		{"TLS servers", func(c *x509.Certificate) { c.ExtKeyUsage = nil }},
		{"TLS servers", func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) }},
		{"signature", nil},
	}
	for _, test := range tests {
		dir := t.TempDir()
		ca := mustOpen(t, dir)
		der := slices.Clone(ca.root.Raw)
		if test.change != nil {
			der = selfSigned(t, ca, test.change)
		} else {
			der[len(der)-1] ^= 1 // in the last number of the signature
		}
		writeFile(t, filepath.Join(dir, rootFile), string(encodePEM(certificateBlock, der)))
		healed := mustOpen(t, dir)
		if _, reason := healed.Fresh(); !strings.Contains(reason, "not safe to use") || !strings.Contains(reason, test.reason) {
			t.Errorf("reason %q, want %q", reason, test.reason)
		}
		if healed.key.Equal(ca.key) {
			t.Errorf("%s: the key is used again", test.reason)
		}
	}
}

// TestWrongClock: a root is not given up because the clock lost its battery.
func TestWrongClock(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir)
	before := snapshot(t, dir)
	s, err := newStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return time.Unix(0, 0) }
	if _, err := s.open(); err == nil || errors.Is(err, ErrNoCA) || !strings.Contains(err.Error(), "clock") {
		t.Errorf("in 1970: %v", err)
	}
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestTwoExpiriesInOneSecond(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	openAt(t, dir, now)
	for range 3 {
		writeFile(t, filepath.Join(dir, rootFile), "")
		openAt(t, dir, now)
	}
	if kept := asides(t, dir); len(kept) != 3 {
		t.Errorf("kept aside: %q, want 3 files", kept)
	}
}

// TestProcessesMakeOneRoot starts processes, lets them all go at once, and has
// goroutines of this one join in.
func TestProcessesMakeOneRoot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	type child struct {
		wait func() error
		out  func() string
	}
	var children []child
	var gates []func() error
	for range 4 {
		cmd, stdout, stderr := childCommand(t, dir, 0)
		gate, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		gates = append(gates, gate.Close)
		children = append(children, child{cmd.Wait, func() string { return stdout.String() + stderr.String() }})
	}
	var mu sync.Mutex
	roots := map[string]int{} // by serial number
	made := 0
	count := func(serial string, fresh bool) {
		mu.Lock()
		defer mu.Unlock()
		roots[serial]++
		if fresh {
			made++
		}
	}
	for _, open := range gates {
		open()
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			ca, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			fresh, _ := ca.Fresh()
			count(ca.Root().SerialNumber.String(), fresh)
		})
	}
	wg.Wait()
	for _, c := range children {
		if err := c.wait(); err != nil {
			t.Fatalf("%v: %s", err, c.out())
		}
		serial, fresh, _ := strings.Cut(strings.TrimSpace(c.out()), " ")
		count(serial, fresh == "true")
	}
	if len(roots) != 1 || made != 1 {
		t.Errorf("%d roots, made by %d; want one: %v", len(roots), made, roots)
	}
}

// TestLockIsHeldWhileARootIsMade stops one Open in the middle; another waits.
func TestLockIsHeldWhileARootIsMade(t *testing.T) {
	dir := t.TempDir()
	slow, err := newStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	slow.steps = func(string) error {
		once.Do(func() { close(entered); <-leave })
		return nil
	}
	done := make(chan *CA)
	go func() {
		ca, err := slow.open()
		if err != nil {
			t.Error(err)
		}
		done <- ca
	}()
	<-entered
	hasty, _ := newStore(dir)
	hasty.lockWait = 30 * time.Millisecond
	_, err = hasty.open()
	busy, ok := errors.AsType[*StoreError](err)
	if !ok || busy.Path != filepath.Join(dir, lockFile) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("while the lock is held: %v, want a StoreError that names the lock", err)
	}
	close(leave)
	first := <-done
	if second := mustOpen(t, dir); !second.Root().Equal(first.Root()) {
		t.Error("two roots")
	}
}

// TestSoundCANeedsNoLock: a lock that hangs does not stop work.
func TestSoundCANeedsNoLock(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir)
	lock := flock.New(filepath.Join(dir, lockFile))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer lock.Close()
	mustOpen(t, dir)
}

func TestFolderIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "mine")
	for _, dir := range []string{file, filepath.Join(file, "ca")} {
		_, err := Open(dir)
		if _, ok := errors.AsType[*StoreError](err); !ok || !strings.Contains(err.Error(), HomeVariable) {
			t.Errorf("Open(%q): %v, want a StoreError with the fix", dir, err)
		}
		if _, err := Load(dir); err == nil || errors.Is(err, ErrNoCA) {
			t.Errorf("Load(%q): %v", dir, err)
		}
	}
	if text, _ := os.ReadFile(file); string(text) != "mine" {
		t.Error("the file was changed")
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, want := range []string{"first", "second"} {
		if err := WriteFile(path, []byte(want), 0o640); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || string(text) != want {
			t.Errorf("read %q, %v; want %q", text, err, want)
		}
	}
	if info, err := os.Stat(path); runtime.GOOS != "windows" && (err != nil || info.Mode().Perm() != 0o640) {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := WriteFile(filepath.Join(path, "x"), nil, 0o600); err == nil {
		t.Error("wrote into a file")
	}
	folder := filepath.Join(filepath.Dir(path), "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(folder, []byte("third"), 0o600); err == nil {
		t.Error("a folder was replaced by a file")
	}
	noTemporaryFiles(t, filepath.Dir(path))
}

// TestStepOfOneFile: whichever step of writing one file fails, nothing is left of it,
// and the failure is told.
func TestStepOfOneFile(t *testing.T) {
	for failing := range 5 {
		path := filepath.Join(t.TempDir(), "state")
		writeFile(t, path, "old")
		step := -1
		steps := steps(func(string) error {
			if step++; step == failing {
				return syscall.ENOSPC
			}
			return nil
		})
		staged, err := steps.stage(path, []byte("new"), 0o600)
		if err == nil {
			err = staged.commit()
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("step %d: %v", failing, err)
		}
		text, _ := os.ReadFile(path)
		if want := map[bool]string{true: "new", false: "old"}[failing == 4]; string(text) != want { // the name has been given
			t.Errorf("step %d: the file holds %q", failing, text)
		}
		noTemporaryFiles(t, filepath.Dir(path))
	}
}

// TestFixes: each way a folder is known to fail has advice of its own.
func TestFixes(t *testing.T) {
	for _, test := range []struct {
		err error
		fix string
	}{
		{syscall.ENOSPC, "free some space"},
		{syscall.EDQUOT, "free some space"},
		{syscall.EROFS, "set a writable folder"},
		{syscall.ENOTDIR, "a file is where a folder should be"},
		{fs.ErrPermission, "ls -ld"},
		{errors.New("anything else"), "if that persists"},
	} {
		for name, err := range map[string]error{
			"alone": test.err, "of a path": &fs.PathError{Op: "open", Path: "temporary", Err: test.err}, "of a link": &os.LinkError{Op: "rename", Old: "temporary", New: "x", Err: test.err},
		} {
			got := storeError("write", "/the/path", err)
			if !strings.Contains(got.Fix, test.fix) || !strings.Contains(got.Fix, HomeVariable) || !errors.Is(got, test.err) || strings.Contains(got.Error(), "temporary") || !strings.Contains(got.Error(), "/the/path") {
				t.Errorf("%v %s: %v", test.err, name, got)
			}
		}
	}
}

// FuzzOpen puts anything into the two files: Open always gives a CA that works,
// and loses nothing.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	mustOpen(f, dir)
	good := snapshot(f, dir)
	f.Add([]byte(good[keyFile]), []byte(good[rootFile]))
	f.Add([]byte(good[keyFile]), []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Add([]byte(good[rootFile]), []byte{})
	f.Fuzz(func(t *testing.T, key, root []byte) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, keyFile), string(key))
		writeFile(t, filepath.Join(dir, rootFile), string(root))
		before := snapshot(t, dir)
		mustWork(t, mustOpen(t, dir))
		nothingLost(t, dir, before)
		noTemporaryFiles(t, dir)
		if fresh, reason := mustOpen(t, dir).Fresh(); fresh {
			t.Errorf("the next Open makes another root: %s", reason)
		}
	})
}
