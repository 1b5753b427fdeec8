package credentials

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestCallbackKey: it is the same in every folder of a project, different for another
// project or user, and kept for the user alone.
func TestCallbackKey(t *testing.T) {
	store, other := Store{Home: t.TempDir()}, Store{Home: t.TempDir()}
	key := func(s Store, project string) string {
		t.Helper()
		key, err := s.CallbackKey(project)
		if err != nil {
			t.Fatal(err)
		}
		return string(key)
	}
	first := key(store, "shop.localhost")
	if first != key(Store{Home: store.Home}, "shop.localhost") {
		t.Error("the key changes")
	}
	if first == key(store, "shop2.localhost") || first == key(other, "shop.localhost") {
		t.Error("another project or user has the same key")
	}
	info, err := os.Stat(filepath.Join(store.Home, callbacksDir, callbackSecret))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the secret: %v, %v", info, err)
	}
	if keys, err := store.Keys(); err != nil || len(keys) != 0 {
		t.Errorf("the keys of folders are %v, %v", keys, err)
	}
}

func TestCallbackOrigin(t *testing.T) {
	store := Store{Home: t.TempDir()}
	if got := store.CallbackOrigin("shop.localhost"); got != "" {
		t.Errorf("before the first share it is %q", got)
	}
	if _, err := store.CallbackKey("shop.localhost"); err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{"https://callback-a.t.example.com", "https://callback-b.t.example.com:8443", "https://callback-b.t.example.com:8443"} {
		if err := store.SetCallbackOrigin("shop.localhost", origin); err != nil {
			t.Fatal(err)
		}
		if got := store.CallbackOrigin("shop.localhost"); got != origin {
			t.Errorf("it is %q, want %q", got, origin)
		}
	}
	if got := store.CallbackOrigin("other.localhost"); got != "" {
		t.Errorf("another project has %q", got)
	}
	if err := os.WriteFile(store.callbackFile("shop.localhost"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := store.CallbackOrigin("shop.localhost"); got != "" {
		t.Errorf("a broken file has %q", got)
	}
}
