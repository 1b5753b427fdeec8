//go:build !windows

package hcl

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMayOwn(t *testing.T) {
	for _, tt := range []struct {
		owner, user int
		sudo        string
		want        bool
	}{
		{1000, 1000, "", true},
		{0, 1000, "", true},
		{1001, 1000, "", false},
		{1001, 1000, "1001", false}, // SUDO_UID counts for root only
		{1000, 0, "", false},
		{1000, 0, "1000", true},
		{1001, 0, "1000", false},
		{1000, 0, "x", false},
		{0, 0, "", true},
	} {
		if got := mayOwn(tt.owner, tt.user, tt.sudo); got != tt.want {
			t.Errorf("%+v: %t", tt, got)
		}
	}
}

// TestLoadForeign checks that Load refuses a file, a Proxyfile.local, a link or a
// folder of another user.
func TestLoadForeign(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	t.Setenv("SUDO_UID", "")
	const nobody = 65534
	for name, give := range map[string]func(t *testing.T, dir string) (blamed string){
		"file": func(t *testing.T, dir string) string { return filepath.Join(dir, "Proxyfile") },
		"local": func(t *testing.T, dir string) string {
			local := filepath.Join(dir, LocalName)
			if err := os.WriteFile(local, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			return local
		},
		"folder": func(_ *testing.T, dir string) string { return dir },
		"link": func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "Proxyfile")
			if err := errors.Join(os.Rename(path, filepath.Join(dir, "real")), os.Symlink("real", path)); err != nil {
				t.Fatal(err)
			}
			return path
		},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "Proxyfile")
		if err := os.WriteFile(path, []byte(smallest), 0o644); err != nil {
			t.Fatal(err)
		}
		blamed := give(t, dir)
		if _, _, err := Load(path, Options{}); err != nil {
			t.Fatalf("%s, before it is given away: %v", name, err)
		}
		if err := os.Lchown(blamed, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		_, _, err := Load(path, Options{})
		var e *FileError
		if !errors.As(err, &e) || !errors.Is(err, ErrForeign) || e.Path != blamed || !strings.Contains(e.Fix, "chown") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
