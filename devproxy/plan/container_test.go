package plan

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// running is a container of compose that runs and is reached at an address.
func running(service string, number int) Container {
	name := fmt.Sprintf("shop-%s-%d", service, number)
	return Container{Name: name, Service: service, State: "running", Reach: func(port uint16) (addr, problem, fix string) {
		if port == 0 {
			port = 80
		}
		return fmt.Sprintf("172.18.0.%d:%d", number+1, port), "", ""
	}}
}

func labels(c Container, host, path string) Container {
	c.Host, c.Path = host, path
	return c
}

// withContainers is the plan of a Proxyfile while containers run.
func withContainers(t *testing.T, text string, all ...Container) *Plan {
	t.Helper()
	return withEnv(t, text, nil, Env{Containers: &Containers{All: all}})
}

func withEnv(t *testing.T, text string, worktree *hcl.Worktree, env Env) *Plan {
	t.Helper()
	file := containerFile(t, text, worktree)
	p, diags := Build(file, env)
	if len(diags) > 0 {
		t.Fatalf("%v in\n%s", diags, text)
	}
	return p
}

func answers(p *Plan) []string {
	var all []string
	for _, r := range p.routes() {
		line := r.Host.Name + r.Label() + " " + r.Answer.String()
		if u, is := r.Answer.(*Upstream); is && u.Group != nil {
			for _, m := range u.Members {
				line += " " + strings.Join(m.Addrs, ",")
			}
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

func checkAnswers(t *testing.T, what string, p *Plan, want ...string) {
	t.Helper()
	if got := answers(p); !slices.Equal(got, want) {
		t.Errorf("%s: the routes are\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const serviceOfContainers = `
host "shop.localhost" { upstream = service.api }
service "api" { container = { service = "api", port = 8080 } }
`

func TestContainersAreMembers(t *testing.T) {
	other := running("db", 9)
	stopped := running("api", 3)
	stopped.State = "exited"
	checkAnswers(t, "two of three run", withContainers(t, serviceOfContainers, running("api", 1), running("api", 2), stopped, other),
		"shop.localhost/ 2 containers of api 172.18.0.2:8080 172.18.0.3:8080")
	checkAnswers(t, "one runs", withContainers(t, serviceOfContainers, running("api", 1)), "shop.localhost/ container api 172.18.0.2:8080")
	checkAnswers(t, "not asked yet", withEnv(t, serviceOfContainers, nil, Env{}), "shop.localhost/ container api container api is not known yet")
}

// TestAbsentContainers: without a running container, the member says why, and that is
// part of the key, so that the page follows.
func TestAbsentContainers(t *testing.T) {
	in := func(state string) Container {
		c := running("api", 1)
		c.State = state
		return c
	}
	unreachable := running("api", 1)
	unreachable.Reach = func(uint16) (string, string, string) { return "", "it publishes no port", "add ports" }
	keys := map[string]bool{}
	for _, tt := range []struct {
		all       []Container
		text, fix string
	}{
		{nil, "container api is not running", "docker compose up api"},
		{[]Container{in("exited")}, "container api has exited", "docker compose up api"},
		{[]Container{in("exited"), in("created")}, "container api is starting", ""},
		{[]Container{in("restarting"), in("dead")}, "container api is restarting", ""},
		{[]Container{in("paused")}, "container api is paused", "docker unpause shop-api-1"},
		{[]Container{unreachable}, "container api can't be reached: it publishes no port", "add ports"},
	} {
		up := withContainers(t, serviceOfContainers, tt.all...).routes()[0].Answer.(*Upstream)
		if up.Group.Absent != tt.text || up.Group.Fix != tt.fix || up.Members[0].Network != NetworkNone || up.Members[0].Addrs[0] != tt.text {
			t.Errorf("%q with %q, %+v; want %q with %q", up.Group.Absent, up.Group.Fix, up.Members, tt.text, tt.fix)
		}
		keys[up.Key] = true
	}
	if len(keys) != 6 {
		t.Errorf("%d keys for 6 states", len(keys))
	}
	itself := Env{Bound: []netip.AddrPort{netip.MustParseAddrPort("172.18.0.2:8080")}, Containers: &Containers{All: []Container{running("api", 1)}}}
	checkAnswers(t, "devproxy itself", withEnv(t, serviceOfContainers, nil, itself),
		"shop.localhost/ container api container api can't be reached: shop-api-1 leads to 172.18.0.2:8080, where devproxy itself listens")
	p := withEnv(t, serviceOfContainers, nil, Env{Containers: &Containers{Problem: "nothing listens on /run/docker.sock", Fix: "start it"}})
	if g := p.routes()[0].Answer.(*Upstream).Group; g.Absent != "container api is not known: nothing listens on /run/docker.sock" || g.Fix != "start it" {
		t.Errorf("without an engine: %+v", g)
	}
}

// TestContainerHealth: the engine's opinion is not part of the key, so that connections
// stay.
func TestContainerHealth(t *testing.T) {
	healthy, sick := running("api", 1), running("api", 1)
	healthy.Health, sick.Health, sick.HealthLog = "healthy", "unhealthy", "curl: (22) 503"
	a := withContainers(t, serviceOfContainers, healthy).routes()[0].Answer.(*Upstream)
	b := withContainers(t, serviceOfContainers, sick).routes()[0].Answer.(*Upstream)
	if a.Key != b.Key || a.Members[0].Unhealthy != "" || b.Members[0].Unhealthy != "its health check fails: curl: (22) 503" {
		t.Errorf("%+v\n%+v", a, b)
	}
}

const discovering = `
discover = "docker"
host "shop.localhost" {
  upstream   = 5173
  basic_auth = { ann = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy" }
  route "/docs" { respond = 204 }
}
host "*.tenant.shop.localhost" { upstream = 5173 }
`

func TestLabels(t *testing.T) {
	p := withContainers(t, discovering,
		labels(running("mail", 1), "Mail.shop.localhost", ""),
		labels(running("api", 1), "shop.localhost", "/api"),
		labels(running("api", 2), "shop.localhost", "/api"),
		running("db", 1),
	)
	checkAnswers(t, "labels", p,
		"*.tenant.shop.localhost/ :5173",
		"mail.shop.localhost/ container mail 172.18.0.2:80",
		"shop.localhost/ :5173",
		"shop.localhost/api 2 containers of api 172.18.0.2:80 172.18.0.3:80",
		"shop.localhost/docs respond 204",
	)
	for _, h := range p.Hosts() {
		if h.Labelled != (h.Name == "mail.shop.localhost") {
			t.Errorf("host %s: labelled is %v", h.Name, h.Labelled)
		}
		for _, r := range h.Routes {
			if _, guarded := SettingOf[BasicAuth](r); guarded != (h.Name == "shop.localhost") {
				t.Errorf("route %s: guarded is %v", r.ID, guarded)
			}
		}
	}
	if len(p.Notes()) != 0 {
		t.Errorf("notes: %q", p.Notes())
	}
	if slices.Contains(p.Share().Hosts, "mail.shop.localhost") {
		t.Error("a host that only labels name is shared")
	}
}

// TestLabelsAreUntrusted: what the file says counts, and no label reaches another name.
func TestLabelsAreUntrusted(t *testing.T) {
	bad := []struct{ host, path, port, note string }{
		{"shop.localhost", "", "", "container shop-api-1: label devproxy.host: the Proxyfile says what shop.localhost/ is, and counts"},
		{"shop.localhost", "/docs", "", "container shop-api-1: label devproxy.host: the Proxyfile says what shop.localhost/docs is, and counts"},
		{"a.tenant.shop.localhost", "", "", `container shop-api-1: label devproxy.host: a.tenant.shop.localhost is covered by host "*.tenant.shop.localhost" of the Proxyfile, which counts`},
		{"bank.localhost", "", "", "container shop-api-1: label devproxy.host: bank.localhost is neither below the domain of the Proxyfile nor one of its names"},
		{"shop.test", "", "", `container shop-api-1: label devproxy.host: "shop.test" is not below .localhost`},
		{"*.shop.localhost", "", "", "container shop-api-1: label devproxy.host: a wildcard is not allowed"},
		{"a\x1b[2J.shop.localhost", "", "", `container shop-api-1: label devproxy.host: "a\x1b[2j.shop.localhost" is not a valid name`},
		{"api.shop.localhost", "/a\nb", "", `container shop-api-1: label devproxy.path: a path can't contain control characters`},
		{"api.shop.localhost", "/*", "", `container shop-api-1: label devproxy.path: "*" is not allowed`},
		{"api.shop.localhost", "/\u202ex", "", `container shop-api-1: label devproxy.path: "/\u202ex" has characters that can't be seen or look like others`},
		{"api.shop.localhost", strings.Repeat("/abc", 50), "", "container shop-api-1: label devproxy.path: \"" + strings.Repeat("/abc", 15) + "…\" is longer than 100 characters"},
		{"", "/api", "", "container shop-api-1: label devproxy.path: it needs devproxy.host"},
		{"api.shop.localhost", "", "22; rm", `container shop-api-1: label devproxy.port: "22; rm" is not a port`},
		{"api.shop.localhost", "", "0", `container shop-api-1: label devproxy.port: 0 is not a port`},
		{strings.Repeat("a.", 200) + "shop.localhost", "", "", "container shop-api-1: label devproxy.host: " + strings.Repeat("a.", 30) + "… is longer than 255 characters"},
	}
	plain := answers(withContainers(t, discovering))
	for _, tt := range bad {
		c := labels(running("api", 1), tt.host, tt.path)
		c.Port = tt.port
		p := withContainers(t, discovering, c)
		if got := p.Notes(); len(got) != 1 || !strings.EqualFold(got[0].Text, tt.note) && !strings.Contains(tt.note, "…") || strings.ContainsAny(got[0].Text, "\x1b\n") || len(got[0].Text) > 300 {
			t.Errorf("host %q, path %q, port %q: the notes are %q, want %q", tt.host, tt.path, tt.port, got, tt.note)
		}
		if got := answers(p); !slices.Equal(got, plain) {
			t.Errorf("host %q, path %q: the routes are %q", tt.host, tt.path, got)
		}
	}
	// Without discover labels mean nothing.
	if p := withContainers(t, serviceOfContainers, labels(running("mail", 1), "mail.shop.localhost", "")); len(p.routes()) != 1 {
		t.Errorf("without discover: %q", answers(p))
	}
	// localhost is every project's, so a file that has it gives labels no other name.
	for _, own := range []string{"localhost", "*.localhost"} {
		p := withContainers(t, "discover = \"docker\"\nhost \""+own+"\" { upstream = 1 }\n", labels(running("api", 1), "a.bank.localhost", ""))
		if notes := p.Notes(); len(notes) != 1 || len(p.routes()) != 1 {
			t.Errorf("%s: %q, %q", own, notes, answers(p))
		}
	}
	two := withContainers(t, discovering, labels(running("a", 1), "x.shop.localhost", "/"), labels(running("b", 1), "x.shop.localhost", ""))
	if notes := two.Notes(); len(notes) != 1 || notes[0].Text != "container shop-b-1: x.shop.localhost/ leads to container shop-a-1 already" {
		t.Errorf("two services: %q", notes)
	}
	taken := withEnv(t, discovering, nil, Env{Taken: map[string]string{"x.shop.localhost": "another project serves x.shop.localhost"}, Containers: &Containers{All: []Container{labels(running("a", 1), "x.shop.localhost", "/")}}})
	if notes := taken.Notes(); len(notes) != 1 || !slices.Equal(answers(taken), plain) {
		t.Errorf("a taken name: %q, %q", notes, answers(taken))
	}
	var many []Container
	for i := range maxLabelledRoutes + 5 {
		many = append(many, labels(running(fmt.Sprint("s", i), 1), fmt.Sprintf("s%d.shop.localhost", i), ""))
	}
	if p := withContainers(t, discovering, many...); len(p.labelledRoutes()) != maxLabelledRoutes || len(p.Notes()) != 5 {
		t.Errorf("%d routes, %d notes", len(p.labelledRoutes()), len(p.Notes()))
	}
}

func TestLabelsInWorktree(t *testing.T) {
	text := strings.Replace(discovering, "discover =", "domain = \"shop.localhost\"\ndiscover =", 1)
	p := withEnv(t, text, &hcl.Worktree{Name: "fix-ui", Key: "fix-ui"}, Env{Containers: &Containers{All: []Container{
		labels(running("mail", 1), "mail.shop.localhost", ""), labels(running("api", 1), "shop.localhost", "/api"),
	}}})
	checkAnswers(t, "in a worktree", p,
		"*.tenant.fix-ui.shop.localhost/ :5173",
		"fix-ui.shop.localhost/ :5173",
		"fix-ui.shop.localhost/api container api 172.18.0.2:80",
		"fix-ui.shop.localhost/docs respond 204",
		"mail.fix-ui.shop.localhost/ container mail 172.18.0.2:80",
	)
}

// TestContainerEffects: the engine's API needs consent, and nothing of it is served
// without.
func TestContainerEffects(t *testing.T) {
	p := withContainers(t, serviceOfContainers, running("api", 1))
	if got := p.Effects(); len(got) != 1 || got[0].Target != ContainersOfServices || got[0].Sources[0].Line != 3 || !p.UsesContainers() {
		t.Fatalf("the effects are %v", got)
	}
	rest := p.Withhold(func(*Effect) bool { return true })
	if _, is := rest.routes()[0].Answer.(*Withheld); !is || rest.UsesContainers() {
		t.Errorf("without consent: %v", answers(rest))
	}
	p = withContainers(t, discovering, labels(running("api", 1), "shop.localhost", "/api"))
	if got := p.Effects(); len(got) != 1 || got[0].Target != ContainersByLabels {
		t.Fatalf("the effects are %v", got)
	}
	rest = p.Withhold(func(*Effect) bool { return true })
	checkAnswers(t, "without consent", rest, "*.tenant.shop.localhost/ :5173", "shop.localhost/ :5173", "shop.localhost/api needs consent", "shop.localhost/docs respond 204")
}

// TestLabelsGetNoSecrets: a container that joins a host does not get what the host sends
// to its own upstream.
func TestLabelsGetNoSecrets(t *testing.T) {
	text := "discover = \"docker\"\nhost \"shop.localhost\" {\n upstream = 1\n request_headers = { X-Key = env(\"SECRET\"), X-Plain = \"a\" }\n}\n"
	before := withContainers(t, text)
	after := withContainers(t, text, labels(running("api", 1), "shop.localhost", "/api"))
	for _, r := range after.labelledRoutes() {
		if len(r.RequestHeaders) != 1 || r.RequestHeaders[0].Name != "X-Plain" {
			t.Errorf("the container gets %v", r.RequestHeaders)
		}
	}
	if len(after.labelledRoutes()) != 1 || len(before.Effects()) != len(after.Effects()) {
		t.Errorf("effects: %v, then %v", before.Effects(), after.Effects())
	}
}

// containerFile loads a Proxyfile.
func containerFile(t *testing.T, text string, worktree *hcl.Worktree) *hcl.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Proxyfile")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	file, diags, err := hcl.Load(path, hcl.Options{Worktree: worktree, Getenv: func(name string) string {
		if name == "SECRET" {
			return secretValue
		}
		return ""
	}})
	if err != nil || len(diags) > 0 {
		t.Fatalf("%v %v in\n%s", err, diags, text)
	}
	return file
}
