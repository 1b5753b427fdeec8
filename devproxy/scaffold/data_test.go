package scaffold

import (
	"fmt"
	"strings"
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

func TestYAML(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x]\n")
	for i := range 60 {
		fmt.Fprintf(&bomb, "a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	dir := t.TempDir()
	putFile(t, dir+"/bomb.yaml", []byte(bomb.String()))
	putFile(t, dir+"/merge.yaml", []byte("base: &base { port: 1, host: a }\nother: &other { host: b, path: c }\nweb:\n  <<: [*base, *other]\n  port: 2\n"))
	r, err := openRepository(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if _, ok := r.yaml("bomb.yaml"); !ok { // within the time of a test
		t.Error("aliases of aliases are valid YAML")
	}
	v, ok := r.yaml("merge.yaml")
	for at, want := range map[string]string{"web.port": "2", "web.host": "a", "web.path": "c"} {
		if got := v.At(at); !ok || got.Text != want {
			t.Errorf("%s: %q, want %q", at, got.Text, want)
		}
	}
	if port := v.At("web.port"); port.Line != 5 || port.Port() != 2 {
		t.Errorf("port %d on line %d, want 2 on line 5", port.Port(), port.Line)
	}
}

func TestTOML(t *testing.T) {
	dir := t.TempDir()
	putFile(t, dir+"/x.toml", []byte("[dev]\nport = 8787\non = true\nname = \"3000\"\nlist = [\"a\"]\n"))
	r, err := openRepository(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	v := r.toml("x.toml")
	if v.At("dev.port").Port() != 8787 || !v.At("dev.on").Is(true) || v.At("dev.name").Text != "3000" || v.At("dev.list").Item(0).Text != "a" {
		t.Errorf("%+v", v)
	}
}
