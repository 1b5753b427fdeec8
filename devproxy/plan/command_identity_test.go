package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// commandOf is the effect of the first command of a Proxyfile with these lines, in a
// worktree if tree is not nil. Services listen on actual.
func commandOf(t *testing.T, lines string, tree *hcl.Worktree, actual uint16) *Effect {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Proxyfile")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	file, diags, err := hcl.Load(path, hcl.Options{
		Getenv:   func(name string) string { return map[string]string{"HOME": "/home/me"}[name] },
		Ports:    func(string) (uint16, uint16) { return 20001, actual },
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
		"the upstream of a service in a variable": {
			service("command = \"npm ci\"\n env = { npm_config_registry = service.packages.url }") + "service \"packages\" { upstream = 4873 }\n",
			service("command = \"npm ci\"\n env = { npm_config_registry = service.packages.url }") + "service \"packages\" { upstream = \"https://evil.example\" }\n",
		},
		"the upstream of a service by way of a local": {
			"locals { from = service.packages.url }\n" + service("command = \"npm ci --registry ${local.from}\"") + "service \"packages\" { upstream = 4873 }\n",
			"locals { from = service.packages.url }\n" + service("command = \"npm ci --registry ${local.from}\"") + "service \"packages\" { upstream = \"https://evil.example\" }\n",
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
		one, other := commandOf(t, pair[0], nil, 20001), commandOf(t, pair[1], nil, 20001)
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
		"an upstream that is chosen":   "command = \"npm ci\"\n env = { npm_config_registry = service.packages.url }\n}\nservice \"packages\" {\n upstream = env(\"HOME\") == \"/\" ? \"http://a.example:1\" : \"http://${local.command}:1\"",
		"a variable next to a secret":  "command = \"node .\"\n env = { A = local.command, B = env(\"HOME\") }",
		"a variable chosen by a value": "command = \"node .\"\n env = env(\"HOME\") == \"/\" ? {} : { A = local.command }",
	} {
		text := "locals {\n command = local.words[0]\n words = [\"" + hidden + "\"]\n b = \"b\"\n}\nhost \"shop.localhost\" { upstream = 1 }\nservice \"web\" {\n" + lines + "\n}\n"
		if e := commandOf(t, text, nil, 20001); !strings.Contains(e.Reach(), hidden) {
			t.Errorf("%s: %q", name, e.Reach())
		}
	}
}

// TestCommandsStayTheSame checks that a command needs no new consent when a service is
// found on another port, and in a worktree.
func TestCommandsStayTheSame(t *testing.T) {
	t.Parallel()
	tree := &hcl.Worktree{Name: "fix", Key: "fix"}
	for name, command := range map[string]string{
		"the port where it listens":  `command = "node . --port 5173"`,
		"the port of another":        `command = "node . --api ${service.api.port}"`,
		"the address of another":     "command = \"node .\"\n env = { API = service.api.url, PORT = 5173 }",
		"an address in a local":      "command = \"node .\"\n env = { A = local.api, B = \"x ${local.api}\" }",
		"an address and a secret":    "command = \"node . ${env(\"HOME\")}\"\n env = { A = local.api, B = url(\"shop.localhost\"), C = 5173 }",
		"the address of a host":      `command = ["node", ".", url("shop.localhost")]`,
		"a name like that of a host": `command = "node . shop.localhost"`,
	} {
		text := "locals { api = service.api.url }\nhost \"shop.localhost\" { upstream = service.web }\nservice \"web\" {\n" + command + "\n}\nservice \"api\" { command = \"api\" }\n"
		first := commandOf(t, text, nil, 20001)
		if moved := commandOf(t, text, nil, 5173); !first.Covers(moved) || !moved.Covers(first) {
			t.Errorf("%s: %q is %q on another port", name, first.Target, moved.Target)
		}
		if moved := commandOf(t, text, tree, 20001); !first.Covers(moved) || !moved.Covers(first) {
			t.Errorf("%s: %q is %q in a worktree", name, first.Target, moved.Target)
		}
	}
	const literal = "host \"shop.localhost\" { upstream = 1 }\nservice \"web\" { command = \"node %s\" }\n"
	one := commandOf(t, strings.ReplaceAll(literal, "%s", "shop.localhost"), nil, 20001)
	if other := commandOf(t, strings.ReplaceAll(literal, "%s", "fix.shop.localhost"), tree, 20001); one.Covers(other) {
		t.Errorf("%q in a worktree has the consent of %q", other.Target, one.Target)
	}
}
