package credentials

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/failure"
)

func openTestKey(t *testing.T, home, folder string) *Key {
	t.Helper()
	k, err := (Store{Home: home}).OpenKey(folder, "")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestShareKeyIsTheFolders: the same every time, however the folder is spelt,
// and another in every other.
func TestShareKeyIsTheFolders(t *testing.T) {
	home, folder := t.TempDir(), t.TempDir()
	first := openTestKey(t, home, folder)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Skip("this system has no links: ", err)
	}
	if again := openTestKey(t, home, link); !again.Private.Equal(first.Private) {
		t.Error("the folder has another key by another name")
	}
	if other := openTestKey(t, home, t.TempDir()); other.Private.Equal(first.Private) {
		t.Error("two folders have one key")
	}
	if other := openTestKey(t, t.TempDir(), folder); other.Private.Equal(first.Private) {
		t.Error("two homes have one key")
	}
}

// TestShareKeyGenerations: a link that has ended, by Next or by its time, does
// not come back.
func TestShareKeyGenerations(t *testing.T) {
	home, folder := t.TempDir(), t.TempDir()
	k := openTestKey(t, home, folder)
	if k.Generation != 0 {
		t.Errorf("the first link is number %d", k.Generation)
	}
	if err := k.EndLink(); err != nil || k.Generation != 1 {
		t.Fatalf("the next is number %d, %v", k.Generation, err)
	}
	if err := k.SetExpiry(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	old := openTestKey(t, home, folder)
	if old.Generation != 1 {
		t.Errorf("it comes back as number %d", old.Generation)
	}
	if err := k.SetExpiry(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if now := openTestKey(t, home, folder); now.Generation != 2 {
			t.Errorf("after its end it is number %d", now.Generation)
		}
	}
	if err := old.SetExpiry(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if now := openTestKey(t, home, folder); now.Generation != 2 {
		t.Errorf("an older process ended number %d", now.Generation)
	}
	if err := old.EndLink(); err != nil || old.Generation != 3 {
		t.Errorf("after an older process's Next it is number %d, %v", old.Generation, err)
	}
}

// TestShareKeyTogether has processes begin at once.
func TestShareKeyTogether(t *testing.T) {
	home, folder := t.TempDir(), t.TempDir()
	keys := make([]*Key, 8)
	var group sync.WaitGroup
	for i := range keys {
		group.Go(func() {
			k, err := (Store{Home: home}).OpenKey(folder, "")
			if err == nil {
				err = k.EndLink()
			}
			if err != nil {
				t.Error(err)
			}
			keys[i] = k
		})
	}
	group.Wait()
	seen := map[uint64]bool{}
	for _, k := range keys {
		if !k.Private.Equal(keys[0].Private) || seen[k.Generation] {
			t.Errorf("key %x, link number %d", k.Private.Public(), k.Generation)
		}
		seen[k.Generation] = true
	}
}

// TestShareKeyIsPrivate: no one else can read it, whatever its mode was before.
func TestShareKeyIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no modes here")
	}
	home, folder := t.TempDir(), t.TempDir()
	k := openTestKey(t, home, folder)
	if err := k.EndLink(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{k.dir, filepath.Join(k.dir, keyFile)} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	openTestKey(t, home, folder)
	for name, want := range map[string]os.FileMode{".": 0o700, keyFile: 0o600, linkFile: 0o600, lockFile: 0o600} {
		info, err := os.Stat(filepath.Join(k.dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

// TestShareKeyBroken says which file, and what helps. Nothing is replaced: an
// ended link could come back, and a name would be lost.
func TestShareKeyBroken(t *testing.T) {
	for file, texts := range map[string][]string{
		keyFile:  {"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
		linkFile: {"", "{", `{"generation":-1}`},
	} {
		for _, text := range texts {
			home, folder := t.TempDir(), t.TempDir()
			k := openTestKey(t, home, folder)
			path := filepath.Join(k.dir, file)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := (Store{Home: home}).OpenKey(folder, "")
			var e *failure.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), path) || !strings.Contains(e.Fix, "remove") {
				t.Errorf("%s with %q: %v", file, text, err)
			}
			if after, _ := os.ReadFile(path); string(after) != text {
				t.Errorf("%s with %q was replaced", file, text)
			}
		}
	}
}
