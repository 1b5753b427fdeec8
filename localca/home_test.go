package localca

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// env is an environment for a test.
type env map[string]string

func (e env) get(name string) string { return e[name] }

func TestHome(t *testing.T) {
	own := t.TempDir()
	if got, err := Home(env{HomeVariable: own + string(filepath.Separator)}.get); got != own || err != nil {
		t.Errorf("Home() = %q, %v; want %q", got, err, own)
	}
	if got, err := Home(env{HomeVariable: "state", "HOME": own}.get); err == nil || !strings.Contains(err.Error(), HomeVariable) {
		t.Errorf("a relative folder gives %q, %v; want an error that names the variable", got, err)
	}
	base := own
	got, err := Home(env{"HOME": base, "LocalAppData": base}.get)
	if err != nil || filepath.Base(got) != homeFolder || !strings.HasPrefix(got, base) {
		t.Errorf("Home() = %q, %v; want a folder of ours below %q", got, err, base)
	}
}

func TestDataDir(t *testing.T) {
	tests := []struct {
		goos string
		env  env
		want string // empty means an error
	}{
		{"linux", env{"HOME": "/home/a"}, "/home/a/.local/share"},
		{"linux", env{"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, "/data"},
		{"linux", env{"HOME": "/home/a", "XDG_DATA_HOME": "data"}, "/home/a/.local/share"},
		{"linux", env{}, ""},
		{"linux", env{"HOME": "a"}, ""},
		{"darwin", env{"HOME": "/Users/a", "XDG_DATA_HOME": "/data"}, "/Users/a/Library/Application Support"},
		{"darwin", env{}, ""},
		{"windows", env{"LocalAppData": `C:\Users\a\AppData\Local`, "HOME": "/home/a"}, `C:\Users\a\AppData\Local`},
		{"windows", env{"HOME": "/home/a"}, ""},
	}
	for _, test := range tests {
		if runtime.GOOS == "windows" && test.goos != "windows" {
			continue // /home/a is not an absolute path there
		}
		got, err := dataDir(test.goos, test.env.get)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s %v: %q, %v; want %q", test.goos, test.env, got, err, test.want)
		}
		if err != nil && !strings.Contains(err.Error(), HomeVariable) {
			t.Errorf("%s: %q does not say what to set", test.goos, err)
		}
	}
}
