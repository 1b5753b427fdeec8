package hcl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// loadWorktree loads text in the worktree of a branch; an empty one is the main worktree.
func loadWorktree(t *testing.T, branch, text, local string) (*File, Diagnostics) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"Proxyfile": text, LocalName: local} {
		if content == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opts := Options{WorkDir: dir, Getenv: testEnv}
	if branch != "" {
		opts.Worktree = &Worktree{Name: branch, Key: branch, Head: filepath.Join(dir, "HEAD"), Content: []byte(branch)}
	}
	file, diags, err := Load(filepath.Join(dir, "Proxyfile"), opts)
	if err != nil {
		t.Fatal(err)
	}
	return file, diags
}

// hostNames are the names of all hosts, aliases included.
func hostNames(file *File) (names []string) {
	for _, host := range file.Hosts {
		names = append(names, host.Name.Value)
		names = append(names, values(host.Aliases)...)
	}
	return names
}

const shopFile = `
host "shop.localhost" {
  aliases  = ["www.shop.localhost"]
  upstream = 5173
  route "/a" { redirect = "https://Admin.shop.localhost:8443/x?y{rest}" }
  route "/b" { redirect = "https://example.com/" }
  route "/c" { redirect = local.tenant }
  route "/d" {
    upstream = 1
    cors     = ["https://admin.shop.localhost", "https://other.shop.localhost"]
  }
  route "/e" { redirect = "${url("a.tenant.shop.localhost")}/" }
}
host "admin.shop.localhost" { upstream = 5174 }
host "*.tenant.shop.localhost" { upstream = 5175 }
locals { tenant = "http://b.tenant.shop.localhost" }
share {
  hosts = ["shop.localhost", "*.tenant.shop.localhost"]
  name  = "demo"
}
`

func TestWorktreeMovesHosts(t *testing.T) {
	file, diags := loadWorktree(t, "fix-ui", shopFile, "")
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if diff := cmp.Diff([]string{
		"fix-ui.shop.localhost", "www.fix-ui.shop.localhost", "admin.fix-ui.shop.localhost", "*.tenant.fix-ui.shop.localhost",
	}, hostNames(file)); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	var targets []string
	for _, route := range file.Hosts[0].Routes {
		if route.Redirect != nil {
			targets = append(targets, route.Redirect.Target)
		}
		if route.CORS != nil {
			targets = append(targets, route.CORS.Origins...)
		}
	}
	if diff := cmp.Diff([]string{
		"https://admin.fix-ui.shop.localhost:8443/x?y{rest}", "https://example.com/", "http://b.tenant.fix-ui.shop.localhost",
		"https://admin.fix-ui.shop.localhost", "https://other.shop.localhost", "https://a.tenant.fix-ui.shop.localhost/",
	}, targets); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"fix-ui.shop.localhost", "*.tenant.fix-ui.shop.localhost"}, values(file.Share.Hosts)); diff != "" || file.Share.Name != "demo-fix-ui" {
		t.Errorf("the share %q (-want +got):\n%s", file.Share.Name, diff)
	}
	if r := file.Relocation; file.Domain != "fix-ui.shop.localhost" || r.From != "shop.localhost" || r.Original("admin.fix-ui.shop.localhost") != "admin.shop.localhost" {
		t.Errorf("the domain is %s, from %+v", file.Domain, r)
	}
	if head := filepath.Join(file.Dir, "HEAD"); file.Watch[len(file.Watch)-1] != head || string(file.Read[head]) != "fix-ui" {
		t.Errorf("the head is not watched: %q", file.Watch)
	}
}

// TestWorktreeKeepsNames: the main worktree, and worktree = false.
func TestWorktreeKeepsNames(t *testing.T) {
	plain, diags := loadWorktree(t, "", shopFile, "")
	if len(diags) > 0 || plain.Relocation != nil {
		t.Fatal(diags, plain.Relocation)
	}
	for local, branch := range map[string]string{"worktree = false": "fix-ui", "worktree = true": ""} {
		file, diags := loadWorktree(t, branch, shopFile, local)
		if diff := cmp.Diff(hostNames(plain), hostNames(file)); diff != "" || len(diags) > 0 || file.Relocation != nil || file.Share.Name != "demo" {
			t.Errorf("%s in %q: %v\n%s", local, branch, diags, diff)
		}
	}
	// null unsets it.
	if file, _ := loadWorktree(t, "fix-ui", "worktree = false\n"+shopFile, "worktree = null"); file.Relocation == nil {
		t.Error("worktree = null does not undo false")
	}
	if _, diags := loadWorktree(t, "fix-ui", "worktree = \"x\"\n"+shopFile, ""); !diags.HasErrors() {
		t.Error(`worktree = "x" is accepted`)
	}
}

func TestWorktreeDomains(t *testing.T) {
	for text, want := range map[string][]string{
		`host "shop.localhost" { upstream = 1 }`:                                                            {"fix-ui.shop.localhost"},
		`host "*.shop.localhost" { upstream = 1 }`:                                                          {"*.fix-ui.shop.localhost"},
		"host \"a.localhost\" { upstream = 1 }\nhost \"b.localhost\" { upstream = 1 }":                      {"a.fix-ui.localhost", "b.fix-ui.localhost"},
		"domain = \"localhost\"\nhost \"shop.localhost\" { upstream = 1 }":                                  {"shop.fix-ui.localhost"},
		"domain = local.d\nlocals { d = \"a.shop.localhost\" }\nhost \"a.shop.localhost\" { upstream = 1 }": {"fix-ui.a.shop.localhost"},
		`host "localhost" { upstream = 1 }`:                                                                 {"fix-ui.localhost"},
	} {
		file, diags := loadWorktree(t, "fix-ui", text, "")
		if diff := cmp.Diff(want, hostNames(file)); diff != "" || len(diags) > 0 {
			t.Errorf("%s\n%v (-want +got):\n%s", text, diags, diff)
		}
	}
}

// TestWorktreeOutside: a host outside of the domain does not move, and the user learns it.
func TestWorktreeOutside(t *testing.T) {
	text := "domain = \"shop.localhost\"\nhost \"shop.localhost\" {\n  aliases  = [\"store.localhost\"]\n  upstream = 1\n}\nhost \"mail.localhost\" { upstream = 2 }\n"
	if _, diags := loadWorktree(t, "", text, ""); len(diags) > 0 {
		t.Errorf("in the main worktree: %v", diags)
	}
	file, diags := loadWorktree(t, "fix-ui", text, "")
	if diff := cmp.Diff([]string{"fix-ui.shop.localhost", "store.localhost", "mail.localhost"}, hostNames(file)); diff != "" {
		t.Error(diff)
	}
	if len(diags) != 2 || diags.HasErrors() || diags[0].Range.Start.Line != 3 || diags[1].Range.Start.Line != 6 ||
		!strings.Contains(diags[1].Summary, `"mail.localhost" is not below the domain shop.localhost`) {
		t.Errorf("diagnostics: %v", diags)
	}
}

// TestWorktreeWildcard: a name that has moved is not one more name of the wildcard host.
func TestWorktreeWildcard(t *testing.T) {
	file, diags := loadWorktree(t, "fix-ui", `
host "shop.localhost" {
  upstream = 1
  route "/a" { redirect = url("shop.localhost") }
  route "/b" { redirect = url("x.shop.localhost") }
}
host "*.shop.localhost" { upstream = 2 }
`, "")
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	routes := file.Hosts[0].Routes
	if diff := cmp.Diff([]string{"https://fix-ui.shop.localhost", "https://x.fix-ui.shop.localhost"},
		[]string{routes[0].Redirect.Target, routes[1].Redirect.Target}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWorktreeLabel(t *testing.T) {
	long := strings.Repeat("a", 70)
	for _, test := range []struct{ name, key, want string }{
		{"fix-ui", "fix-ui", "fix-ui"},
		{"42", "42", "42"},
		{"a--b", "a--b", "a-b-"},
		{"xn--abc", "xn--abc", "xn-abc-"},
		{"fix/ui", "fix/ui", "fix-ui-af66"},
		{"Fix-UI", "Fix-UI", "fix-ui-"},
		{"fix_ui", "fix_ui", "fix-ui-"},
		{"fix/größe", "fix/größe", "fix-grosse-"},
		{"na\u00efve-e\u0301te\u0301", "x", "naive-ete-"},
		{"Łódź", "Łódź", "lodz-"},
		{"fix/修复", "fix/修复", "fix-"},
		{"日本", "日本", "worktree-"},
		{"-", "-", "worktree-"},
		{"evil.example.com", "evil.example.com", "evil-example-com-"},
		{long[:63], long[:63], long[:63]},
		{long, long, long[:58] + "-"},
		{strings.Repeat("a", 57) + "-b" + long, "x", strings.Repeat("a", 57) + "-"},
		{"tree", "tree", "tree"},
		{"tree", "tree1", "tree-"}, // two folders of one name, with the keys of git
		{"admin", "admin", "admin-"},
	} {
		w := &Worktree{Name: test.name, Key: test.key}
		got := w.label(map[string]bool{"admin": true})
		if !strings.HasPrefix(got, test.want) || strings.HasSuffix(test.want, "-") != (len(got) == len(test.want)+hashSize) {
			t.Errorf("%q is %q, want %q", test.name, got, test.want)
		}
		if len(got) > maxLabel || !labelPattern.MatchString(got) || strings.Contains(got, "--") && got != test.name {
			t.Errorf("%q is not a label: %q", test.name, got)
		}
	}
	seen := map[string]string{}
	for _, name := range []string{"fix/ui", "fix-ui", "fix_ui", "Fix-ui", "fix-/ui", "fix.ui", "FIX/UI", "größe", "grosse", "groesse", "gröẞe", "fix/修复", "fix/修", "ｆix-ui", long, long + "a", long + "b"} {
		label := (&Worktree{Name: name, Key: name}).label(nil)
		if other, twice := seen[label]; twice {
			t.Errorf("%q and %q have the label %q", name, other, label)
		}
		seen[label] = name
	}
}

// TestWorktreeOfHost: a branch with the name of a host does not take the main worktree's
// place.
func TestWorktreeOfHost(t *testing.T) {
	for _, branch := range []string{"admin", "www", "tenant"} {
		main, _ := loadWorktree(t, "", shopFile, "")
		file, diags := loadWorktree(t, branch, shopFile, "")
		if len(diags) > 0 {
			t.Fatal(diags)
		}
		for _, name := range hostNames(file) {
			for _, other := range hostNames(main) {
				if name == other {
					t.Errorf("on the branch %s, two worktrees have the name %s", branch, name)
				}
			}
		}
	}
}

func TestWorktreeMistakes(t *testing.T) {
	_, diags := loadWorktree(t, "fix-ui", "domain = trimprefix(url(\"shop.localhost\"), \"https://\")\nhost \"shop.localhost\" { upstream = 1 }\n", "")
	if len(diags) != 1 || !strings.Contains(diags[0].Summary, "url can't be used in domain") {
		t.Errorf("url() in domain: %v", diags)
	}
	name := strings.Repeat(strings.Repeat("a", 60)+".", 4)[:243-len(".b.localhost")] + ".b.localhost"
	_, diags = loadWorktree(t, strings.Repeat("c", 60), "domain = \"b.localhost\"\nhost \""+name+"\" { upstream = 1 }\n", "")
	if len(diags) != 1 || !strings.Contains(diags[0].Summary, "more than 253 characters") {
		t.Errorf("a name that is too long in the worktree: %v", diags)
	}
	// A duplicate is reported with the names of the file.
	_, diags = loadWorktree(t, "fix-ui", "host \"shop.localhost\" { upstream = 1 }\nhost \"shop.localhost\" { upstream = 1 }\n", "")
	if len(diags) != 1 || !strings.Contains(diags[0].Summary, `"shop.localhost"`) {
		t.Errorf("a duplicate: %v", diags)
	}
	// A share's name is one that can be chosen.
	for _, branch := range []string{"abcdefghjkmnpqrs", strings.Repeat("a", 63)} {
		file, diags := loadWorktree(t, branch, shopFile, "")
		if name := file.Share.Name; len(diags) > 0 || len(name) > maxLabel || tokenForm.MatchString(name) || !strings.HasPrefix(name, "demo-") {
			t.Errorf("the share on %s is %q, %v", branch, name, diags)
		}
	}
}

// TestWorktreeHasNoDomain: a record names the key of the main worktree's folder.
func TestWorktreeHasNoDomain(t *testing.T) {
	text := strings.Replace(shopFile, `name  = "demo"`, `domain = "demo.example.org"`, 1)
	file, diags := loadWorktree(t, "fix-ui", text, "")
	if len(diags) > 0 || file.Share.Domain != "" {
		t.Errorf("domain %q, %v", file.Share.Domain, diags)
	}
}
