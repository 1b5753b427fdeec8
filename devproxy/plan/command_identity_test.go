package plan

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// commandOf is the effect of the only command of a Proxyfile with these lines, in a
// worktree if tree is not nil.
func commandOf(t *testing.T, lines string, tree *hcl.Worktree) *Effect {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Proxyfile")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	file, diags, err := hcl.Load(path, hcl.Options{
		Getenv:   func(string) string { return "" },
		Ports:    func(string) (uint16, uint16) { return 20001, 20001 },
		Worktree: tree,
	})
	if err != nil || diags.HasErrors() {
		t.Fatal(err, diags)
	}
	p, _ := Build(file, Env{})
	for _, e := range p.Effects() {
		if e.Kind == KindCommand {
			return e
		}
	}
	t.Fatal("no command")
	return nil
}

// TestCommandsApart checks that no command has the consent of one that differs.
func TestCommandsApart(t *testing.T) {
	t.Parallel()
	const host = "host \"shop.localhost\" { upstream = service.web }\nservice \"api\" { upstream = 3000 }\n"
	service := func(lines string) string { return host + "service \"web\" {\n" + lines + "\n}\n" }
	for name, pair := range map[string][2]string{
		"a local in a variable with an address": {
			"locals { hook = \"./a.js\" }\n" + service("command = \"node .\"\n env = { NODE_OPTIONS = \"--require ${local.hook} ${service.api.port}\" }"),
			"locals { hook = \"./evil.js\" }\n" + service("command = \"node .\"\n env = { NODE_OPTIONS = \"--require ${local.hook} ${service.api.port}\" }"),
		},
		"a condition in a variable with an address": {
			"locals { on = true }\n" + service("command = \"node .\"\n env = { A = local.on ? service.api.url : \"evil\" }"),
			"locals { on = false }\n" + service("command = \"node .\"\n env = { A = local.on ? service.api.url : \"evil\" }"),
		},
		"the text of an address": {
			service("command = \"node .\"\n env = { A = service.api.url }"),
			service("command = \"node .\"\n env = { A = \"service.api.url\" }"),
		},
		"arguments like a folder": {
			service("command = \"node server.js in web\""),
			service("command = \"node server.js\"\n dir = \"web\""),
		},
		"arguments like variables": {
			service("command = \"node server.js in web and LD_PRELOAD=./x.so\""),
			service("command = \"node server.js\"\n dir = \"web\"\n env = { LD_PRELOAD = \"./x.so\" }"),
		},
		"arguments like one variable": {
			service("command = \"node server.js and A=b\""),
			service("command = \"node server.js\"\n env = { A = \"b\" }"),
		},
		"a name like two variables": {
			service("command = \"node .\"\n env = { \"A unset, B\" = null }"),
			service("command = \"node .\"\n env = { A = null, B = null }"),
		},
	} {
		one, other := commandOf(t, pair[0], nil), commandOf(t, pair[1], nil)
		if one.Covers(other) || other.Covers(one) {
			t.Errorf("%s: both are %q", name, one.Target)
		}
	}
}
