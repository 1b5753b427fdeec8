package hcl

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// decodeRight decodes a file that must be valid.
func decodeRight(t *testing.T, text string) *File {
	t.Helper()
	file, diags := decodeText(text, "")
	if len(diags) > 0 {
		t.Fatalf("%s\n%s", text, rendered(t, diags, file.Sources))
	}
	return file
}

func withoutRanges() cmp.Option {
	return cmp.Options{cmpopts.IgnoreTypes(Range{}), cmpopts.IgnoreFields(Member{}, "RealSocket"), cmpopts.IgnoreFields(Files{}, "Real")}
}

func TestUpstreamForms(t *testing.T) {
	tests := []struct {
		written string
		want    []Member
	}{
		{`5173`, []Member{{Scheme: SchemeHTTP, Port: 5173, Text: ":5173"}}},
		{`"5173"`, []Member{{Scheme: SchemeHTTP, Port: 5173, Text: ":5173"}}},
		{`":5173"`, []Member{{Scheme: SchemeHTTP, Port: 5173, Text: ":5173"}}},
		{`":5173/"`, []Member{{Scheme: SchemeHTTP, Port: 5173, Text: ":5173"}}},
		{`"http://localhost:5173/"`, []Member{{Scheme: SchemeHTTP, Host: "localhost", Port: 5173, Text: "http://localhost:5173"}}},
		{`"https://localhost:5173/"`, []Member{{Scheme: SchemeHTTPS, Host: "localhost", Port: 5173, Text: "https://localhost:5173"}}},
		{`"http://127.0.0.1/"`, []Member{{Scheme: SchemeHTTP, Host: "127.0.0.1", Port: 80, Text: "http://127.0.0.1"}}},
		{`"localhost:5173/"`, []Member{{Scheme: SchemeHTTP, Host: "localhost", Port: 5173, Text: "localhost:5173"}}},
		{`"[::1]:5173/"`, []Member{{Scheme: SchemeHTTP, Host: "::1", Port: 5173, Text: "[::1]:5173"}}},
		{`"http://[::1]:5173/"`, []Member{{Scheme: SchemeHTTP, Host: "::1", Port: 5173, Text: "http://[::1]:5173"}}},
		{`"h2c://localhost:50051/"`, []Member{{Scheme: SchemeH2C, Host: "localhost", Port: 50051, Text: "h2c://localhost:50051"}}},
		{`1 + 1`, []Member{{Scheme: SchemeHTTP, Port: 2, Text: ":2"}}},
		{`"localhost:3000"`, []Member{{Scheme: SchemeHTTP, Host: "localhost", Port: 3000, Text: "localhost:3000"}}},
		{`"api.localhost:3000"`, []Member{{Scheme: SchemeHTTP, Host: "api.localhost", Port: 3000, Text: "api.localhost:3000"}}},
		{`"10.0.0.1:3000"`, []Member{{Scheme: SchemeHTTP, Host: "10.0.0.1", Port: 3000, Text: "10.0.0.1:3000"}}},
		{`"[::1]:3000"`, []Member{{Scheme: SchemeHTTP, Host: "::1", Port: 3000, Text: "[::1]:3000"}}},
		{`"http://127.0.0.1"`, []Member{{Scheme: SchemeHTTP, Host: "127.0.0.1", Port: 80, Text: "http://127.0.0.1"}}},
		{`"HTTPS://example.com"`, []Member{{Scheme: SchemeHTTPS, Host: "example.com", Port: 443, Text: "HTTPS://example.com"}}},
		{`"https://[::1]:8443"`, []Member{{Scheme: SchemeHTTPS, Host: "::1", Port: 8443, Text: "https://[::1]:8443"}}},
		{`"h2c://127.0.0.1:50051"`, []Member{{Scheme: SchemeH2C, Host: "127.0.0.1", Port: 50051, Text: "h2c://127.0.0.1:50051"}}},
		{`"unix:tmp/app.sock"`, []Member{{Scheme: SchemeHTTP, Socket: "/p/tmp/app.sock", Text: "unix:tmp/app.sock"}}},
		{`"unix:../app.sock"`, []Member{{Scheme: SchemeHTTP, Socket: "/app.sock", Text: "unix:../app.sock"}}},
		{`"unix:///run/app.sock"`, []Member{{Scheme: SchemeHTTP, Socket: "/run/app.sock", Text: "unix:///run/app.sock"}}},
		{`[1, "2"]`, []Member{{Scheme: SchemeHTTP, Port: 1, Text: ":1"}, {Scheme: SchemeHTTP, Port: 2, Text: ":2"}}},
		{`[for n in [1, 2] : n]`, []Member{{Scheme: SchemeHTTP, Port: 1, Text: ":1"}, {Scheme: SchemeHTTP, Port: 2, Text: ":2"}}},
		{`["localhost:${service.api.port}"]`, []Member{{Scheme: SchemeHTTP, Host: "localhost", Port: 3000, Text: "localhost:3000"}}},
		{`[[for n in ["api"] : service[n].port][0]]`, []Member{{Scheme: SchemeHTTP, Port: 3000, Text: ":3000"}}},
		{`[{ a = ["${service.api.port}"] }.a[0]]`, []Member{{Scheme: SchemeHTTP, Port: 3000, Text: ":3000"}}},
		{`service.api`, []Member{{Scheme: SchemeHTTP, Port: 3000, Text: ":3000"}}},
		{`true ? service.api : null`, []Member{{Scheme: SchemeHTTP, Port: 3000, Text: ":3000"}}},
		{`[service.api, 1]`, []Member{{Scheme: SchemeHTTP, Port: 3000, Text: ":3000"}, {Scheme: SchemeHTTP, Port: 1, Text: ":1"}}},
		{`service.api.port`, []Member{{Scheme: SchemeHTTP, Port: 3000, Text: ":3000"}}},
		{`service.api.url`, []Member{{Scheme: SchemeHTTP, Host: "127.0.0.1", Port: 3000, Text: "http://127.0.0.1:3000"}}},
	}
	for _, tt := range tests {
		file := decodeRight(t, "host \"a.localhost\" { upstream = "+tt.written+" }\nservice \"api\" { upstream = 3000 }\nhost \"b.localhost\" { upstream = service.api }\n")
		u := file.Hosts[0].Upstream
		for i := range u.Members {
			u.Members[i].Socket = filepath.ToSlash(u.Members[i].Socket)
		}
		if diff := cmp.Diff(tt.want, u.Members, withoutRanges()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.written, diff)
		}
		if u.Text != tt.written {
			t.Errorf("%s: text %q", tt.written, u.Text)
		}
		if (u.Service != nil) != (tt.written == "service.api" || strings.HasPrefix(tt.written, "true")) {
			t.Errorf("%s: service %v", tt.written, u.Service)
		}
	}
}

func TestMemberRanges(t *testing.T) {
	file := decodeRight(t, "host \"a.localhost\" { upstream = [1, service.s] }\nservice \"s\" { upstream = [\n  2,\n  3] }\n")
	var got []string
	for _, m := range file.Hosts[0].Upstream.Members {
		got = append(got, fmt.Sprintf("%s %d:%d", m.Text, m.Range.Start.Line, m.Range.Start.Column))
	}
	if diff := cmp.Diff([]string{":1 1:34", ":2 3:3", ":3 4:3"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func ptr[T any](v T) *T { return &v }

func TestSettings(t *testing.T) {
	tests := []struct {
		written string
		want    Settings
	}{
		{`files = "dist"`, Settings{Files: &Files{Dir: "/p/dist", Text: "dist"}}},
		{"files = \"dist\"\nspa = true", Settings{Files: &Files{Dir: "/p/dist", Text: "dist", SPA: true}}},
		{`redirect = "/x{rest}"`, Settings{Redirect: &Redirect{Target: "/x{rest}", Status: 302}}},
		{"redirect = \"https://example.com\"\nstatus = 308", Settings{Redirect: &Redirect{Target: "https://example.com", Status: 308}}},
		{`respond = 204`, Settings{Respond: &Respond{Status: 204}}},
		{`respond = { body = "hi" }`, Settings{Respond: &Respond{Status: 200, Body: "hi"}}},
		{`respond = { status = 418, body = 1, headers = { content-type = "text/plain" } }`,
			Settings{Respond: &Respond{Status: 418, Body: "1", Headers: map[string]string{"Content-Type": "text/plain"}}}},
		{"respond = 204\nupstream = null\nfiles = null", Settings{Respond: &Respond{Status: 204}}},
		{"respond = 204\ntimeout = \"1m30s\"\nhold = \"0s\"\ntls_skip_verify = false",
			Settings{Respond: &Respond{Status: 204}, Timeout: ptr(90 * time.Second), Hold: ptr(time.Duration(0)), TLSSkipVerify: ptr(false)}},
		{"respond = 204\nforwarded_proto = \"http\"", Settings{Respond: &Respond{Status: 204}, ForwardedProto: ForwardedHTTP}},
		{"respond = 204\nforwarded_proto = \"https\"", Settings{Respond: &Respond{Status: 204}, ForwardedProto: ForwardedHTTPS}},
		{"respond = 204\npublic_host = true", Settings{Respond: &Respond{Status: 204}, PublicHost: ptr(true)}},
		{"respond = 204\nforwarded_proto = null", Settings{Respond: &Respond{Status: 204}}},
		{"respond = 204\nrequest_headers = { x-a = 1, X-B = null, X-C = true, X-D = \"\" }\nresponse_headers = {}", Settings{
			Respond:         &Respond{Status: 204},
			RequestHeaders:  map[string]*string{"X-A": ptr("1"), "X-B": nil, "X-C": ptr("true"), "X-D": ptr("")},
			ResponseHeaders: map[string]*string{},
		}},
	}
	for _, tt := range tests {
		file := decodeRight(t, "host \"a.localhost\" {\n"+tt.written+"\n}\n")
		got := file.Hosts[0].Settings
		if got.Files != nil {
			got.Files.Dir = filepath.ToSlash(got.Files.Dir)
		}
		if diff := cmp.Diff(tt.want, got, withoutRanges()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.written, diff)
		}
	}
}

func TestRoutes(t *testing.T) {
	tests := []struct {
		path, written string
		want          Route
	}{
		{"/", ``, Route{Path: "/"}},
		{"/api", "exact = true", Route{Path: "/api", Exact: true}},
		{"/a b", "strip_prefix = true", Route{Path: "/a b", StripPrefix: true}},
		{"/café", `rewrite = "/v1{rest}"`, Route{Path: "/café", Rewrite: "/v1{rest}"}},
		{"/m", "match = null", Route{Path: "/m"}},
		{"/m", "match = {}", Route{Path: "/m"}},
		{"/m", `match = { methods = ["get"], headers = { x-a = "*" }, query = { V = 2 } }`, Route{Path: "/m", Match: &Match{
			Methods: []string{"GET"}, Headers: map[string]string{"X-A": "*"}, Query: map[string]string{"V": "2"},
		}}},
	}
	for _, tt := range tests {
		file := decodeRight(t, "host \"a.localhost\" {\n respond = 204\n route \""+tt.path+"\" {\n"+tt.written+"\n}\n}\n")
		if diff := cmp.Diff(&tt.want, file.Hosts[0].Routes[0], withoutRanges()); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.path, tt.written, diff)
		}
	}
}

func TestDomain(t *testing.T) {
	host := func(names ...string) string {
		var b strings.Builder
		for _, name := range names {
			fmt.Fprintf(&b, "host %q { respond = 204 }\n", name)
		}
		return b.String()
	}
	for text, want := range map[string]string{
		host("shop.localhost"): "shop.localhost",
		host("shop.localhost", "mail.shop.localhost", "*.t.shop.localhost"): "shop.localhost",
		host("a.shop.localhost", "b.shop.localhost"):                        "shop.localhost",
		host("a.localhost", "b.localhost"):                                  "localhost",
		host("*.shop.localhost"):                                            "shop.localhost",
		host("localhost"):                                                   "localhost",
		host("SHOP.localhost"):                                              "shop.localhost",
		"domain = \"Shop.localhost\"\n" + host("a.localhost"):               "shop.localhost",
		"domain = null\n" + host("a.localhost"):                             "a.localhost",
	} {
		if got := decodeRight(t, text).Domain; got != want {
			t.Errorf("%s: domain %q, want %q", text, got, want)
		}
	}
}

func TestListen(t *testing.T) {
	for written, want := range map[string]Listen{
		``:                       {},
		`https = 8443`:           {HTTPS: "8443"},
		`https = 8000 + 443`:     {HTTPS: "8443"},
		`https = "8443"`:         {HTTPS: "8443"},
		`https = ":0"`:           {HTTPS: ":0"},
		`http = "[::1]:8080"`:    {HTTP: "[::1]:8080"},
		`http = "localhost:80"`:  {HTTP: "localhost:80"},
		`https = "127.0.0.1:44"`: {HTTPS: "127.0.0.1:44"},
		`redirect = false`:       {ServePlain: true},
		`redirect = true`:        {},
	} {
		file := decodeRight(t, "listen {\n"+written+"\n}\n"+smallest)
		if diff := cmp.Diff(want, file.Listen, withoutRanges()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", written, diff)
		}
	}
}

// result returns the value of an expression as text.
func result(t *testing.T, expression, rest string) string {
	t.Helper()
	file := decodeRight(t, "host \"a.localhost\" { respond = { body = jsonencode("+expression+") } }\n"+rest)
	return file.Hosts[0].Respond.Body
}

func TestFunctions(t *testing.T) {
	tests := []struct{ expression, want string }{
		{`chomp("a\n")`, `"a"`}, {`format("%s-%03d", "a", 7)`, `"a-007"`}, {`join("-", ["a", "b"])`, `"a-b"`}, {`lower("Ä")`, `"ä"`},
		{`replace("aXbX", "X", "-")`, `"a-b-"`}, {`split(",", "a,b")`, `["a","b"]`}, {`strlen("äö")`, `2`}, {`substr("hello", 1, 3)`, `"ell"`},
		{`title("a b")`, `"A B"`}, {`trim("--a--", "-")`, `"a"`}, {`trimprefix("ab", "a")`, `"b"`}, {`trimspace(" a ")`, `"a"`},
		{`trimsuffix("ab", "b")`, `"a"`}, {`upper("a")`, `"A"`},
		{`coalesce(null, "a")`, `"a"`}, {`compact(["a", ""])`, `["a"]`}, {`concat([1], [2])`, `[1,2]`}, {`contains([1], 1)`, `true`},
		{`distinct([1, 1])`, `[1]`}, {`element([1, 2], 3)`, `2`}, {`flatten([[1], [2]])`, `[1,2]`}, {`keys({ a = 1 })`, `["a"]`},
		{`length([1, 2])`, `2`}, {`lookup({ a = 1 }, "b", 2)`, `2`}, {`merge({ a = 1 }, { b = 2 })`, `{"a":1,"b":2}`}, {`range(3)`, `[0,1,2]`},
		{`reverse([1, 2])`, `[2,1]`}, {`slice([1, 2, 3], 0, 2)`, `[1,2]`}, {`sort(["b", "a"])`, `["a","b"]`}, {`values({ a = 1 })`, `[1]`}, {`zipmap(["a"], [1])`, `{"a":1}`},
		{`abs(-1)`, `1`}, {`ceil(1.2)`, `2`}, {`floor(1.8)`, `1`}, {`max(1, 2)`, `2`}, {`min(1, 2)`, `1`}, {`parseint("ff", 16)`, `255`},
		{`env("SET")`, `"from the environment"`}, {`env("SET", "x")`, `"from the environment"`}, {`env("UNSET", "x")`, `"x"`}, {`env("UNSET", null)`, `null`},
		{`jsondecode("{\"a\":[1]}").a[0]`, `1`}, {`tobool("true")`, `true`}, {`tonumber("1")`, `1`}, {`tostring(1)`, `"1"`},
		{`url("a.localhost")`, `"https://a.localhost"`}, {`url("x.t.localhost")`, `"https://x.t.localhost"`},
		{`[for n in ["a", "b"] : upper(n) if n != "a"]`, `["B"]`}, {`{ for k, v in { a = 1 } : k => v + 1 }`, `{"a":2}`},
		{`"${1 + 1}%{if true}x%{endif}"`, `"2x"`}, {`local.x["y"]`, `3`}, {`[for s in ["web"] : service[s].port]`, `[3000]`},
	}
	const rest = "host \"*.t.localhost\" { upstream = service.web }\nservice \"web\" { upstream = 3000 }\nlocals { x = { y = 3 } }\n"
	tested := map[string]bool{"jsonencode": true}
	for _, tt := range tests {
		if got := result(t, tt.expression, rest); got != tt.want {
			t.Errorf("%s = %s, want %s", tt.expression, got, tt.want)
		}
		name, _, _ := strings.Cut(tt.expression, "(")
		tested[name] = true
	}
	for name := range newScope(&File{}, environment{}).callable {
		if !tested[name] {
			t.Errorf("%s is not tested", name)
		}
	}
}

func TestURLPort(t *testing.T) {
	for rest, want := range map[string]string{
		"": "https://a.localhost", "listen { https = 443 }": "https://a.localhost", "listen { https = 8443 }": "https://a.localhost:8443",
		`listen { https = "127.0.0.1:8443" }`: "https://a.localhost:8443", `listen { https = ":0" }`: "https://a.localhost",
	} {
		if got := result(t, `url("A.localhost")`, rest); got != `"`+want+`"` {
			t.Errorf("%s: %s, want %s", rest, got, want)
		}
	}
}
