package machine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestKeysWorkOnce also when many processes get the same key at once: one of them
// returns a token, which all of them know.
func TestKeysWorkOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	key, expires, err := NewKey(dir)
	must(t, err)
	if left := time.Until(expires); left > keyLife || left < keyLife/2 {
		t.Errorf("the key expires in %v", left)
	}
	var tokens sync.Map
	var worked atomic.Int32
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if token, err := keysIn(dir).exchange(key); err == nil {
				worked.Add(1)
				tokens.Store("token", token)
			} else if !errors.Is(err, errKey) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	token, _ := tokens.Load("token")
	if worked.Load() != 1 || !keysIn(dir).valid(token.(string)) {
		t.Errorf("%d of 50 got a token", worked.Load())
	}
	if another, _, err := NewKey(dir); err != nil || another == key || len(another) < 43 {
		t.Errorf("the next key is %q, %v", another, err)
	}
}

// TestKeysAreKeptAsHashes in files that only this user can open.
func TestKeysAreKeptAsHashes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	key, _, err := NewKey(dir)
	must(t, err)
	k := keysIn(dir)
	token, err := k.exchange(key)
	must(t, err)
	must(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		must(t, err)
		info, err := entry.Info()
		must(t, err)
		if strings.Contains(path, token) || strings.Contains(path, key) || info.Mode().Perm()&0o077 != 0 || !entry.IsDir() && info.Size() > 0 {
			t.Errorf("%s, %v, %d bytes", path, info.Mode(), info.Size())
		}
		return nil
	}))
	for _, wrong := range []string{"", key, token + "x", token[1:], "../" + filepath.Base(k.path(tokenKind, token)), filepath.Base(k.path(tokenKind, token)), strings.ToUpper(token)} {
		if k.valid(wrong) {
			t.Errorf("%q opens the page", wrong)
		}
		if _, err := k.exchange(wrong); !errors.Is(err, errKey) {
			t.Errorf("%q as a key: %v", wrong, err)
		}
	}
	if _, err := k.exchange(token); !errors.Is(err, errKey) {
		t.Errorf("a token as a key: %v", err)
	}
	must(t, os.Chmod(dir, 0o700))
	must(t, os.RemoveAll(dir))
	if k.valid(token) {
		t.Error("a token without a file opens the page")
	}
}

// TestKeysExpire by the time of their files, also if the clock is set back.
func TestKeysExpire(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	k := keysIn(dir)
	for kind, life := range map[string]time.Duration{keyKind: keyLife, tokenKind: tokenLife} {
		for age, want := range map[time.Duration]bool{life - time.Minute/2: true, life + time.Second: false, -time.Hour: false} {
			secret, _, err := k.add(kind)
			must(t, err)
			made := time.Now().Add(-age)
			must(t, os.Chtimes(k.path(kind, secret), made, made))
			if got := k.has(kind, life, secret); got != want {
				t.Errorf("%s after %v: %v, want %v", kind, age, got, want)
			}
			k.prune()
			if _, err := os.Stat(k.path(kind, secret)); (err == nil) != want {
				t.Errorf("%s after %v and prune: %v", kind, age, err)
			}
		}
	}
}

// TestKeysNeedAPrivateFolder: one that is not a folder is refused.
func TestKeysNeedAPrivateFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	must(t, os.WriteFile(dir, nil, 0o600))
	if _, _, err := NewKey(dir); err == nil {
		t.Error("a key was kept in a file")
	}
}
