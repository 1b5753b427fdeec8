package plan

import (
	"os"
	"path/filepath"
	"strings"
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
		Getenv:   func(name string) string { return map[string]string{"HOME": "/home/me"}[name] },
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

// TestCommandsAreShownWhole checks that the text of a command has all that decides what
// runs, also with values of the environment in it.
func TestCommandsAreShownWhole(t *testing.T) {
	t.Parallel()
	const hidden = "rm-everything"
	long := strings.Repeat("x", 1000)
	for name, lines := range map[string]string{
		"the middle of a long text":    "command = \"sh -c '" + long + ";" + hidden + ";" + long + "' ${env(\"X\", \"\")}${env(\"HOME\")}\"",
		"the middle of a long list":    "command = [\"sh\", \"-c\", \"" + long + "\", \"" + hidden + "\", \"" + long + "\", env(\"HOME\")]",
		"many parts":                   "command = \"sh -c '" + strings.Repeat(long+"${env(\"HOME\")}", 3) + ";" + hidden + ";" + long + "'\"",
		"a local in a list":            "command = concat(local.words, [env(\"HOME\")])",
		"a local of a local":           "command = env(\"HOME\") == \"/\" ? \"a\" : local.command",
		"a local in a loop":            "command = [for word in concat(local.words, [env(\"HOME\")]) : word]",
		"all locals":                   "command = [local[env(\"HOME\") == \"/\" ? \"b\" : \"command\"]]",
		"a local in a variable":        "command = \"node .\"\n env = { LD_PRELOAD = env(\"HOME\") == \"/\" ? \"a\" : local.command }",
		"the middle of a variable":     "command = \"node .\"\n env = { LD_PRELOAD = \"" + long + hidden + long + "${env(\"HOME\")}\" }",
		"a local that chooses a dir":   "command = \"node .\"\n dir = env(\"HOME\") == \"/\" ? \"a\" : local.command",
		"the name of a variable":       "command = \"node .\"\n env = { (local.command) = env(\"HOME\") }",
		"a variable next to a secret":  "command = \"node .\"\n env = { A = local.command, B = env(\"HOME\") }",
		"a variable chosen by a value": "command = \"node .\"\n env = env(\"HOME\") == \"/\" ? {} : { A = local.command }",
	} {
		text := "locals {\n command = local.words[0]\n words = [\"" + hidden + "\"]\n b = \"b\"\n}\nhost \"shop.localhost\" { upstream = 1 }\nservice \"web\" {\n" + lines + "\n}\n"
		if e := commandOf(t, text, nil); !strings.Contains(e.Reach(), hidden) {
			t.Errorf("%s: %q", name, e.Reach())
		}
	}
}
