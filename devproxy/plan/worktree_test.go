package plan

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/hcl"
)

// inWorktree plans text in the worktree of a branch; an empty one is the main worktree.
func inWorktree(t *testing.T, branch, text string) *Plan {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "Proxyfile")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := hcl.Options{WorkDir: dir, Getenv: func(string) string { return "value" }}
	if branch != "" {
		opts.Worktree = &hcl.Worktree{Name: branch, Key: branch}
	}
	file, diags, err := hcl.Load(path, opts)
	if err != nil || len(diags) > 0 {
		t.Fatal(err, diags)
	}
	p, diags := Build(file, Env{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return p
}

// TestWorktreeConsent: the worktrees of a repository share its consents, so nothing in
// an effect depends on the branch.
func TestWorktreeConsent(t *testing.T) {
	const text = `
host "shop.localhost" {
  upstream = service.web
  aliases  = ["${env("NAME")}.shop.localhost"]
}
service "web" {
  command = "pnpm dev --origin ${url("shop.localhost")}"
  env     = { OWN = url("shop.localhost"), ORIGIN = service.api.origin, SECRET = env("SECRET") }
}
service "api" { upstream = 3000 }
host "api.shop.localhost" { upstream = service.api }
`
	main, tree := inWorktree(t, "", text), inWorktree(t, "fix-ui", text)
	if tree.Hosts()[0].Name != "fix-ui.shop.localhost" || len(main.Effects()) < 2 {
		t.Fatal(tree.Hosts()[0].Name, main.Effects())
	}
	for i, e := range main.Effects() {
		if other := tree.Effects()[i]; !e.Covers(other) || e.String() != other.String() {
			t.Errorf("%s, and in the worktree %s", e, other)
		}
	}
	command := tree.Services()[0].Command
	if command.Args[3] != "https://fix-ui.shop.localhost" || command.Env[0].Value != "https://api.fix-ui.shop.localhost" {
		t.Errorf("the command is %q with %+v", command.Args, command.Env)
	}
}

// TestWorktreeShare: the names of a share.
func TestWorktreeShare(t *testing.T) {
	for text, want := range map[string]Share{
		"host \"shop.localhost\" { respond = 204 }\nhost \"admin.shop.localhost\" { respond = 204 }\nshare { name = \"demo\" }": {
			Domain: "fix-ui.shop.localhost", Project: "shop", Name: "demo-fix-ui", Hosts: []string{"fix-ui.shop.localhost", "admin.fix-ui.shop.localhost"},
		},
		// localhost belongs to all projects.
		"host \"a.localhost\" { respond = 204 }\nhost \"b.localhost\" { respond = 204 }": {
			Domain: "a.fix-ui.localhost", Project: "a", Hosts: []string{"a.fix-ui.localhost", "b.fix-ui.localhost"},
		},
	} {
		s := inWorktree(t, "fix-ui", text).Share()
		got := Share{Domain: s.Domain, Project: s.Project, Name: s.Name, Hosts: s.Hosts}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		if s.Relocation.Moved("shop.localhost") != "fix-ui."+"shop.localhost" && s.Relocation.Moved("a.localhost") != "a.fix-ui.localhost" {
			t.Error(s.Relocation.Moved("a.localhost"))
		}
	}
}

// TestCallbackOwner is the first shared host, whatever the project calls itself and where.
func TestCallbackOwner(t *testing.T) {
	const shop, evil = "host \"shop.localhost\" { respond = 204 }\n", "host \"evil.localhost\" { respond = 204 }\n"
	const callback = "share { callback = \"/auth\" }"
	for text, want := range map[string]string{
		shop + callback:        "shop.localhost",
		shop + evil + callback: "shop.localhost",
		"domain = \"shop.localhost\"\n" + evil + shop + callback:                                       "evil.localhost",
		shop + evil + "share {\n callback = \"/auth\"\n hosts = [\"evil.localhost\"]\n}":               "evil.localhost",
		"host \"shop.localhost\" {\n respond = 204\n share = false\n}\nshare { callback = \"/auth\" }": "",
		shop: "",
	} {
		if got := inWorktree(t, "", text).Share().CallbackOwner(); got != want {
			t.Errorf("%s: the owner is %q, want %q", text, got, want)
		}
	}
	if got := inWorktree(t, "fix-ui", shop+callback).Share().CallbackOwner(); got != "shop.localhost" {
		t.Errorf("in a worktree the owner is %q", got)
	}
}

// TestWorktreeNear: who asks for a host by its name in the Proxyfile learns where it is.
func TestWorktreeNear(t *testing.T) {
	p := inWorktree(t, "fix-ui", "host \"shop.localhost\" { respond = 204 }\nhost \"*.tenant.shop.localhost\" { respond = 204 }")
	for host, want := range map[string]string{
		"shop.localhost": "fix-ui.shop.localhost", "a.tenant.shop.localhost": "a.tenant.fix-ui.shop.localhost", "example.com": "",
	} {
		_, err := p.Match(Request{Method: "GET", Host: host, Path: "/"})
		unknown, ok := errors.AsType[*UnknownHostError](err)
		if !ok || unknown.Near() != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}
