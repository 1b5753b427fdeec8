package plan

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// TestCommandEffects checks the text of a command's effect. It has all that decides what
// runs, and nothing that changes with a port.
func TestCommandEffects(t *testing.T) {
	for _, c := range []struct{ service, want string }{
		{`command = "pnpm dev"`, "command pnpm dev"},
		{`command = ["pnpm", "dev"]`, "command pnpm dev"},
		{`command = "pnpm  'dev'"`, "command pnpm dev"},
		{`command = ["pnpm", "dev;x", ""]`, "command pnpm 'dev;x' ''"},
		{`command = "pnpm dev --port {port}"`, "command pnpm dev --port {port}"},
		{`command = "pnpm dev --port ${service.other.port}"`, "command pnpm dev --port {other.port}"},
		{"command = \"pnpm dev\"\n dir = \"site\"", "command pnpm dev in site"},
		{"command = \"pnpm dev\"\n dir = \"in/../site\"", "command pnpm dev in site"},
		{"command = \"pnpm dev\"\n dir = \"out\"", "command pnpm dev in UP/outside"},
		{"command = \"pnpm dev\"\n env = { B = 1, A = \"x y\", C = null }", "command pnpm dev and A='x y', B=1, C unset"},
		{"command = \"pnpm dev\"\n env = { API = service.other.url }", "command pnpm dev and API=(service.other.url)"},
		{"command = \"pnpm dev\"\n ready = { log = \"x\" }\n stop = \"1s\"\n restart = \"never\"\n depends_on = [\"other\"]", "command pnpm dev"},
		{`command = "pnpm ${env("SECRET")}"`, "command pnpm ${SECRET} with $SECRET"},
		{"command = \"pnpm dev\"\n env = { KEY = env(\"SECRET\") }", "command pnpm dev and KEY='${SECRET}' with $SECRET"},
	} {
		p, dir := effectsPlan(t, "host \"shop.localhost\" { upstream = 1 }\nservice \"other\" { command = \"other\" }\nservice \"web\" {\n "+c.service+"\n}")
		if got := texts(p, dir); !slices.Equal(got, []string{"command other", c.want}) {
			t.Errorf("%s: %q, want %q", c.service, got, c.want)
		}
	}
}

// TestCommandIdentity is which changes of a command need a new consent.
func TestCommandIdentity(t *testing.T) {
	effect := func(service string, ports ...uint16) *Effect {
		t.Helper()
		path := filepath.Join(t.TempDir(), "Proxyfile")
		text := "host \"shop.localhost\" { upstream = 1 }\nservice \"web\" {\n " + service + "\n}"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, diags, err := hcl.Load(path, hcl.Options{
			Getenv: func(name string) string { return os.Getenv("TEST_" + name) },
			Ports:  func(string) (uint16, uint16) { return ports[0], ports[1] },
		})
		if err != nil || diags.HasErrors() {
			t.Fatal(err, diags)
		}
		p, _ := Build(file, Env{})
		return p.Effects()[0]
	}
	const plain = `command = "pnpm dev {port}"`
	first := effect(plain, 20001, 20001)
	if !first.Covers(effect(plain, 20002, 20003)) {
		t.Error("another port needs a new consent")
	}
	for _, other := range []string{
		`command = "pnpm dev2 {port}"`, `command = "pnpm 'dev {port}'"`, plain + "\n dir = \"web\"", plain + "\n env = { NODE_OPTIONS = \"--require ./x.js\" }",
	} {
		if first.Covers(effect(other, 20001, 20001)) {
			t.Errorf("%s needs no new consent", other)
		}
	}
	const computed = `command = env("COMMAND")`
	t.Setenv("TEST_COMMAND", "pnpm dev")
	one := effect(computed, 20001, 20001)
	t.Setenv("TEST_COMMAND", "rm -rf /")
	if one.Covers(effect(computed, 20001, 20001)) {
		t.Error("another value of the variable needs no new consent")
	}
}

// TestWithholdCommand leaves out a service that the user has not allowed, and what
// leads to it.
func TestWithholdCommand(t *testing.T) {
	p, _ := effectsPlan(t, `
host "shop.localhost" {
  upstream = service.web
  route "/api" { upstream = service.api }
  route "/static" { upstream = 1 }
}
service "web" { command = "web" }
service "api" {
  upstream = 2
  fallback = service.web
}
service "worker" { command = "worker" }
`)
	withheld := func(which string) (routes, services []string) {
		rest := p.Withhold(func(e *Effect) bool { return e.Target == which })
		for _, r := range rest.Hosts()[0].Routes {
			if _, is := r.Answer.(*Withheld); is {
				routes = append(routes, r.Path)
			}
		}
		for _, s := range rest.Services() {
			services = append(services, s.Name)
		}
		slices.Sort(routes)
		return routes, services
	}
	if routes, services := withheld("web"); !slices.Equal(routes, []string{"/", "/api"}) || !slices.Equal(services, []string{"worker"}) {
		t.Errorf("without web: %q are withheld, %q run", routes, services)
	}
	if routes, services := withheld("worker"); routes != nil || !slices.Equal(services, []string{"web"}) {
		t.Errorf("without worker: %q are withheld, %q run", routes, services)
	}
	if routes, services := withheld("nothing"); routes != nil || !slices.Equal(services, []string{"web", "worker"}) {
		t.Errorf("without nothing: %q are withheld, %q run", routes, services)
	}
}

// TestWayToService is the address under which others reach a service.
func TestWayToService(t *testing.T) {
	p, _ := effectsPlan(t, `
host "*.tenant.localhost" { upstream = service.web }
host "shop.localhost" {
  upstream = service.web
  route "/api" { upstream = service.api }
  route "/graph" {
    upstream     = service.graph
    strip_prefix = true
  }
  route "/exact" {
    exact    = true
    upstream = service.hidden
  }
}
host "graph.localhost" {
  upstream = 1
  route "/v2" { upstream = service.graph }
}
service "web" { command = "x" }
service "api" { command = "x" }
service "graph" { command = "x" }
service "hidden" { command = "x" }
`)
	var got []string
	for _, s := range p.Services() {
		got = append(got, s.Name+" "+s.Host+s.Path)
	}
	if want := []string{"web shop.localhost", "api shop.localhost", "graph shop.localhost/graph", "hidden "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
