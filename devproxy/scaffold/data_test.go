package scaffold

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadEnvironment(t *testing.T) {
	vars := map[string]string{}
	readEnvironment(vars, `# comment
PORT=3000
export HOST = 127.0.0.1
QUOTED="a b # c"
SINGLE='$PORT'
URL=http://localhost:${PORT}/x
DEFAULT=${NONE:-8080}
TRAILING=1 # comment
EMPTY=
NOTHING=# comment
not a line
=x
COMMAND=$(touch /tmp/never)
`)
	want := map[string]string{
		"PORT": "3000", "HOST": "127.0.0.1", "QUOTED": "a b # c", "SINGLE": "$PORT", "URL": "http://localhost:3000/x", "DEFAULT": "8080",
		"TRAILING": "1", "EMPTY": "", "NOTHING": "", "COMMAND": "",
	}
	if diff := cmp.Diff(want, vars); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEnvironmentFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		".env": "PORT=1000\nA=1", ".env.local": "PORT=1001", ".env.example": "PORT=1002\nB=2",
		"sample/.env.example": "PORT=1003", "empty/x": "",
	} {
		putFile(t, dir+"/"+name, []byte(text))
	}
	r, err := openRepository(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for _, c := range []struct{ folder, name, want string }{
		{".", "PORT", "1001"},
		{".", "A", "1"},
		{".", "B", ""}, // a sample counts only without a file
		{"sample", "PORT", "1003"},
		{"empty", "PORT", ""}, // the project's PORT is not that of every folder
		{"empty", "A", "1"},
	} {
		if got, _ := r.variable(c.folder, c.name); got != c.want {
			t.Errorf("%s in %s: %q, want %q", c.name, c.folder, got, c.want)
		}
	}
}
