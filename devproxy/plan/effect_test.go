package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

const secretValue = "s3cr3t-t0ken"

// effectsPlan is the plan of a Proxyfile in its own folder, with the secret in
// $SECRET and a port in $PORT. The folder is DIR in text.
func effectsPlan(t *testing.T, text string) (p *Plan, dir string) {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(base, "project")
	for _, made := range []string{filepath.Join(dir, "site"), filepath.Join(base, "outside")} {
		if err := os.MkdirAll(made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"out": "../outside", "in": "site", "gone": "../not-there"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip("this system has no links: ", err)
		}
	}
	path := filepath.Join(dir, "Proxyfile")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	values := map[string]string{"SECRET": secretValue, "PORT": "4711", "HASH": "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234", "SUB": "site"}
	file, diags, err := hcl.Load(path, hcl.Options{WorkDir: dir, Getenv: func(name string) string { return values[name] }})
	if err != nil || diags.HasErrors() {
		t.Fatal(err, diags, text)
	}
	p, more := Build(file, Env{})
	if more.HasErrors() {
		t.Fatal(more, text)
	}
	return p, dir
}

// texts are effects in lines, with the project's folder as DIR and the one
// around it as UP.
func texts(p *Plan, dir string) []string {
	var list []string
	for _, e := range p.Effects() {
		text := strings.ReplaceAll(e.String(), dir, "DIR")
		list = append(list, strings.ReplaceAll(text, filepath.Dir(dir), "UP"))
	}
	return list
}

// TestEffects: effects outside the project, in canonical form, and attributes
// without an effect, which must not need consent.
func TestEffects(t *testing.T) {
	tests := []struct {
		body string // of a host
		want []string
	}{
		// Folders.
		{`files = "site"`, nil},
		{`files = "."`, nil},
		{`files = "not-there-yet/dist"`, nil},
		{`files = "in"`, nil},
		{`files = "DIR/site/../in"`, nil},
		{`files = env("SUB")`, nil},
		{`files = "../outside"`, []string{"files UP/outside"}},
		{`files = "out"`, []string{"files UP/outside"}},
		{`files = "out/below"`, []string{"files UP/outside/below"}},
		{`files = "gone"`, []string{"files UP/not-there"}},
		{`files = "gone/below"`, []string{"files UP/not-there/below"}},
		{`files = "../project2"`, []string{"files DIR2"}},
		{`files = ".."`, []string{"files UP"}},
		{`files = "/"`, []string{"files /"}},
		{"upstream = 1\n try_files = \"site\"", nil},
		{"upstream = 1\n try_files = \"out\"", []string{"files UP/outside"}},
		{"upstream = 1\n try_files = \"../${env(\"SECRET\")}\"", []string{"files ../${SECRET} with $SECRET"}},
		{"upstream = 1\n route \"/a\" {\n upstream = 2\n try_files = \"..\"\n }", []string{"files UP"}},
		{"respond = 204\n route \"/a\" {\n files = \"../outside/not-there.js\"\n exact = true\n }", []string{"files UP/outside/not-there.js"}},
		{"respond = 204\n route \"/a\" {\n files = \"Proxyfile\"\n exact = true\n }", nil},
		{`files = "../${env("SECRET")}"`, []string{"files ../${SECRET} with $SECRET"}},
		// Sockets.
		{`upstream = "unix:tmp/app.sock"`, nil},
		{`upstream = "unix:out/app.sock"`, []string{"unix socket UP/outside/app.sock"}},
		{`upstream = "unix:///run/docker.sock"`, []string{"unix socket /run/docker.sock"}},
		{`upstream = "unix:${env("SECRET")}.sock"`, nil},
		// Machines.
		{`upstream = 3000`, nil},
		{`upstream = env("PORT")`, nil},
		{`upstream = "127.0.0.1:${env("PORT")}"`, nil},
		{`upstream = ["127.0.0.2:1", "[::1]:2", "localhost:3", "LOCALHOST.:4", "a.b.localhost:5", "0.0.0.0:6", "[::ffff:127.0.0.1]:7"]`, nil},
		{`upstream = "https://Example.com."`, []string{"upstream https://example.com"}},
		{`upstream = "https://example.com:443"`, []string{"upstream https://example.com"}},
		{`upstream = "example.com:80"`, []string{"upstream http://example.com"}},
		{`upstream = "http://example.com:8080"`, []string{"upstream http://example.com:8080"}},
		{`upstream = "h2c://192.168.0.1:1"`, []string{"upstream h2c://192.168.0.1:1"}},
		{`upstream = "https://[2001:DB8:0::1]"`, []string{"upstream https://[2001:db8::1]"}},
		{`upstream = "https://[::ffff:192.0.2.1]"`, []string{"upstream https://192.0.2.1"}},
		{`upstream = "localhost.example.com:80"`, []string{"upstream http://localhost.example.com"}},
		{`upstream = "127.0.0.1.example.com:80"`, []string{"upstream http://127.0.0.1.example.com"}},
		{`upstream = "0x7f.1:80"`, []string{"upstream http://0x7f.1"}},
		{`upstream = "169.254.169.254:80"`, []string{"upstream http://169.254.169.254"}},
		{`upstream = [1, "a.example:1", 2, "a.example:1"]`, []string{"upstream http://a.example:1"}},
		{`upstream = "http://${env("SECRET")}.example.com"`, []string{"upstream http://${SECRET}.example.com with $SECRET"}},
		{`upstream = "http://example.com:${env("PORT")}"`, []string{"upstream http://example.com:${PORT} with $PORT"}},
		{`upstream = format("http://%s.evil.example", env("SECRET"))`, []string{"upstream ${format(http://%s.evil.example, ${SECRET})} with $SECRET"}},
		{"upstream = \"http://a.example\"\n route \"/x\" { upstream = \"https://b.example\" }", []string{"upstream http://a.example", "upstream https://b.example"}},
		// Origins.
		{"respond = 204\n cors = true", nil},
		{"respond = 204\n cors = false", nil},
		{"respond = 204\n cors = [\"http://localhost:3000\", \"https://shop.localhost\", \"http://127.0.0.1\", \"tauri://localhost\"]", nil},
		{"respond = 204\n cors = [\"http://localhost:${env(\"PORT\")}\", \"https://127.0.0.1:${env(\"PORT\")}\"]", nil},
		{"respond = 204\n cors = [\"http://${env(\"SUB\")}.localhost\"]", []string{"cors http://${SUB}.localhost with $SUB"}},
		{"respond = 204\n cors = [\"${env(\"SUB\")}://localhost\"]", []string{"cors ${SUB}://localhost with $SUB"}},
		{"respond = 204\n cors = [\"https://App.example.com:443\"]", []string{"cors https://app.example.com"}},
		{"respond = 204\n response_headers = { Access-Control-Allow-Origin = \"https://{host}\" }", nil},
		{"respond = 204\n response_headers = { Access-Control-Allow-Origin = \"{query}\" }", []string{"cors {query}"}},
		{"respond = 204\n response_headers = { Access-Control-Allow-Origin = \"https://{host}.example\" }", []string{"cors https://{host}.example"}},
		{"redirect = \"https://{host}{uri}\"", nil},
		{"redirect = \"https://{host}/?k=${env(\"SECRET\")}\"", []string{"redirect https://{host}/?k=${SECRET} with $SECRET"}},
		{"respond = 204\n cors = [\"*\"]", []string{"cors *"}},
		{"respond = 204\n cors = [\"https://${env(\"SECRET\")}.example\"]", []string{"cors https://${SECRET}.example with $SECRET"}},
		{"respond = 204\n response_headers = { access-control-allow-ORIGIN = \"https://evil.example\" }", []string{"cors https://evil.example"}},
		{"respond = { headers = { Access-Control-Allow-Origin = \"null\" } }", []string{"cors null"}},
		{"respond = 204\n response_headers = { Access-Control-Allow-Origin = \"http://localhost:1\" }", nil},
		{"respond = 204\n response_headers = { Access-Control-Allow-Origin = null }", nil},
		// Values that leave.
		{`redirect = "https://example.com{rest}"`, nil},
		{`redirect = "/x?k=${env("SECRET")}"`, []string{"redirect visitors with $SECRET"}},
		{`redirect = "https://Example.com:443/?k=${env("SECRET")}"`, []string{"redirect https://example.com with $SECRET"}},
		{`redirect = "https://${env("SECRET")}.example.com/x"`, []string{"redirect https://${SECRET}.example.com with $SECRET"}},
		{`redirect = "https://example.com/${env("UNSET", "x")}"`, nil},
		{`redirect = replace("https://example.com/?k=X", "X", env("SECRET"))`, []string{"redirect ${replace(https://example.com/?k=X, X, ${SECRET})} with $SECRET"}},
		{`redirect = "HTTPS://${upper(env("SECRET"))}.example.com?x"`, []string{"redirect https://${upper(${SECRET})}.example.com with $SECRET"}},
		{"redirect = \"/x\"\n status = env(\"SECRET\") == \"a\" ? 301 : 302", []string{"redirect visitors with $SECRET"}},
		{`respond = { body = env("SECRET") }`, []string{"respond visitors with $SECRET"}},
		{`respond = env("SECRET") == "a" ? 200 : 404`, []string{"respond visitors with $SECRET"}},
		{`respond = { headers = { X = env("SECRET") } }`, []string{"respond visitors with $SECRET"}},
		{`respond = { headers = { (env("SECRET")) = "x" } }`, []string{"respond visitors with $SECRET"}},
		{"upstream = 3000\n response_headers = { X = env(\"SECRET\") }", []string{"response header visitors with $SECRET"}},
		{"upstream = 3000\n request_headers = { X = env(\"SECRET\") }", []string{"request header this machine with $SECRET"}},
		{"upstream = \"unix:app.sock\"\n request_headers = { X = env(\"SECRET\") }", []string{"request header this machine with $SECRET"}},
		{"upstream = [3000, \"https://a.example\"]\n request_headers = { X = env(\"SECRET\") }",
			[]string{"upstream https://a.example", "request header this machine with $SECRET", "request header https://a.example with $SECRET"}},
		{"upstream = 3000\n request_headers = { Host = env(\"SECRET\") }", []string{"request header this machine with $SECRET"}},
		{"respond = 204\n request_headers = { X = env(\"SECRET\") }", nil}, // nothing is sent them
		{"upstream = 3000\n request_headers = { X = env(\"SECRET\") }\n route \"/a\" {\n upstream = \"https://a.example\"\n request_headers = { X = \"plain\" }\n }",
			[]string{"request header this machine with $SECRET", "upstream https://a.example"}},
		{"upstream = 3000\n request_headers = { X = env(\"SECRET\") }\n route \"/a\" { upstream = \"https://a.example\" }",
			[]string{"request header this machine with $SECRET", "request header https://a.example with $SECRET", "upstream https://a.example"}},
		{"upstream = 3000\n aliases = [\"${env(\"SUB\")}.shop.localhost\"]", []string{"host name ${SUB}.shop.localhost with $SUB"}},
		{"upstream = 3000\n route \"/a\" { rewrite = \"/${env(\"SECRET\")}{rest}\" }", []string{"rewrite this machine with $SECRET"}},
		{"upstream = 3000\n route \"/a\" { match = { query = { k = \"${substr(env(\"SECRET\"), 0, 1)}*\" } } }", []string{"match visitors with $SECRET"}},
		{"upstream = 3000\n basic_auth = { ann = env(\"HASH\") }", nil},
		{"upstream = 3000\n response_headers = { X = env(\"\\u001b[31m\", \"a\") }", nil},
		// Services.
		{"upstream = service.s\n}\nservice \"s\" {\n upstream = 1\n health = { path = \"/x?k=${env(\"SECRET\")}\" }", []string{"health this machine with $SECRET"}},
		{"upstream = service.s\n}\nservice \"s\" {\n upstream = 1\n health = { path = \"/x\", interval = \"${env(\"PORT\")}ms\" }", nil},
		{"upstream = service.s\n}\nservice \"s\" {\n upstream = \"https://a.example\"\n health = { path = \"/x?k=${env(\"SECRET\")}\" }",
			[]string{"upstream https://a.example", "health https://a.example with $SECRET"}},
		{"upstream = service.s\n}\nservice \"s\" {\n upstream = 1\n fallback = \"https://a.example\"", []string{"upstream https://a.example"}},
		{"upstream = service.s\n}\nservice \"s\" {\n upstream = 1\n fallback = \"https://a.example\"\n health = { path = \"/${env(\"SECRET\")}\" }",
			[]string{"upstream https://a.example", "health this machine with $SECRET"}},
		{"upstream = service.s\n}\nservice \"s\" {\n upstream = 1\n fallback = service.t\n}\nservice \"t\" {\n upstream = 2\n fallback = \"https://a.example\"", []string{"upstream https://a.example"}},
		{"upstream = service.s\n}\nservice \"s\" { upstream = service.t }\nservice \"t\" {\n upstream = 2\n health = { path = \"/${env(\"SECRET\")}\" }", []string{"health this machine with $SECRET"}},
		{"respond = 204\n}\nservice \"s\" {\n upstream = \"https://a.example\"", nil}, // no route uses it
		// Choices: all that can be chosen is shown.
		{"files = env(\"SECRET\") == \"a\" ? \"site\" : local.out\n}\nlocals {\n out = \"../outside\"", []string{"files ${env(\"SECRET\") == \"a\" ? \"site\" : \"../outside\"} with $SECRET"}},
		{"upstream = \"https://${[for n in local.names : n if env(\"SECRET\") != n][0]}\"\n}\nlocals {\n names = [\"a.example\"]",
			[]string{"upstream https://${[for n in local.names : n if env(\"SECRET\") != n][0]} (local.names = [\"a.example\"]) with $SECRET"}},
		{"redirect = \"https://${env(\"SECRET\") == \"a\" ? \"a.example\" : local.b}/x\"\n}\nlocals {\n b = \"b.example\"", []string{"redirect https://${env(\"SECRET\") == \"a\" ? \"a.example\" : \"b.example\"} with $SECRET"}},
		{"redirect = \"https://${[for n in local.names : n if env(\"SECRET\") != n][0]}/x\"\n}\nlocals {\n names = [\"a.example\"]",
			[]string{"redirect https://${[for n in local.names : n if env(\"SECRET\") != n][0]} (local.names = [\"a.example\"]) with $SECRET"}},
		// Shares.
		{"respond = 204\n}\nshare {\n relay = \"share.localhost:1\"\n password = env(\"SECRET\")", nil},
		{"respond = 204\n}\nshare {\n relay = \"T.example.com\"", []string{"relay t.example.com"}},
		{"respond = 204\n}\nshare {\n name = env(\"SUB\")", []string{"share the relay and visitors with $SUB"}},
		{"respond = 204\n}\nshare {\n public = [\"/${env(\"SECRET\")}\"]", []string{"share the relay and visitors with $SECRET"}},
		{"respond = 204\n}\nshare {\n relay = \"${env(\"SECRET\")}.example.com\"", []string{"relay ${SECRET}.example.com with $SECRET"}},
		{"respond = 204\n}\nshare {\n expires = \"${env(\"PORT\")}s\"", nil},
	}
	for _, tt := range tests {
		p, dir := effectsPlan(t, "host \"shop.localhost\" {\n "+tt.body+"\n}\n")
		got := texts(p, dir)
		slices.Sort(got)
		want := slices.Sorted(slices.Values(tt.want))
		if !slices.Equal(got, want) {
			t.Errorf("%s\n got %q\nwant %q", tt.body, got, want)
		}
		for _, e := range p.Effects() {
			if strings.Contains(e.String(), "s3cr") || len(e.Sources) == 0 || e.Sources[0].Line == 0 {
				t.Errorf("%s: %v at %v", tt.body, e, e.Sources)
			}
			if (e.Resolved != "") != strings.Contains(e.Target, "${") {
				t.Errorf("%s: %v is resolved to %q", tt.body, e, e.Resolved)
			}
		}
	}
}

// TestEverySink: a variable in any attribute of the language is either an effect
// with its name, or the table says why not. A new attribute fails here until it
// is in the table, and in this test.
func TestEverySink(t *testing.T) {
	inHost := func(body string) string { return "host \"shop.localhost\" {\n respond = 204\n " + body + "\n}\n" }
	forwarding := func(body string) string { return "host \"shop.localhost\" {\n upstream = 3000\n " + body + "\n}\n" }
	inService := func(body string) string {
		return "host \"shop.localhost\" { upstream = service.s }\nservice \"s\" {\n" + body + "\n}\n"
	}
	const secret = `env("SECRET")`
	settings := map[string]string{
		"upstream":         "host \"shop.localhost\" { upstream = \"http://${env(\"SECRET\")}.example\" }",
		"files":            "host \"shop.localhost\" { files = \"../${env(\"SECRET\")}\" }",
		"try_files":        forwarding("try_files = \"../${env(\"SECRET\")}\""),
		"spa":              "host \"shop.localhost\" {\n files = \"site\"\n spa = " + secret + " == \"a\"\n}",
		"redirect":         "host \"shop.localhost\" { redirect = \"/${env(\"SECRET\")}\" }",
		"status":           "host \"shop.localhost\" {\n redirect = \"/x\"\n status = " + secret + " == \"a\" ? 301 : 302\n}",
		"respond":          "host \"shop.localhost\" { respond = { body = " + secret + " } }",
		"request_headers":  forwarding("request_headers = { X = " + secret + " }"),
		"response_headers": forwarding("response_headers = { X = " + secret + " }"),
		"timeout":          forwarding("timeout = \"${strlen(" + secret + ")}s\""),
		"hold":             forwarding("hold = \"${strlen(" + secret + ")}s\""),
		"tls_skip_verify":  forwarding("tls_skip_verify = " + secret + " == \"a\""),
		"forwarded_proto":  forwarding("forwarded_proto = " + secret + " == \"a\" ? \"http\" : \"https\""),
		"public_host":      forwarding("public_host = " + secret + " == \"a\""),
		"cors":             inHost("cors = [\"https://${env(\"SECRET\")}.example\"]"),
		"basic_auth":       inHost("basic_auth = { (" + secret + ") = env(\"HASH\") }"),
		"allow":            inHost("allow = [\"10.0.0.${strlen(" + secret + ")}\"]"),
		"deny":             inHost("deny = [\"10.0.0.${strlen(" + secret + ")}\"]"),
		"rate_limit":       inHost("rate_limit = \"${strlen(" + secret + ")}/s\""),
		"max_concurrent":   inHost("max_concurrent = strlen(" + secret + ")"),
		"max_body":         inHost("max_body = \"${strlen(" + secret + ")}MB\""),
		"compress":         inHost("compress = " + secret + " == \"a\""),
		"cache":            forwarding("cache = " + secret + " == \"a\""),
		"simulate":         inHost("simulate = { delay = \"${strlen(" + secret + ")}ms\" }"),
	}
	sharedPort := func(network Network, text string) string {
		return fmt.Sprintf("share { %s = [%s.db] }\n%s \"db\" {\n upstream = 1\n %s\n}\n", network, network, network, text) + inHost("")
	}
	route := func(text string) string {
		// A route can have every attribute of a host.
		body := strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(text, "host \"shop.localhost\" {")), "}")
		return "host \"shop.localhost\" {\n route \"/a\" {\n " + body + "\n }\n}\n"
	}
	files := map[string]string{
		"domain":                  "domain = " + secret + " == \"a\" ? \"localhost\" : \"shop.localhost\"\n" + inHost(""),
		"discover":                "discover = " + secret + " == \"a\" ? \"docker\" : null\n" + inHost(""),
		"service.container":       inService("container = { service = \"api\", port = strlen(" + secret + ") }"),
		"worktree":                "worktree = " + secret + " == \"a\"\n" + inHost(""),
		"listen.https":            "listen { https = env(\"PORT\") }\n" + inHost(""), // the language refuses a computed one
		"listen.http":             "listen { http = tonumber(env(\"PORT\")) + 1 }\n" + inHost(""),
		"listen.redirect":         "listen { redirect = env(\"PORT\") != \"\" }\n" + inHost(""),
		"host.aliases":            inHost("aliases = [\"${env(\"SECRET\")}.localhost\"]"),
		"host.share":              inHost("share = " + secret + " == \"a\""),
		"route.exact":             "host \"shop.localhost\" {\n route \"/a\" {\n respond = 204\n exact = " + secret + " == \"a\"\n }\n}",
		"route.match":             "host \"shop.localhost\" {\n route \"/a\" {\n respond = 204\n match = { headers = { X = " + secret + " } }\n }\n}",
		"route.strip_prefix":      "host \"shop.localhost\" {\n route \"/a\" {\n upstream = 1\n strip_prefix = " + secret + " == \"a\"\n }\n}",
		"route.rewrite":           "host \"shop.localhost\" {\n route \"/a\" {\n upstream = 1\n rewrite = \"/${env(\"SECRET\")}\"\n }\n}",
		"service.upstream":        inService("upstream = \"http://${env(\"SECRET\")}.example\""),
		"service.balance":         inService("upstream = 1\n balance = " + secret + " == \"a\" ? \"cookie\" : \"least_conn\""),
		"service.health":          inService("upstream = 1\n health = { path = \"/${env(\"SECRET\")}\" }"),
		"service.fallback":        inService("upstream = 1\n fallback = \"http://${env(\"SECRET\")}.example\""),
		"service.tls_skip_verify": inService("upstream = 1\n tls_skip_verify = " + secret + " == \"a\""),
		"service.forwarded_proto": inService("upstream = 1\n forwarded_proto = " + secret + " == \"a\" ? \"http\" : \"https\""),
		"service.hold":            inService("upstream = 1\n hold = \"${strlen(" + secret + ")}s\""),
		"service.timeout":         inService("upstream = 1\n timeout = \"${strlen(" + secret + ")}s\""),
		"service.command":         inService("command = \"x ${env(\"SECRET\")}\""),
		"service.dir":             inService("command = \"x\"\n dir = \"${env(\"SECRET\")}\""),
		"service.env":             inService("command = \"x\"\n env = { KEY = env(\"SECRET\") }"),
		"service.ready":           inService("command = \"x\"\n ready = { path = \"/${strlen(" + secret + ")}\" }"),
		"service.depends_on":      inService("command = \"x\"\n depends_on = " + secret + " == \"a\" ? [\"api\"] : []"),
		"service.restart":         inService("command = \"x\"\n restart = " + secret + " == \"a\" ? \"never\" : \"on_failure\""),
		"service.stop":            inService("command = \"x\"\n stop = \"${strlen(" + secret + ")}s\""),
		"tcp.listen":              "tcp \"db\" {\n listen = env(\"PORT\")\n upstream = 1\n}\n" + inHost(""),
		"tcp.upstream":            "tcp \"db\" { upstream = \"${env(\"SECRET\")}.example:5432\" }\n" + inHost(""),
		"tcp.allow":               sharedPort(TCP, "allow = [\"10.0.0.${strlen("+secret+")}\"]"),
		"tcp.public":              sharedPort(TCP, "public = "+secret+" != \"a\""),
		"udp.allow":               sharedPort(UDP, "allow = [\"10.0.0.${strlen("+secret+")}\"]"),
		"udp.public":              sharedPort(UDP, "public = "+secret+" != \"a\""),
		"share.tcp":               "share { tcp = [" + secret + " == \"a\" ? tcp.db : tcp.db] }\ntcp \"db\" {\n upstream = 1\n public = true\n}\n" + inHost(""),
		"share.udp":               "share { udp = [" + secret + " == \"a\" ? udp.db : udp.db] }\nudp \"db\" {\n upstream = 1\n public = true\n}\n" + inHost(""),
		"udp.listen":              "udp \"db\" {\n listen = env(\"PORT\")\n upstream = 1\n}\n" + inHost(""),
		"udp.upstream":            "udp \"db\" { upstream = \"${env(\"SECRET\")}.example:53\" }\n" + inHost(""),
		"share.relay":             "share { relay = \"${env(\"SECRET\")}.example\" }\n" + inHost(""),
		"share.hosts":             "share { hosts = [" + secret + " == \"a\" ? \"shop.localhost\" : \"shop.localhost\"] }\n" + inHost(""),
		"share.name":              "share { name = " + secret + " }\n" + inHost(""),
		"share.domain":            "share { domain = \"${env(\"SECRET\")}.example\" }\n" + inHost(""),
		"share.password":          "share { password = " + secret + " }\n" + inHost(""),
		"share.paths":             "share { paths = [\"/${env(\"SECRET\")}\"] }\n" + inHost(""),
		"share.public":            "share { public = [\"/${env(\"SECRET\")}\"] }\n" + inHost(""),
		"share.callback":          "share { callback = \"/${env(\"SECRET\")}\" }\n" + inHost(""),
		"share.allow":             "share { allow = [\"10.0.0.${strlen(" + secret + ")}\"] }\n" + inHost(""),
		"share.show":              "share { show = [\"/${env(\"SECRET\")}\"] }\n" + inHost(""),
		"share.rewrite_body":      "share { rewrite_body = " + secret + " == \"a\" }\n" + inHost(""),
		"share.cookies":           "share { cookies = " + secret + " == \"a\" ? \"shared\" : null }\n" + inHost(""),
		"share.expires":           "share { expires = \"${strlen(" + secret + ")}h\" }\n" + inHost(""),
	}
	for name, text := range settings {
		files["host."+name], files["route."+name] = text, route(text)
	}
	for _, attribute := range hcl.Attributes() {
		text, covered := files[attribute]
		if !covered {
			t.Errorf("%s: write a file with a variable in it here, and say in sinks what becomes of it", attribute)
			continue
		}
		_, name, dotted := strings.Cut(attribute, ".")
		if !dotted {
			name = attribute
		}
		sink, known := sinks[name]
		if !known || (len(sink.kinds) > 0) == (sink.why != "") && name != "redirect" {
			t.Errorf("%s: sinks says %+v", attribute, sink)
		}
		wants := sink.kinds
		switch {
		case strings.HasPrefix(attribute, "listen.") || strings.HasSuffix(attribute, ".listen"):
			wants = nil
		case strings.HasPrefix(attribute, "tcp.") && name != "upstream", strings.HasPrefix(attribute, "udp.") && name != "upstream":
			wants = []Kind{KindPort}
		case sink.why == "":
		case attribute == "host.share" || strings.HasPrefix(attribute, "share."):
			wants = []Kind{KindShare}
		default:
			wants = []Kind{KindSetting}
		}
		if attribute == "share.password" || attribute == "share.show" || strings.HasSuffix(attribute, "basic_auth") {
			wants = nil // as it is
		}
		p, _ := effectsPlan(t, text)
		var kinds []Kind
		for _, e := range p.Effects() {
			if slices.Equal(e.Env, []string{"SECRET"}) {
				kinds = append(kinds, e.Kind)
			}
		}
		if len(wants) == 0 && len(kinds) > 0 || len(wants) > 0 && (len(kinds) != 1 || !slices.Contains(wants, kinds[0])) {
			t.Errorf("%s: the effects are of %q, want one of %q", attribute, kinds, wants)
		}
		quiet := sink.why != "" || attribute == "listen.redirect"
		if got := p.Mask().Text("x " + secretValue + " x"); !quiet && !slices.Contains([]string{"domain", "share.relay", "share.hosts", "share.name", "share.domain"}, attribute) && strings.Contains(got, secretValue) {
			t.Errorf("%s: the mask leaves %q", attribute, got)
		}
	}
}

// TestOracles: a value computed from a variable is an effect wherever it
// decides something: many settings spell a value out to those who see what they
// do. A variable's value as it is needs no consent there.
func TestOracles(t *testing.T) {
	const a = `substr(env("SECRET"), 0, 1) == "s"`
	setting := []string{"setting visitors with $SECRET"}
	tests := []struct {
		body string // of a host
		want []string
	}{
		{"upstream = " + a + " ? 3000 : 3001", setting},
		{"upstream = [" + a + " ? 3000 : 3001, 3002]", setting},
		{"upstream = [for p in [3000, 3001] : p if p == 3000 || " + a + "]", setting},
		{"upstream = [3000, 3001][strlen(env(\"SECRET\")) - 12]", setting},
		{"upstream = values({ (env(\"SECRET\")) = 3000, t = 3001 })[0]", setting},
		{"upstream = [for p in { (env(\"SECRET\")) = 3000, t = 3001 } : p][0]", setting},
		{"upstream = values({ for k in [env(\"SECRET\"), \"t\"] : k => strlen(k) })[0] + 3000", setting},
		{"upstream = \"127.0.0.1:${strlen(env(\"SECRET\"))}\"", setting},
		{"upstream = \"127.0.0.1:%{ if " + a + " }1%{ else }2%{ endif }\"", setting},
		{"upstream = tonumber(env(\"PORT\")) / 100 < 48 ? 1 : 2", []string{"setting visitors with $PORT"}},
		{"upstream = tonumber(env(\"PORT\")) + 1e157 - 1e157", []string{"setting visitors with $PORT"}},
		{"upstream = tonumber(env(\"PORT\")) - tonumber(env(\"PORT\")) + 1", []string{"setting visitors with $PORT"}},
		{"upstream = tonumber(env(\"PORT\")) % 10 + 1", []string{"setting visitors with $PORT"}},
		{"upstream = \"unix:tmp/${strlen(env(\"SECRET\"))}.sock\"", setting},
		{"upstream = env(" + a + " ? \"PORT\" : \"SUB\")", []string{"setting visitors with $PORT, $SECRET"}},
		{"upstream = " + a + " ? \"https://a.example\" : \"http://127.0.0.1:1\"", []string{"upstream ${" + a + " ? \"https://a.example\" : \"http://127.0.0.1:1\"} with $SECRET"}},
		{"upstream = " + a + " ? service.a : service.b\n}\nservice \"a\" { upstream = 1 }\nservice \"b\" {\n upstream = 2", setting},
		{"upstream = service[" + a + " ? \"a\" : \"b\"]\n}\nservice \"a\" { upstream = 1 }\nservice \"b\" {\n upstream = 2", setting},
		{"upstream = \"http://127.0.0.1:${service.a.port}\"\n}\nservice \"a\" {\n upstream = " + a + " ? 1 : 2", setting},
		{"upstream = service.b\n}\nservice \"b\" { upstream = service.a }\nservice \"a\" {\n upstream = 1\n hold = " + a + " ? \"1s\" : \"2s\"", setting},
		{"upstream = service.a\n}\nservice \"a\" {\n upstream = 1\n fallback = " + a + " ? 2 : 3", setting},
		{"upstream = service.a\n}\nservice \"a\" {\n upstream = 1\n fallback = " + a + " ? null : 3", setting},
		{"upstream = service.a\n}\nservice \"a\" {\n upstream = 1\n health = { path = \"/\", status = " + a + " ? 200 : 500 }", []string{"health this machine with $SECRET"}},
		{"respond = 204\n}\nservice \"a\" {\n upstream = " + a + " ? 1 : 2", nil}, // no route uses it
		{"files = " + a + " ? \"site\" : \".\"", setting},
		{"respond = 204\n route \"/a\" { redirect = " + a + " ? null : \"/b\" }", setting},
		{"respond = 204\n route \"/a\" {\n respond = 200\n exact = " + a + "\n }", setting},
		{"respond = 204\n route \"/a\" {\n match = " + a + " ? null : { methods = [\"GET\"] }\n }", setting},
		{"respond = 204\n route \"/a\" {\n match = { methods = [for m in [\"GET\"] : m if m != substr(env(\"SECRET\"), 0, 1) && !(" + a + ")] }\n }", []string{"match visitors with $SECRET"}},
		{"respond = 204\n aliases = [for n in [\"a.localhost\"] : n if !(" + a + ")]", setting},
		{"respond = 204\n cors = " + a, setting},
		{"respond = 204\n cors = !(" + a + ")", setting},
		{"respond = 204\n cors = [\"http://localhost:${strlen(env(\"SECRET\"))}\"]", []string{"cors http://localhost:${strlen(${SECRET})} with $SECRET"}},
		{"respond = 204\n response_headers = " + a + " ? null : { A = \"1\" }", setting},
		{"respond = 204\n basic_auth = { ann = " + a + " ? env(\"HASH\") : \"$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234\" }", []string{"setting visitors with $HASH, $SECRET"}},
		{"respond = 204\n}\nshare {\n password = substr(env(\"SECRET\"), 0, 1)", []string{"share the relay and visitors with $SECRET"}},
		{"respond = 204\n}\nshare {\n expires = " + a + " ? \"1h\" : null", []string{"share the relay and visitors with $SECRET"}},
		{"respond = 204\n}\nshare {\n paths = " + a + " ? null : [\"/a\"]", []string{"share the relay and visitors with $SECRET"}},
		{"respond = 204\n}\nshare {\n relay = " + a + " ? \"share.localhost:1\" : \"share.localhost:2\"", []string{"share the relay and visitors with $SECRET"}},

		{"upstream = env(\"PORT\", \"3000\")", nil},
		{"upstream = tonumber(env(\"PORT\", \"3000\"))", nil},
		{"upstream = tonumber(env(\"PORT\", \"3000\")) + 1", nil},
		{"upstream = 10000 - env(\"PORT\")", nil},
		{"upstream = coalesce(env(\"PORT\", null), 3000)", nil},
		{"upstream = \"http://localhost:${env(\"PORT\")}\"", nil},
		{"upstream = env(\"SECRET\", \"\") == \"\" ? 3000 : 3001", nil}, // whether it is set
		{"upstream = null != env(\"SECRET\", null) ? env(\"PORT\") : 3001", nil},
		{"upstream = [for p in [env(\"PORT\"), \"3001\"] : \"127.0.0.1:${p}\"]", nil},
		{"upstream = lookup({ web = env(\"PORT\") }, \"web\", \"1\")", nil},
		{"upstream = { web = env(\"PORT\"), other = strlen(env(\"SECRET\")) }.web", nil},
		{"upstream = { web = env(\"PORT\") }[\"web\"]", nil},
		{"upstream = service.a.url\n}\nservice \"a\" {\n upstream = env(\"PORT\")", nil},
		{"files = \"site/${env(\"SUB\")}\"", nil},
		{"respond = 204\n compress = tobool(env(\"UNSET\", \"true\"))", nil},
		{"upstream = 1\n timeout = \"${env(\"PORT\")}s\"", nil},
		{"respond = 204\n cors = [\"http://localhost:${env(\"PORT\")}\"]", nil},
		{"respond = 204\n basic_auth = { (env(\"SUB\")) = env(\"HASH\") }", nil},
		{"respond = 204\n basic_auth = { (upper(env(\"SUB\"))) = env(\"HASH\") }", []string{"setting visitors with $HASH, $SUB"}},
		{"upstream = lookup({ (env(\"SECRET\")) = 3000 }, \"guess\", 3001)", setting},
		{"upstream = merge({ guess = 3000 }, { (env(\"SUB\")) = 3001 }).guess", []string{"setting visitors with $SUB"}},
	}
	for _, tt := range tests {
		p, dir := effectsPlan(t, "host \"shop.localhost\" {\n "+tt.body+"\n}\n")
		if got := texts(p, dir); !slices.Equal(got, tt.want) {
			t.Errorf("%s\n got %q\nwant %q", tt.body, got, tt.want)
		}
	}
}

// TestOraclesOfBlocks: a computed setting withholds the routes that it is about,
// and they look the same whatever it was computed to.
func TestOraclesOfBlocks(t *testing.T) {
	const text = `
service "s" {
  upstream = 3000
  timeout  = strlen(env("SECRET")) == NUMBER ? "1s" : "2s"
}
host "shop.localhost" {
  upstream = service.s
  route "/a" {
    respond    = 204
    exact      = strlen(env("SECRET")) == NUMBER
    allow      = strlen(env("SECRET")) == NUMBER ? ["10.0.0.0/8"] : ["192.0.2.1"]
    max_body   = "1MB"
    rate_limit = "1/h"
    basic_auth = { ann = env("HASH") }
  }
  route "/b" { respond = 204 }
}
host "other.localhost" {
  respond  = 204
  compress = strlen(env("SECRET")) == NUMBER
  route "/c" { respond = 204 }
}
`
	var shown []string
	for _, number := range []string{"1", "12"} {
		p, _ := effectsPlan(t, strings.ReplaceAll(text, "NUMBER", number))
		rest := p.Withhold(func(*Effect) bool { return true })
		var lines []string
		for _, h := range rest.Hosts() {
			for _, r := range h.Routes {
				_, is := r.Answer.(*Withheld)
				lines = append(lines, fmt.Sprintf("%s%s %t", h.Name, r.Path, is))
				if is && (r.Exact || len(r.Around) > 0) {
					t.Errorf("%s%s tells what was computed: %+v", h.Name, r.Path, r)
				}
			}
		}
		if m, err := rest.Match(Request{Host: "shop.localhost", Path: "/a/below"}); err != nil || m.Route.Path != "/a" {
			t.Errorf("whether /a is exact shows: %v, %v", m.Route, err)
		}
		shown = append(shown, strings.Join(lines, "\n"))
	}
	const want = "shop.localhost/a true\nshop.localhost/b false\nshop.localhost/ true\nother.localhost/c true\nother.localhost/ true"
	if shown[0] != want || shown[1] != want {
		t.Errorf("withheld are\n%s\nand\n%s", shown[0], shown[1])
	}
}

// TestOraclesOfConsent: which routes are withheld, and which aliases are served
// meanwhile, does not depend on what was computed.
func TestOraclesOfConsent(t *testing.T) {
	const route = "\n route \"/a\" {\n respond = 204\n cors = false\n response_headers = { A = \"x\" }\n }\n route \"/b\" { upstream = 3000 }\n"
	for _, text := range []string{
		"respond = 204\n aliases = WRONG ? [\"x.localhost\"] : []" + route,
		"respond = 204\n cors = WRONG ? [\"https://a.example\"] : null" + route,
		"respond = 204\n response_headers = WRONG ? { A = \"1\" } : null" + route,
		"respond = 204\n request_headers = WRONG ? { A = \"1\" } : null\n route \"/c\" { respond = 204 }",
		"respond = 204\n request_headers = WRONG ? { A = \"1\" } : null" + route,
		"upstream = WRONG ? \"https://a.example\" : 3000" + route,
		"upstream = [WRONG ? \"https://a.example\" : 3000]" + route,
		"files = WRONG ? \"../outside\" : \"site\"" + route,
		"respond = 204" + route + " route \"/c\" { redirect = WRONG ? \"/x\" : null }",
		"respond = 204" + route + " route \"/c\" { rewrite = WRONG ? \"/x\" : null }",
		"respond = 204" + route + " route \"/c\" { match = WRONG ? { methods = [\"GET\"] } : null }",
		"upstream = service.s" + route + "}\nservice \"s\" {\n upstream = 1\n fallback = WRONG ? \"https://a.example\" : null",
		"upstream = service.s" + route + "}\nservice \"s\" {\n upstream = 1\n health = WRONG ? { path = \"/\" } : null",
	} {
		var shown []string
		for _, wrong := range []string{"strlen(env(\"SECRET\")) == 0", "strlen(env(\"SECRET\")) != 0"} {
			p, _ := effectsPlan(t, "host \"shop.localhost\" {\n "+strings.ReplaceAll(text, "WRONG", wrong)+"\n}\n")
			rest := p.Withhold(func(*Effect) bool { return true })
			h := rest.Hosts()[0]
			line := fmt.Sprint(h.Aliases)
			for _, r := range h.Routes {
				w, is := r.Answer.(*Withheld)
				line += fmt.Sprintf(" %s %t %t %d", r.Path, is, r.Exact, r.Match.Count())
				if is && !w.Effects[0].Computed {
					t.Errorf("%s: %v is shown to clients", text, w.Effects[0])
				}
			}
			shown = append(shown, line)
		}
		if shown[0] != shown[1] || !strings.Contains(shown[0], "true") {
			t.Errorf("%s\n%s\n%s", text, shown[0], shown[1])
		}
	}
}

// TestOracleOfMerging: which route of Proxyfile.local changes one of the Proxyfile
// can depend on a variable too, also where nothing of it is left.
func TestOracleOfMerging(t *testing.T) {
	for _, equals := range []string{"==", "!="} {
		_, dir := effectsPlan(t, "host \"a.localhost\" { respond = 204 }")
		path := filepath.Join(dir, "Proxyfile")
		for name, text := range map[string]string{
			"Proxyfile":       "host \"shop.localhost\" {\n route \"/a\" {\n exact = env(\"SECRET\") " + equals + " \"x\"\n respond = 204\n }\n}\n",
			"Proxyfile.local": "host \"shop.localhost\" {\n route \"/a\" {\n exact = true\n respond = 200\n }\n}\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		file, diags, err := hcl.Load(path, hcl.Options{WorkDir: dir, Getenv: func(string) string { return secretValue }})
		if err != nil || diags.HasErrors() {
			t.Fatal(err, diags)
		}
		p, _ := Build(file, Env{})
		if got := texts(p, dir); !slices.Equal(got, []string{"setting visitors with $SECRET"}) {
			t.Errorf("%s: effects %q", equals, got)
		}
	}
}

// TestUnknownSink: an attribute that the table does not have is an effect, and
// withholds everything.
func TestUnknownSink(t *testing.T) {
	file := hcl.ForPort(3000, "shop.localhost")
	file.Flows = []hcl.AttributeFlow{{Attribute: "brand_new", Flow: hcl.Flow{Env: []string{"X"}}}}
	p, _ := Build(file, Env{})
	if got := texts(p, "/none"); !slices.Equal(got, []string{"brand_new visitors with $X"}) {
		t.Fatalf("effects %q", got)
	}
	rest := p.Withhold(func(*Effect) bool { return true })
	if _, is := rest.Hosts()[0].Routes[0].Answer.(*Withheld); !is {
		t.Error("it is served")
	}
}

// TestCovers: each part of an effect counts.
func TestCovers(t *testing.T) {
	one := Effect{Kind: KindRedirect, Target: "https://a.example", Env: []string{"A", "B"}, Resolved: "x"}
	for name, tt := range map[string]struct {
		change func(*Effect)
		want   bool
	}{
		"the same":           {func(*Effect) {}, true},
		"fewer variables":    {func(e *Effect) { e.Env = []string{"B"} }, true},
		"no variables":       {func(e *Effect) { e.Env = nil }, true},
		"another variable":   {func(e *Effect) { e.Env = []string{"A", "C"} }, false},
		"one more":           {func(e *Effect) { e.Env = []string{"A", "B", "C"} }, false},
		"another kind":       {func(e *Effect) { e.Kind = KindRespond }, false},
		"written otherwise":  {func(e *Effect) { e.Target = "https://b.example" }, true},
		"not resolved":       {func(e *Effect) { e.Resolved = "" }, false},
		"resolved elsewhere": {func(e *Effect) { e.Resolved = "y" }, false},
		"other lines":        {func(e *Effect) { e.Sources = []Source{{"Proxyfile", 9, ""}} }, true},
	} {
		other := one
		tt.change(&other)
		if got := one.Covers(&other); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	plain := Effect{Kind: KindRedirect, Target: "https://a.example"}
	other := plain
	other.Target = "https://b.example"
	if plain.Covers(&other) || !plain.Covers(&plain) {
		t.Error("the target does not count")
	}
}

// TestRoot: what lies below the root that the environment names is inside.
func TestRoot(t *testing.T) {
	p, dir := effectsPlan(t, "host \"shop.localhost\" { files = \"../outside\" }")
	if len(p.Effects()) != 1 {
		t.Fatal(p.Effects())
	}
	file, _, err := hcl.Load(filepath.Join(dir, "Proxyfile"), hcl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(dir)
	p, _ = Build(file, Env{Root: root})
	if got := p.Hosts()[0].Routes[0].Answer.(*Files).Within; len(p.Effects()) != 0 || got != root {
		t.Errorf("effects %v, within %s", p.Effects(), got)
	}
}

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		path, folder string
		want         bool
	}{
		{"/a", "/a", true}, {"/a/b", "/a", true}, {"/a/..b", "/a", true}, {"/", "/", true}, {"/a", "/", true},
		{"/ab", "/a", false}, {"/", "/a", false}, {"/b", "/a", false},
	} {
		if got := Within(filepath.FromSlash(tt.path), filepath.FromSlash(tt.folder)); got != tt.want {
			t.Errorf("%s in %s: %t", tt.path, tt.folder, got)
		}
	}
}

// TestSources: an effect names the lines that cause it, each once, and not too
// many.
func TestSources(t *testing.T) {
	lines := func(n int) (text string) {
		for i := range n {
			text += fmt.Sprintf(" route \"/%d\" { upstream = \"https://a.example\" }\n", i)
		}
		return "host \"shop.localhost\" {\n" + text + "}\n"
	}
	for n, want := range map[int]int{1: 1, 2: 2, maxSources: maxSources, maxSources + 1: maxSources} {
		p, _ := effectsPlan(t, lines(n))
		if got := p.Effects()[0].Sources; len(p.Effects()) != 1 || len(got) != want || got[len(got)-1].Line != want+1 || got[0].File != "Proxyfile" {
			t.Errorf("%d routes: %v", n, got)
		}
	}
	p, _ := effectsPlan(t, "host \"shop.localhost\" { upstream = [\"a.example:1\", \"a.example:1\"] }")
	if got := p.Effects()[0].Sources; len(got) != 1 {
		t.Errorf("one line: %v", got)
	}
}
