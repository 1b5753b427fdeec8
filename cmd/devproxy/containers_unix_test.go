//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/container/containertest"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestContainersAreWatched: the engine is watched as long as a plan uses containers, and
// nothing is left of that when it does not.
func TestContainersAreWatched(t *testing.T) {
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	engine := containertest.New(t)
	t.Setenv("DOCKER_HOST", engine.Host())
	api := containertest.Container{Name: "shop-api-1", Labels: containertest.Compose(folder, "api", 1), Exposed: []uint16{8080}, Published: map[uint16]uint16{8080: 9}}
	engine.Set(api)
	c := newContainers(folder)
	if c.of(containerPlan(t, folder, `host "shop.localhost" { upstream = 1 }`)) != nil || c.status() != nil {
		t.Error("a plan without containers has some")
	}
	uses := containerPlan(t, folder, "host \"shop.localhost\" { upstream = service.api }\nservice \"api\" { container = \"api\" }")
	known := c.of(uses)
	if known == nil || len(known.All) != 1 || known.All[0].Name != "shop-api-1" || c.of(uses) != known {
		t.Fatalf("the containers are %+v", known)
	}
	if addr, problem, _ := known.All[0].Reach(0); addr != "127.0.0.1:9" || problem != "" {
		t.Errorf("it is reached at %q: %s", addr, problem)
	}
	api.State = "exited"
	engine.Set(api)
	for c.of(uses).All[0].State != "exited" {
		<-c.moved
	}
	if c.of(containerPlan(t, folder, `host "shop.localhost" { upstream = 1 }`)) != nil || c.status() != nil {
		t.Error("a plan without containers has some")
	}
	c.close()
	if left := leaktest.Running("devproxy.(*containers).", "devproxy/container.(*Watcher)"); left != "" {
		t.Errorf("goroutines are left:\n%s", left)
	}
}

func containerPlan(t *testing.T, folder, text string) *plan.Plan {
	t.Helper()
	path := filepath.Join(folder, "Proxyfile")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	loaded, err := devproxy.Load(func() (*hcl.File, hcl.Diagnostics, error) { return hcl.Load(path, hcl.Options{}) }, func(*hcl.File) plan.Env { return plan.Env{} })
	if err != nil || len(loaded.Diagnostics) > 0 {
		t.Fatal(err, loaded.Diagnostics)
	}
	return loaded.Plan
}
