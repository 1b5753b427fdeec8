package plan

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/hcl"
)

const someHash = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"

// planOf is the plan of a Proxyfile's text, and what is to be said of it.
func planOf(t *testing.T, text string) (*Plan, hcl.Diagnostics) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Proxyfile")
	write(t, path, text)
	file, diags, err := hcl.Load(path, hcl.Options{WorkDir: t.TempDir(), Getenv: func(string) string { return "" }})
	if err != nil || diags.HasErrors() {
		t.Fatal(err, diags)
	}
	return Build(file, Env{})
}

// around returns the settings around a route's answer, one on each line.
func around(r *Route) string {
	var lines []string
	for _, s := range r.Around {
		lines = append(lines, s.Name()+" "+s.String())
	}
	return strings.Join(lines, "\n")
}

func routeBy(t *testing.T, p *Plan, label string) *Route {
	t.Helper()
	for _, h := range p.Hosts() {
		for _, r := range h.Routes {
			if r.Label() == label {
				return r
			}
		}
	}
	t.Fatalf("no route %s", label)
	return nil
}

// TestInheritAround: a route takes missing settings from its host, whole; off
// undoes the host's.
func TestInheritAround(t *testing.T) {
	all := `
  upstream   = 1
  allow      = ["127.0.0.1", "10.1.0.0/16", "10.0.0.0/8"]
  deny       = ["10.0.0.7"]
  rate_limit = { rate = "10/m", burst = 20, by = "user" }
  cors       = ["https://b.example.com", "https://a.example.com"]
  basic_auth = { zoe = "` + someHash + `", ann = "` + someHash + `" }
  max_concurrent = 2
  max_body   = "10MB"
  compress   = true
  cache      = true
  simulate   = { delay = "1s" }
`
	p, diags := planOf(t, `host "a.localhost" {`+all+`
  route "/same" { upstream = 2 }
  route "/off" {
    allow      = []
    deny       = null
    rate_limit = false
    cors       = null
    basic_auth = false
    max_concurrent = null
    max_body   = "0"
    compress   = false
    cache      = false
    simulate   = null
  }
  route "/own" {
    allow      = ["::1", "127.0.0.1"]
    rate_limit = "1/s"
    cors       = ["*"]
    basic_auth = { bob = "`+someHash+`" }
    max_concurrent = 1
    max_body   = "1KiB"
    cache      = { size = "16MB" }
    simulate   = { errors = "5%" }
  }
  route "/files" { respond = 204 }
}
`)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	const inherited = `access allow 10.0.0.0/8, allow 127.0.0.1/32, deny 10.0.0.7/32
cors https://a.example.com, https://b.example.com
basic_auth ann, zoe
rate_limit 10/m burst 20 by user
max_concurrent 2
max_body 10MB
compress zstd, br, gzip
`
	for label, want := range map[string]string{
		"/":      inherited + "cache 64MiB\nsimulate delay 1s",
		"/same":  inherited + "cache 64MiB\nsimulate delay 1s",
		"/files": inherited + "simulate delay 1s",
		"/off":   "",
		"/own": `access allow 127.0.0.1/32, allow ::1/128, deny 10.0.0.7/32
rate_limit 1/s
cors any origin, without credentials
basic_auth bob
max_concurrent 1
max_body 1KiB
compress zstd, br, gzip
cache 16MB
simulate errors 5%`,
	} {
		if diff := cmp.Diff(want, around(routeBy(t, p, label))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", label, diff)
		}
	}
	off := routeBy(t, p, "/off")
	if len(off.Around) > 0 {
		t.Errorf("/off = %+v; want no settings around it", off)
	}
	if users, _ := SettingOf[BasicAuth](routeBy(t, p, "/")); users[0] != (User{"ann", someHash}) {
		t.Errorf("users %v; want them by name, with their hashes", users)
	}
}

func TestOwnOrigins(t *testing.T) {
	p, _ := planOf(t, `
host "b.localhost" {
  aliases  = ["www.localhost", "*.c.localhost"]
  upstream = 1
  cors     = true
}
host "a.localhost" { upstream = 2 }
`)
	want := []string{"*.c.localhost", "a.localhost", "b.localhost", "www.localhost"}
	cors, _ := SettingOf[CORS](routeBy(t, p, "/"))
	if diff := cmp.Diff(CORS{Hosts: want}, cors); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestUpstreamOfService(t *testing.T) {
	p, diags := planOf(t, `
host "a.localhost" { upstream = service.a }
service "a" {
  upstream = [1, 2]
  balance  = "cookie"
  health   = { path = "/up", interval = "1s", timeout = "500ms", rise = 2, fall = 3, status = 204 }
  fallback = service.b
}
service "b" {
  upstream        = "https://127.0.0.1:4"
  tls_skip_verify = true
  fallback        = [5, "https://example.com"]
}
`)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	u := routeBy(t, p, "/").Answer.(*Upstream)
	if u.Balance != BalanceCookie || *u.Health != (Health{"/up", time.Second, 500 * time.Millisecond, 2, 3, 204}) {
		t.Errorf("balance %s, health %+v", u.Balance, u.Health)
	}
	if got := textOf(u.Fallback); got != "https://127.0.0.1:4, :5, https://example.com" {
		t.Errorf("fallback %s; want that of the fallback behind it", got)
	}
	if !u.Fallback[0].SkipVerify || u.Fallback[2].SkipVerify {
		t.Errorf("fallback %+v; want the certificate of example.com verified", u.Fallback)
	}
}

// TestKeyHoldsBalancing: connections and state are shared by equal specs only.
func TestKeyHoldsBalancing(t *testing.T) {
	key := func(more string) string {
		p, _ := planOf(t, "host \"a.localhost\" { upstream = service.a }\nservice \"a\" {\n upstream = [1, 2]\n "+more+"\n}\n")
		return routeBy(t, p, "/").Answer.(*Upstream).Key
	}
	seen := map[string]string{}
	for _, more := range []string{
		"", `balance = "least_conn"`, `balance = "cookie"`, "fallback = 3", "fallback = [3, 4]", "fallback = [4, 3]",
		`health = { path = "/" }`, `health = { path = "/x" }`, `health = { path = "/", interval = "3s" }`, `health = { path = "/", timeout = "2s" }`,
		`health = { path = "/", rise = 2 }`, `health = { path = "/", fall = 3 }`, `health = { path = "/", status = 204 }`,
	} {
		if before, taken := seen[key(more)]; taken {
			t.Errorf("%q and %q have one key", before, more)
		}
		seen[key(more)] = more
	}
	if key("") != key(`balance = "round_robin"`) || key("") != key("hold = \"1s\"") {
		t.Error("an equal upstream has another key")
	}
}

func TestFallbackLoop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Proxyfile")
	write(t, path, "host \"a.localhost\" { upstream = service.a }\nservice \"a\" {\n upstream = 1\n fallback = 8443\n}\n")
	file, _, err := hcl.Load(path, hcl.Options{WorkDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	_, diags := Build(file, Env{Bound: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8443")}})
	if len(diags) != 1 || diags[0].Summary != "upstream :8443 is devproxy itself" {
		t.Errorf("diagnostics %v; want the loop", diags)
	}
}

func TestAroundWarnings(t *testing.T) {
	tests := []struct{ written, want string }{
		{`cache = true`, ""}, // for routes that may come
		{`rate_limit = { rate = "1/s", by = "user" }`, "no one signs in here, so addresses are counted"},
		{`allow = ["10.0.0.0/8"]`, "this machine itself is not allowed"},
		{`allow = ["10.0.0.0/8", "::1"]`, ""},
		{`allow = ["0.0.0.0/0"]`, ""},
		{"allow = [\"0.0.0.0/0\"]\ndeny = [\"127.0.0.0/8\"]", "this machine itself is not allowed"},
		{"allow = [\"10.1.0.0/16\", \"10.2.0.1\"]\ndeny = [\"10.0.0.0/8\"]", "everyone who is allowed is denied"},
		{`deny = ["0.0.0.0/0", "::/0"]`, "everyone is denied"},
		{`deny = ["10.0.0.0/8"]`, ""},
	}
	for _, tt := range tests {
		_, diags := planOf(t, "host \"a.localhost\" {\nroute \"/a\" { respond = 204 }\nrespond = 204\n"+tt.written+"\n}\n")
		got := ""
		for _, d := range diags {
			got += d.Summary
		}
		if tt.want != got {
			t.Errorf("%s: %q; want %q", tt.written, got, tt.want)
		}
	}
	_, diags := planOf(t, "host \"a.localhost\" {\nupstream = 1\ncache = true\nroute \"/a\" { respond = 204 }\nroute \"/b\" {\nrespond = 204\ncache = true\n}\n}\n")
	if len(diags) != 1 || diags[0].Range.Start.Line != 7 {
		t.Errorf("diagnostics %v; want one, for the route that says cache itself", diags)
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0B", 1: "1B", 999: "999B", 1000: "1kB", 1024: "1KiB", 256_000: "256kB", 64 << 20: "64MiB", 10_000_000: "10MB", 2 << 30: "2GiB", 187_500: "187500B",
	} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %s; want %s", n, got, want)
		}
	}
}

// TestIdleRewrite: rewrite next to the host's files does nothing, and that is said.
func TestIdleRewrite(t *testing.T) {
	idle, used := &hcl.Route{Path: "/a", Rewrite: "/x"}, routeOf("/b", 1)
	used.Rewrite = "/x"
	host := hostOf("shop.localhost", nil, idle, used)
	host.Files = &hcl.Files{Dir: "/shop/site", Text: "site"}
	_, diags := Build(fileOf(host), Env{Root: "/shop"})
	if len(diags) != 1 || diags[0].Severity != hcl.Warning || !strings.Contains(diags[0].Summary, `"/a" does nothing`) {
		t.Error(diags)
	}
}
