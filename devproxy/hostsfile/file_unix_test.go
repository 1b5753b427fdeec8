//go:build unix

package hostsfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

func hostsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path, user string, names ...string) {
	t.Helper()
	if _, err := Write(t.Context(), path, user, names); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWriteKeepsTheFile checks the mode, and that a link stays a link, with its file in
// another folder. Nothing else is left in the folders.
func TestWriteKeepsTheFile(t *testing.T) {
	path := hostsFile(t, common)
	link := filepath.Join(t.TempDir(), "hosts")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	write(t, link, "1000", "shop.localhost")
	if target, err := os.Readlink(link); err != nil || target != path {
		t.Errorf("the link became %q, %v", target, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("the mode became %v, %v", info.Mode(), err)
	}
	if changed, err := Write(t.Context(), link, "1000", []string{"shop.localhost"}); changed || err != nil {
		t.Errorf("the same names again: %v, %v", changed, err)
	}
	write(t, link, "1000")
	if got := content(t, path); got != common {
		t.Errorf("clean leaves %q", got)
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(link)} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%s has %v, %v", dir, entries, err)
		}
	}
}

// TestWriteInPlace has a file with two names, which a rename would separate.
func TestWriteInPlace(t *testing.T) {
	path := hostsFile(t, common+"10.0.0.1 nas")
	other := path + "-too"
	if err := os.Link(path, other); err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{"a.localhost", "b.localhost"}, {"b.localhost"}, {"b.localhost", "c.localhost"}, nil} {
		write(t, path, "1000", names...)
		want := edit(t, common+"10.0.0.1 nas", "1000", names...)
		if got := content(t, other); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestWriters has several users write at once, by rename and in place. A reader always
// sees the user's lines, and whole lines.
func TestWriters(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprintf("in place %v", inPlace), func(t *testing.T) {
			original := common + "10.0.0.1 nas"
			path := hostsFile(t, original)
			if inPlace {
				if err := os.Link(path, path+"-too"); err != nil {
					t.Fatal(err)
				}
			}
			const users, rounds = 4, 20
			var writers, reader sync.WaitGroup
			var over atomic.Bool
			reader.Go(func() {
				for !over.Load() {
					text, err := os.ReadFile(path)
					if err != nil || !strings.HasPrefix(string(text), original) {
						t.Errorf("a reader gets %q, %v", text, err)
						return
					}
				}
			})
			for user := range users {
				writers.Go(func() {
					id := strconv.Itoa(1000 + user)
					for round := range rounds {
						names := []string{fmt.Sprintf("n%d-%d.localhost", user, round), fmt.Sprintf("m%d.localhost", user)}
						if _, err := Write(t.Context(), path, id, names[:1+round%2]); err != nil {
							t.Error(err)
						}
					}
				})
			}
			writers.Wait()
			over.Store(true)
			reader.Wait()
			for user := range users {
				id := strconv.Itoa(1000 + user)
				names, err := Names([]byte(content(t, path)), id)
				if err != nil || len(names) != 2 {
					t.Errorf("user %s has %q, %v", id, names, err)
				}
				write(t, path, id)
			}
			if got := content(t, path); got != original {
				t.Errorf("at the end %q", got)
			}
		})
	}
}

// TestLeftover has the new file of a writer that was killed, and one in the way.
func TestLeftover(t *testing.T) {
	path := hostsFile(t, common)
	temp := filepath.Join(filepath.Dir(path), ".hosts.devproxy")
	if err := os.WriteFile(temp, []byte(strings.Repeat("x", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, path, "1000", "shop.localhost")
	if got := content(t, path); got != edit(t, common, "1000", "shop.localhost") {
		t.Errorf("%q", got)
	}
	// A link in the place of the new file is not followed.
	secret := hostsFile(t, "secret")
	if err := os.Symlink(secret, temp); err != nil {
		t.Fatal(err)
	}
	write(t, path, "1000", "blog.localhost")
	if got := content(t, secret); got != "secret" {
		t.Errorf("the link was followed: %q", got)
	}
	if got := content(t, path); got != edit(t, common, "1000", "blog.localhost") {
		t.Errorf("%q", got)
	}
}

func TestNotAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	if _, err := Write(t.Context(), path, "1000", []string{"a.localhost"}); !os.IsNotExist(err) {
		t.Errorf("a file that does not exist: %v", err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), path, "1000", []string{"a.localhost"}); err == nil {
		t.Error("a named pipe is written")
	}
	wide := hostsFile(t, "\xff\xfea\x00")
	if _, err := Write(t.Context(), wide, "1000", []string{"a.localhost"}); err == nil || content(t, wide) != "\xff\xfea\x00" {
		t.Errorf("UTF-16: %v", err)
	}
}
