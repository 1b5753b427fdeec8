package main

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

const module = "github.com/devproxy/devproxy/"

// allowed lists, for each package of this module, which of its packages it may import.
// "name/..." covers a package and everything below it.
var allowed = map[string][]string{
	"cmd/devproxy":          {"cmd/devproxy/keyboard", "devproxy/...", "hcl", "localca/...", "tunnel/..."},
	"cmd/devproxy/keyboard": {},
	// The benchmarks run devproxy as a program; only the raw tunnel is linked in.
	"cmd/bench":          {"cmd/bench/..."},
	"cmd/bench/forward":  {"cmd/bench/harness"},
	"cmd/bench/share":    {"cmd/bench/harness", "tunnel", "tunnel/wan"},
	"cmd/bench/projects": {"cmd/bench/harness"},
	"cmd/bench/harness":  {},

	"devproxy": {"devproxy/...", "hcl", "localca", "tunnel", "tunnel/agent", "tunnel/budget", "tunnel/field", "tunnel/message", "tunnel/page", "tunnel/splice", "tunnel/websocket"},

	"devproxy/plan":                {"hcl"},
	"devproxy/forward":             {"devproxy/plan", "devproxy/urlfield", "tunnel/budget", "tunnel/field", "tunnel/message", "tunnel/neterror", "tunnel/page", "tunnel/splice", "tunnel/websocket"},
	"devproxy/middleware":          {"devproxy/plan", "devproxy/access", "devproxy/middleware/...", "tunnel/budget", "tunnel/field", "tunnel/page"},
	"devproxy/answer":              {"devproxy/plan", "tunnel/field", "tunnel/page"},
	"devproxy/advice":              {"devproxy/plan", "devproxy/urlfield", "tunnel/page"},
	"devproxy/share":               {"devproxy/plan", "devproxy/access", "devproxy/coding", "devproxy/rewrite", "devproxy/urlfield", "tunnel/field", "tunnel/page", "tunnel/websocket"},
	"devproxy/scaffold":            {"devproxy/scaffold/...", "hcl"},
	"devproxy/scaffold/javascript": {},

	// The user's consents, kept with localca's files; effects are plan's. Whose files count
	// is decided as for Proxyfiles.
	"devproxy/consent": {"devproxy/failure", "devproxy/plan", "devproxy/worktree", "hcl", "localca"},
	// Whose files count is decided as for Proxyfiles.
	"devproxy/worktree": {"hcl"},
	// What identifies a user to relays, kept with localca's files.
	"devproxy/credentials": {"devproxy/failure", "localca", "tunnel"},

	"devproxy/middleware/cache":    {"devproxy/middleware/head", "tunnel/field"},
	"devproxy/middleware/compress": {"devproxy/middleware/head", "tunnel/field"},
	"devproxy/middleware/head":     {},

	// What several packages need, and none of them owns.
	"devproxy/access":   {"tunnel/budget"},
	"devproxy/failure":  {},
	"devproxy/coding":   {},
	"devproxy/urlfield": {},

	// It knows texts and HTTP; the names come from the share.
	"devproxy/rewrite": {"devproxy/coding", "devproxy/middleware/head", "tunnel/budget"},

	"devproxy/advisory": {},

	"devproxy/control":  {"devproxy/journal", "devproxy/runtimedir", "localca", "tunnel/neterror"},
	"devproxy/front":    {"devproxy/runtimedir"},
	"devproxy/programs": {},
	"devproxy/machine":  {"devproxy/control", "devproxy/listen", "devproxy/runtimedir", "hcl", "tunnel/page"},
	"devproxy/listen":   {"devproxy/front", "devproxy/programs", "tunnel/message", "tunnel/neterror", "tunnel/splice"},
	// It passes on what is not HTTP.
	"devproxy/port":    {"devproxy/access", "devproxy/forward", "devproxy/front", "devproxy/listen", "devproxy/plan", "tunnel", "tunnel/neterror"},
	"devproxy/inspect": {},
	"devproxy/journal": {},
	"devproxy/watch":   {},
	// It asks the engine; what its containers mean for routes is the plan's business. Where
	// another project begins is decided as for Proxyfiles.
	"devproxy/container": {"devproxy/failure", "devproxy/worktree", "hcl", "tunnel/neterror"},
	// What tests alone import.
	"devproxy/container/containertest": {},
	// It runs programs; what they are is the plan's business.
	"devproxy/service": {"devproxy/listen", "tunnel/neterror"},

	// One package writes to the hosts file.
	"devproxy/hostsfile": {"devproxy/failure"},
	// It looks at everything and changes nothing.
	"devproxy/doctor": {"devproxy/advice", "devproxy/advisory", "devproxy/container", "devproxy/control", "devproxy/failure", "devproxy/hostsfile", "devproxy/listen", "devproxy/plan", "devproxy/programs", "devproxy/scaffold", "localca", "localca/trust"},

	// Where this user's processes meet.
	"devproxy/runtimedir": {"devproxy/failure"},

	// It opens a share as a visitor does; what it finds is a finding of doctor's.
	"devproxy/share/check":    {"devproxy/control", "devproxy/doctor", "devproxy/plan", "tunnel/neterror"},
	"devproxy/share/provider": {"localca", "tunnel", "tunnel/agent", "tunnel/neterror", "tunnel/splice"},

	// The policy for header fields. It is below tunnel because the relay follows it
	// too, and imports nothing because every package may use it.
	"tunnel/field": {},

	// The pages that devproxy and the relay send themselves. An error of any
	// package has its own page.
	"tunnel/page": {"tunnel/field"},

	// The memory that strangers can make a process hold, counted in one place on
	// both sides, and the definition of one stranger's network.
	"tunnel/budget": {},

	"tunnel":       {"tunnel/budget"},
	"tunnel/agent": {"tunnel", "tunnel/budget", "tunnel/neterror"},
	"tunnel/relay": {"tunnel", "tunnel/budget", "tunnel/field", "tunnel/message", "tunnel/page", "tunnel/splice", "tunnel/websocket"},
	"tunnel/wan":   {},

	// The relay's own domain: its DNS server, its certificates, and the records that lead
	// there. They know no shares; a refused zone is the tunnel's Refusal.
	"tunnel/relay/zone":       {},
	"tunnel/relay/acme":       {"tunnel"},
	"tunnel/relay/delegation": {},
	"tunnel/relay/ownership":  {"tunnel"},

	// It passes sockets on and does not use them.
	"tunnel/relay/handover": {},

	// What both fronts of HTTP need.
	"tunnel/message": {"tunnel/page", "tunnel/splice"},

	// What both ends of a tunnel need.
	"tunnel/websocket": {},

	// The meaning of socket errors, on all systems.
	"tunnel/neterror": {},

	// How both forwarders pass a response and an upgraded connection on, so that
	// neither flushes or ends them in its own way.
	"tunnel/splice": {"tunnel/field", "tunnel/websocket"},

	// What tests alone import.
	"tunnel/leaktest":          {},
	"tunnel/relay/acme/pebble": {},

	"hcl":     {},
	"localca": {},
	// It runs programs of the machine, as others do.
	"localca/trust": {"devproxy/programs", "localca"},
}

// reasons say which packages alone may import a package of others, and why.
var reasons = []struct{ prefix, only, why string }{
	{"github.com/hashicorp/hcl", "hcl", "the language has one owner; other packages use hcl.File"},
	{"github.com/spf13/cobra", "cmd/devproxy", "only cmd reads flags"},
	{"github.com/fsnotify/fsnotify", "devproxy/watch", "one package watches files"},
	{"github.com/prometheus/client_golang", "tunnel/relay tunnel/relay/acme tunnel/relay/zone", "only the relay is watched by machines"},
	{"github.com/miekg/dns", "tunnel/relay/zone tunnel/relay/delegation tunnel/relay/ownership", "only a relay of one's own speaks DNS"},
	{"github.com/caddyserver/certmagic", "tunnel/relay/acme", "one package gets certificates"},
	{"github.com/mholt/acmez", "tunnel/relay/acme", "one package gets certificates"},
	{"go.uber.org/zap", "tunnel/relay/acme", "only certmagic logs with it"},
	{"go.etcd.io/bbolt", "tunnel/relay", "the registry of names is the relay's"},
	{"github.com/pires/go-proxyproto", "tunnel/relay", "only the relay is behind balancers"},
	{"github.com/mdp/qrterminal", "cmd/devproxy", "only cmd prints"},
	{"mvdan.cc/sh", "devproxy/scaffold hcl", "only init and the language read command lines"},
	{"github.com/pelletier/go-toml", "devproxy/scaffold", "only init reads TOML"},
	{"github.com/smallstep/truststore", "localca/trust", "one package writes to trust stores"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

// TestImports checks the import rules, so that text -> file -> plan -> apply and
// request -> plan -> forward stay straight lines.
func TestImports(t *testing.T) {
	for _, pkg := range listPackages(t) {
		name := strings.TrimPrefix(pkg.ImportPath, module)
		if strings.HasPrefix(name, "testdata/") {
			continue
		}
		may, known := allowed[name]
		if !known {
			t.Errorf("package %s has no row in the import table: what may it import?", name)
		}
		for _, imported := range pkg.Imports {
			if inner, ours := strings.CutPrefix(imported, module); ours && !covers(may, inner) {
				t.Errorf("%s imports %s: it may import only %v", name, inner, may)
			}
			for _, r := range reasons {
				if strings.HasPrefix(imported, r.prefix) && !slices.Contains(strings.Fields(r.only), name) {
					t.Errorf("%s imports %s: only %s may, because %s", name, imported, r.only, r.why)
				}
			}
			if imported == "log" {
				t.Errorf("%s imports log: use log/slog, whose handler cmd picks", name)
			}
		}
	}
}

func covers(may []string, name string) bool {
	for _, m := range may {
		below, tree := strings.CutSuffix(m, "/...")
		if m == name || tree && (name == below || strings.HasPrefix(name, below+"/")) {
			return true
		}
	}
	return false
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", path.Join(module, "...")).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg goPackage
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, pkg)
	}
}

// TestReadmePackages compares the table of packages in devproxy/README.md with
// the import table.
func TestReadmePackages(t *testing.T) {
	_, table, found := strings.Cut(readText(t, "../../devproxy/README.md"), "\n## Packages\n")
	table, _, _ = strings.Cut(table, "\n**Import rules.**")
	got, want := firstCells(table), slices.Sorted(maps.Keys(allowed))
	if !found || !slices.Equal(got, want) {
		t.Errorf("devproxy/README.md has the packages\n%q, the import table\n%q", got, want)
	}
}

// TestReadmeDependencies compares the table of dependencies in devproxy/README.md
// with what go.mod requires directly; h2spec and pebble are programs that tests run.
func TestReadmeDependencies(t *testing.T) {
	mod, err := modfile.Parse("go.mod", []byte(readText(t, "../../go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"github.com/summerwind/h2spec", "github.com/letsencrypt/pebble/v2"}
	for _, require := range mod.Require {
		if !require.Indirect {
			want = append(want, require.Mod.Path)
		}
	}
	slices.Sort(want)
	_, table, found := strings.Cut(readText(t, "../../devproxy/README.md"), "\n## Dependencies, and why\n")
	if got := firstCells(table); !found || !slices.Equal(got, want) {
		t.Errorf("devproxy/README.md has the dependencies\n%q, go.mod\n%q", got, want)
	}
}

// firstCells returns the text in backticks in the first cells of a table,
// sorted.
func firstCells(table string) []string {
	var all []string
	for line := range strings.Lines(table) {
		row, isRow := strings.CutPrefix(line, "|")
		if !isRow {
			continue
		}
		cell, _, _ := strings.Cut(row, "|")
		for i, name := range strings.Split(cell, "`") {
			if i%2 == 1 {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}
