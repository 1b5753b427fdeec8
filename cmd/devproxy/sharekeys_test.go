package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func openTestKey(t *testing.T, home, folder string) *shareKey {
	t.Helper()
	k, err := openShareKey(home, folder)
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
	if again := openTestKey(t, home, link); !again.Key.Equal(first.Key) {
		t.Error("the folder has another key by another name")
	}
	if other := openTestKey(t, home, t.TempDir()); other.Key.Equal(first.Key) {
		t.Error("two folders have one key")
	}
	if other := openTestKey(t, t.TempDir(), folder); other.Key.Equal(first.Key) {
		t.Error("two homes have one key")
	}
}

// TestShareKeyGenerations: a link that is over, by Next or by its time, does
// not come back.
func TestShareKeyGenerations(t *testing.T) {
	home, folder := t.TempDir(), t.TempDir()
	k := openTestKey(t, home, folder)
	if k.Generation != 0 {
		t.Errorf("the first link is number %d", k.Generation)
	}
	if err := k.Next(); err != nil || k.Generation != 1 {
		t.Fatalf("the next is number %d, %v", k.Generation, err)
	}
	if err := k.Lasts(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	old := openTestKey(t, home, folder)
	if old.Generation != 1 {
		t.Errorf("it comes back as number %d", old.Generation)
	}
	if err := k.Lasts(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if now := openTestKey(t, home, folder); now.Generation != 2 {
			t.Errorf("after its end it is number %d", now.Generation)
		}
	}
	if err := old.Lasts(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if now := openTestKey(t, home, folder); now.Generation != 2 {
		t.Errorf("an older process ended number %d", now.Generation)
	}
	if err := old.Next(); err != nil || old.Generation != 3 {
		t.Errorf("after an older process's Next it is number %d, %v", old.Generation, err)
	}
}

// TestShareKeyTogether has processes begin at once.
func TestShareKeyTogether(t *testing.T) {
	home, folder := t.TempDir(), t.TempDir()
	keys := make([]*shareKey, 8)
	var group sync.WaitGroup
	for i := range keys {
		group.Go(func() {
			k, err := openShareKey(home, folder)
			if err == nil {
				err = k.Next()
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
		if !k.Key.Equal(keys[0].Key) || seen[k.Generation] {
			t.Errorf("key %x, link number %d", k.Key.Public(), k.Generation)
		}
		seen[k.Generation] = true
	}
}

// TestShareKeyIsPrivate: nobody else can read it, whatever it was before.
func TestShareKeyIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no modes here")
	}
	home, folder := t.TempDir(), t.TempDir()
	k := openTestKey(t, home, folder)
	if err := k.Next(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{k.dir, filepath.Join(k.dir, shareKeyFile)} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	openTestKey(t, home, folder)
	for name, want := range map[string]os.FileMode{".": 0o700, shareKeyFile: 0o600, shareLinkFile: 0o600, shareLockFile: 0o600} {
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
		shareKeyFile:  {"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
		shareLinkFile: {"", "{", `{"generation":-1}`},
	} {
		for _, text := range texts {
			home, folder := t.TempDir(), t.TempDir()
			k := openTestKey(t, home, folder)
			path := filepath.Join(k.dir, file)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := openShareKey(home, folder)
			var e *exitError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), path) || !strings.Contains(e.fix, "remove") {
				t.Errorf("%s with %q: %v", file, text, err)
			}
			if after, _ := os.ReadFile(path); string(after) != text {
				t.Errorf("%s with %q was replaced", file, text)
			}
		}
	}
}

// TestRememberedRelay keeps the token from others.
func TestRememberedRelay(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	if none, err := readRelay(home); err != nil || none != (rememberedRelay{}) {
		t.Errorf("before any login: %+v, %v", none, err)
	}
	want := rememberedRelay{Relay: "t.example.com", Token: "secret", Pin: "sha256/x"}
	if err := want.remember(home); err != nil {
		t.Fatal(err)
	}
	if got, err := readRelay(home); err != nil || got != want {
		t.Errorf("remembered %+v, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(home, relayFile))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(home, relayFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var e *exitError
	if _, err := readRelay(home); !errors.As(err, &e) || !strings.Contains(e.fix, "devproxy relay login") {
		t.Errorf("a broken file is %v", err)
	}
}

// TestRememberedRelays: each login keeps its token and pin, the last one is the
// default, and files of older versions are read.
func TestRememberedRelays(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	t.Setenv(relayVariable, "")
	t.Setenv(tokenVariable, "")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	old := `{"relay": "old.example.com", "token": "first", "pin": "sha256/o"}`
	if err := os.WriteFile(filepath.Join(home, relayFile), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, relay := range []rememberedRelay{{Relay: "a.example.com", Token: "a1"}, {Relay: "b.example.com:8443", Token: "b"}, {Relay: "cloudflare"}, {Relay: "a.example.com", Token: "a2", Pin: "sha256/a"}} {
		if err := relay.remember(home); err != nil {
			t.Fatal(err)
		}
	}
	all, err := readRelays(home)
	want := []rememberedRelay{{"a.example.com", "a2", "sha256/a"}, {Relay: "cloudflare"}, {Relay: "b.example.com:8443", Token: "b"}, {"old.example.com", "first", "sha256/o"}}
	if err != nil || !slices.Equal(all, want) {
		t.Errorf("%+v, %v", all, err)
	}
	for name, c := range map[string]struct {
		flag string
		want rememberedRelay
	}{
		"the last login":         {"", want[0]},
		"an earlier one":         {"b.example.com:8443", want[2]},
		"one of an older file":   {"old.example.com", want[3]},
		"the same, with port":    {"old.example.com:443", rememberedRelay{"old.example.com:443", "first", "sha256/o"}},
		"another port":           {"old.example.com:8443", rememberedRelay{Relay: "old.example.com:8443"}},
		"one never logged in to": {"c.example.com", rememberedRelay{Relay: "c.example.com"}},
	} {
		if got, err := findRelays(home, c.flag, nil); err != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	for i := range 2 * maxRemembered {
		if err := (rememberedRelay{Relay: "r" + strconv.Itoa(i) + ".example.com"}).remember(home); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := readRelays(home); err != nil || len(all) != maxRemembered {
		t.Errorf("%d are remembered, %v", len(all), err)
	}
	// An older version reads the last one.
	text, err := os.ReadFile(filepath.Join(home, relayFile))
	var last rememberedRelay
	if err != nil || json.Unmarshal(text, &last) != nil || last.Relay != all[0].Relay && !strings.HasPrefix(last.Relay, "r") {
		t.Errorf("%s, %v", text, err)
	}
}
