package devproxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// TestMisplaced: the server that a route means is known by its folder, however far
// its port is from the one that is written.
func TestMisplaced(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	shop := filepath.Join(root, "shop")
	for _, dir := range []string{"web", "api"} {
		if err := os.MkdirAll(filepath.Join(shop, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(root, "link")
	if err := os.Symlink(shop, link); err != nil {
		link = shop // some systems allow nobody to make one
	}
	processes := []listen.Process{
		{PID: 1, Name: "node", Dir: filepath.Join(shop, "web"), Ports: []int{4321, 24678}},
		{PID: 2, Name: "api", Dir: filepath.Join(shop, "api"), Ports: []int{3000}},
		{PID: 3, Name: "other", Dir: filepath.Join(root, "shop2"), Ports: []int{5174}},
		{PID: 4, Name: "unknown", Ports: []int{5175}},
		{PID: os.Getpid(), Name: "devproxy", Dir: shop, Ports: []int{8443}},
		{PID: 8, Name: "devproxy", Dir: shop, Ports: []int{5174}}, // a relay
		{PID: 5, Name: "near", Dir: shop, Ports: []int{5172}},
		{PID: 6, Name: "elsewhere", Dir: root, Ports: []int{5171}},
		{PID: 7, Name: "mail", Dir: shop, Ports: []int{5200}}, // a service, without a route
	}
	file := filepath.Join(link, "Proxyfile")
	text := "host \"shop.localhost\" {\n  upstream = 5173\n  route \"/api\" { upstream = 3000 }\n  route \"/far\" { upstream = \"http://example.com:81\" }\n  route \"/files\" { respond = 204 }\n}\n" +
		"service \"mail\" {\n  command = \"mail\"\n  upstream = 5200\n}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	loaded, diags, err := hcl.Load(file, hcl.Options{WorkDir: link})
	if err != nil || diags.HasErrors() {
		t.Fatal(err, diags)
	}
	p, diags := plan.Build(loaded, plan.Env{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, route := range p.Hosts()[0].Routes {
		var want, got []string
		switch route.Path {
		case "/":
			want = []string{fmt.Sprintf("near (pid 5, %s) listens on 5172", shop), fmt.Sprintf("node (pid 1, %s) listens on 4321", filepath.Join(shop, "web")), fmt.Sprintf("node (pid 1, %s) listens on 24678", filepath.Join(shop, "web"))}
		case "/api":
			want = []string{fmt.Sprintf("node (pid 1, %s) listens on 4321", filepath.Join(shop, "web")), fmt.Sprintf("near (pid 5, %s) listens on 5172", shop), fmt.Sprintf("node (pid 1, %s) listens on 24678", filepath.Join(shop, "web"))}
		}
		for _, process := range misplaced(&generation{plan: p}, route, processes) {
			got = append(got, strings.Replace(process.String(), Home(root), root, 1))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", route.Path, diff)
		}
	}
}
