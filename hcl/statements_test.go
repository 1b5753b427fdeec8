package hcl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// foreignCase is a Proxyfile with one statement of another tool, and the Proxyfile
// after the advice is followed.
type foreignCase struct{ text, fixed string }

// inHost returns a host with the lines of body.
func inHost(body string) string { return "host \"a.localhost\" {\n" + body + "\n}\n" }

func foreignCases() map[string]foreignCase {
	const other = "host \"a.localhost\" { upstream = 1 }\n"
	up := func(value string) string { return inHost("  upstream = " + value) }
	route := func(line string) string { return inHost("  upstream = 1\n  " + line) }
	fixedRoute := route("route \"/c\" { upstream = 3002 }")
	port := up(`env("PORT", "3000")`)
	address := up(`"localhost:${env("PORT", "3000")}"`)
	return map[string]foreignCase{
		"path as attribute":           {route(`"/c" = 3002`), fixedRoute},
		"path with colon":             {route(`"/c": 3002,`), fixedRoute},
		"path with arrow":             {route(`"/c" => 3002`), fixedRoute},
		"path and URL":                {route(`"/c" = "http://localhost:3002/"`), fixedRoute},
		"path and address":            {route(`/c localhost:3002`), fixedRoute},
		"path as object":              {route(`"/c" = { upstream = 3002 }`), fixedRoute},
		"path as block":               {route("\"/c\" {\n    upstream = 3002\n  }"), route("route \"/c\" {\n    upstream = 3002\n  }")},
		"path without quotes":         {route(`/c = 3002`), fixedRoute},
		"path to a service":           {route(`"/c" = service.s`) + "service \"s\" { upstream = 2 }\n", route(`route "/c" { upstream = service.s }`) + "service \"s\" { upstream = 2 }\n"},
		"path with a star":            {route(`"/c/*" = 3002`), fixedRoute},
		"path at the top":             {"\"/c\" = 3002\n" + other, inHost("upstream = 1\nroute \"/c\" { upstream = 3002 }")},
		"route with value":            {route(`route "/c" = 3002`), fixedRoute},
		"route and value":             {route(`route "/c" 3002`), fixedRoute},
		"route and attribute":         {route(`route "/c" upstream = 3002`), fixedRoute},
		"route without quotes":        {route(`route /c -> 3002`), fixedRoute},
		"host with value":             {"host \"a.localhost\" = 3000\n", "host \"a.localhost\" { upstream = 3000 }\n"},
		"host and value":              {"host a.localhost 3000\n", "host \"a.localhost\" { upstream = 3000 }\n"},
		"name as attribute":           {"\"a.localhost\" = \"localhost:3000\"\n", "host \"a.localhost\" { upstream = 3000 }\n"},
		"name and port":               {"a.localhost 3000\n", "host \"a.localhost\" { upstream = 3000 }\n"},
		"name as block":               {"a.localhost {\n  upstream = 3000\n}\n", "host \"a.localhost\" {\n  upstream = 3000\n}\n"},
		"quoted name as block":        {"\"a.localhost\" {\n  upstream = 3000\n}\n", "host \"a.localhost\" {\n  upstream = 3000\n}\n"},
		"site of Caddy":               {"b.localhost {\n  reverse_proxy :3000\n}\n" + other, "host \"b.localhost\" { upstream = 3000 }\n" + other},
		"names":                       {"host a.localhost, b.localhost {\n  upstream = 1\n}\n", "host \"a.localhost\" {\n  aliases = [\"b.localhost\"]\n  upstream = 1\n}\n"},
		"call":                        {"host(\"a.localhost\") {\n  upstream = 1\n}\n", "host \"a.localhost\" {\n  upstream = 1\n}\n"},
		"arrow":                       {inHost("  upstream => 3000"), up("3000")},
		"template":                    {up(`"${PORT}"`), up(`"${env("PORT", "3000")}"`)},
		"template in URL":             {up(`"http://localhost:${PORT}"`), up(`"http://localhost:${env("PORT", "3000")}"`)},
		"template with default":       {up(`"${PORT:-3000}"`), port},
		"process.env":                 {up(`process.env.PORT`), port},
		"process.env or":              {up(`process.env.PORT || 5173`), up(`env("PORT", "3000")`)},
		"process.env default":         {up(`process.env.PORT ?? 5173`), up(`env("PORT", "5173")`)},
		"process.env in a template":   {up("\"localhost:${process.env.PORT}\""), address},
		"process.env index":           {up(`process.env["PORT"]`), port},
		"import.meta.env":             {up(`import.meta.env.PORT`), port},
		"os.environ":                  {up(`os.environ["PORT"]`), port},
		"ENV":                         {up(`ENV["PORT"]`), port},
		"dollar":                      {up(`$PORT`), port},
		"dollar and brace":            {up(`${PORT}`), port},
		"dollar in a string":          {up(`"$PORT"`), port},
		"dollar in an address":        {up(`"localhost:$PORT"`), address},
		"dollar, no quotes":           {up(`localhost:$PORT`), address},
		"Caddy's":                     {up(`{env.PORT}`), port},
		"Caddy's in a string":         {up(`"{env.PORT}"`), port},
		"Caddy's other":               {up(`"localhost:{$PORT}"`), address},
		"Caddy's default":             {up(`{$PORT:3000}`), port},
		"mustache":                    {up(`"{{PORT}}"`), port},
		"Windows":                     {up(`%PORT%`), port},
		"Windows in a string":         {up(`"%PORT%"`), port},
		"PowerShell":                  {up(`$env:PORT`), port},
		"a word":                      {up(`PORT`), port},
		"env of a word":               {inHost("upstream = 1\nrequest_headers = { X-A = env(SET) }"), inHost("upstream = 1\nrequest_headers = { X-A = env(\"SET\") }")},
		"another function":            {up(`getenv("PORT")`), port},
		"regular expression":          {route(`route "~ ^/c" { upstream = 3002 }`), fixedRoute},
		"regular expression, caret":   {route(`route "^/c/(.*)$" { upstream = 3002 }`), fixedRoute},
		"regular expression, group":   {route(`route "/c/(.*)" { upstream = 3002 }`), fixedRoute},
		"regular expression, escapes": {route(`route "^\\/c\\/v\\d+" { upstream = 3002 }`), fixedRoute},
		"regular expression, case":    {route(`route "~* /c" { upstream = 3002 }`), fixedRoute},
		"modifier outside":            {route(`route ~ "^/c" { upstream = 3002 }`), route("route \"/c\" {\n upstream = 3002\n}")},
		"exact modifier":              {route(`route "= /c" { upstream = 3002 }`), route("route \"/c\" {\n upstream = 3002\n exact = true\n}")},
		"stars":                       {route(`route "/c/**" { upstream = 3002 }`), fixedRoute},
		"star without quotes":         {route(`route /c/* { upstream = 3002 }`), fixedRoute},
		"star alone":                  {inHost(`route "*" { upstream = 3002 }`), inHost(`route "/" { upstream = 3002 }`)},
		"rewrite of nginx":            {inHost("upstream = 1\nroute \"/c\" {\n rewrite = \"/v1/$1\"\n}"), inHost("upstream = 1\nroute \"/c\" {\n rewrite = \"/v1{rest}\"\n}")},
		"hosts":                       {"hosts \"a.localhost\" { upstream = 3000 }\n", "host \"a.localhost\" { upstream = 3000 }\n"},
		"routes":                      {route("routes \"/c\" { upstream = 3002 }"), route("route \"/c\" { upstream = 3002 }")},
		"routes as map":               {route("routes {\n    \"/c\" = 3002\n  }"), fixedRoute},
		"routes as object":            {route("routes = {\n    \"/c\" = 3002\n  }"), route("route \"/c\" {\n upstream = 3002\n}")},
		"services":                    {"services \"s\" { upstream = 3 }\nhost \"a.localhost\" { upstream = 1 }\n", "service \"s\" { upstream = 3 }\nhost \"a.localhost\" { upstream = service.s }\n"},
		"server with a name":          {"server \"a.localhost\" {\n  upstream = 1\n}\n", "host \"a.localhost\" {\n  upstream = 1\n}\n"},
		"server":                      {"server {}\n" + other, "host \"shop.localhost\" {\n upstream = 1 \n}\n" + other},
		"server of nginx":             {other + "\nserver {\n  listen 80;\n  server_name b.localhost;\n  location / {\n    proxy_pass http://localhost:3000;\n  }\n}\n", other + "host \"b.localhost\" { upstream = 3000 }\n"},
		"server of nginx with routes": {other + "server {\n  server_name b.localhost;\n  location / { proxy_pass http://localhost:3000; }\n  location /c { proxy_pass http://localhost:3002; }\n}\n", other + "host \"b.localhost\" {\n  upstream = 3000\n\n  route \"/c\" { upstream = 3002 }\n}\n"},
		"upstream of nginx":           {other + "upstream web {\n  server localhost:3000;\n}\n", "host \"a.localhost\" { upstream = service.web }\nservice \"web\" { upstream = 3000 }\n"},
		"location":                    {route("location \"/c\" {}"), route("route \"/c\" {\n}")},
		"location without quotes":     {route("location /c {\n    upstream = 3002\n  }"), route("route \"/c\" {\n    upstream = 3002\n  }")},
		"location of nginx":           {route("location /c/ {\n    proxy_pass http://localhost:3002;\n    proxy_set_header Host $host;\n  }"), fixedRoute},
		"location on a line":          {route("location /c { proxy_pass http://127.0.0.1:3002; }"), fixedRoute},
		"location of all":             {inHost("location / { proxy_pass http://127.0.0.1:3002; }"), up("3002")},
		"location with modifier":      {route("location ~ ^/c {\n    proxy_pass http://localhost:3002;\n  }"), route("route \"/c\" {\n}")},
		"location at the top":         {"location \"/c\" {}\n" + other, inHost("upstream = 1\nroute \"/c\" {\n}")},
		"handle":                      {route("handle /c/* {\n    reverse_proxy localhost:3002\n  }"), fixedRoute},
		"handle_path":                 {route("handle_path /c/* {\n    reverse_proxy localhost:3002\n  }"), route("  route \"/c\" {\n    upstream     = 3002\n    strip_prefix = true\n  }")},
		"proxy_pass":                  {inHost("proxy_pass http://localhost:3000;"), up("3000")},
		"proxy_pass as attribute":     {inHost(`proxy_pass = "http://localhost:3000/"`), up("3000")},
		"proxy_pass elsewhere":        {inHost(`proxy_pass https://staging.example.com;`), up(`"https://staging.example.com"`)},
		"reverse_proxy":               {inHost("reverse_proxy localhost:3000 # web"), up("3000")},
		"reverse_proxy on a line":     {"host \"a.localhost\" { reverse_proxy localhost:3000 }\n", up("3000")},
		"reverse_proxy of a path":     {route("reverse_proxy /c/* :3002"), fixedRoute},
		"reverse_proxy block":         {inHost("reverse_proxy {\n    to localhost:3000\n  }"), up("3000")},
		"reverse_proxy labelled":      {inHost("reverse_proxy \"localhost:3000\" {\n  }"), up("3000")},
		"target":                      {inHost(`target = "http://localhost:3000"`), up("3000")},
		"port":                        {inHost(`port = 3000`), up("3000")},
		"url":                         {inHost(`url = "https://example.com"`), up(`"https://example.com"`)},
		"path":                        {route(`path = "/c"`), route("route \"/c\" {\n}")},
		"path in a route":             {inHost("route {\n path = \"/c\"\n upstream = 3002\n}"), inHost("route \"/c\" {\n upstream = 3002\n}")},
		"name in a host":              {"host {\n  name = \"a.localhost\"\n  upstream = 3000\n}\n", "host \"a.localhost\" {\n  upstream = 3000\n}\n"},
		"root":                        {inHost("root /srv/www;"), inHost(`files = "/srv/www"`)},
		"root as attribute":           {inHost(`root = "dist"`), inHost(`files = "dist"`)},
		"redir":                       {inHost("redir https://example.com{uri}"), inHost(`redirect = "https://example.com{rest}"`)},
		"return to":                   {inHost("return 301 https://example.com$request_uri;"), inHost(`redirect = "https://example.com{rest}"`)},
		"return":                      {inHost("return 204;"), inHost("respond = 204")},
		"respond":                     {inHost(`respond "ok" 200`), inHost(`respond = { status = 200, body = "ok" }`)},
		"gzip":                        {inHost("upstream = 1\ngzip on;"), inHost("upstream = 1\ncompress = true")},
		"header":                      {inHost("upstream = 1\nadd_header X-A \"b c\";"), inHost("upstream = 1\nresponse_headers = { X-A = \"b c\" }")},
		"server_name":                 {inHost("upstream = 1\nserver_name b.localhost;"), inHost("upstream = 1\naliases = [\"b.localhost\"]")},
		"upstream as block":           {inHost("upstream {\n    port = 3000\n  }"), up("3000")},
		"upstream as object":          {up(`{ host = "localhost", port = 3000 }`), up("3000")},
		"upstream of elsewhere":       {up(`{ host = "10.0.0.1", port = 3000 }`), up(`"http://10.0.0.1:3000"`)},
		"match as block":              {route("route \"/c\" {\n    match {\n      methods = [\"GET\"]\n    }\n  }"), route("route \"/c\" {\n    match = {\n      methods = [\"GET\"]\n    }\n  }")},
		"headers as block":            {route("request_headers {\n    X-A = \"b\"\n  }"), route("request_headers = {\n    X-A = \"b\"\n  }")},
		"other headers as block":      {route("headers {\n    X-A = \"b\"\n  }"), route("request_headers = {\n    X-A = \"b\"\n  }")},
		"host as attribute":           {"host = \"a.localhost\"\nupstream = 3000\n", "host \"a.localhost\" { upstream = 3000 }\n"},
		"host as object":              {"host = {\n  name = \"a.localhost\"\n  upstream = 3000\n}\n", "host \"a.localhost\" {\n  upstream = 3000\n}\n"},
		"host as map":                 {"host = { \"a.localhost\" = 3000 }\n", "host \"a.localhost\" {\n  upstream = 3000\n}\n"},
		"upstream alone":              {"upstream = 3000\n", "host \"shop.localhost\" { upstream = 3000 }\n"},
		"route as attribute":          {route(`route = "/c"`), route("route \"/c\" {\n}")},
		"listen as attribute":         {"listen = 8443\n" + other, "listen { https = 8443 }\n" + other},
		"listen as block is not one":  {inHost("listen = 8443\nupstream = 1"), "listen { https = 8443 }\n" + other},
		"share as attribute":          {"share = true\n" + other, "share { expires = \"2h\" }\n" + other},
		"trailing slash, no quotes":   {"host \"a.localhost\" { upstream = localhost:5173/ }\n", "host \"a.localhost\" { upstream = 5173 }\n"},
		"IPv6, no quotes":             {"host \"a.localhost\" { upstream = [::1]:5173/ }\n", "host \"a.localhost\" { upstream = 5173 }\n"},
		"port with slash":             {up("5173/"), up("5173")},
		"port with colon and slash":   {up(":5173/"), up("5173")},
		"port with colon":             {up(":5173"), up("5173")},
		"container's port":            {up(`"8080:3000"`), up("8080")},
		"URL with a slash too few":    {up(`"http:/localhost:5173"`), up(`"http://localhost:5173"`)},
		"URL without a scheme":        {up(`"//localhost:5173/"`), up(`"http://localhost:5173"`)},
		"spaces":                      {up(`" http://localhost:5173/ "`), up(`"http://localhost:5173/"`)},
		"dollar and brace, dotted":    {up(`${env.PORT}`), port},
		"dotted with default":         {up(`"${env.API_URL:-http://localhost:3000}"`), up(`env("API_URL", "http://localhost:3000")`)},
		"variable in a list":          {up(`["$PORT", 3000]`), up(`[env("PORT", "3000"), 3000]`)},
		"variable with colon":         {inHost("upstream: $PORT"), port},
		"variable in locals":          {"locals { port = ${PORT} }\n" + up("local.port"), "locals { port = env(\"PORT\", \"3000\") }\n" + up("local.port")},
		"a word, localhost":           {up(`localhost`), up("3000")},
		"rewrite with a group":        {route("route \"/c\" {\n rewrite ^/c/(.*)$ /v1/$1 break;\n }"), route("route \"/c\" {\n rewrite = \"/v1{rest}\"\n }")},
		"rewrite to the group":        {route("rewrite ^/c/(.*)$ /$1 break;"), route("route \"/c\" {\n strip_prefix = true\n }")},
		"two addresses":               {inHost("reverse_proxy localhost:3000 localhost:3001"), up("[3000, 3001]")},
		"to two addresses":            {inHost("reverse_proxy {\n    to localhost:3000 localhost:3001\n    lb_policy round_robin\n  }"), up("[3000, 3001]")},
		"a socket":                    {inHost("reverse_proxy unix//run/app.sock"), up(`"unix:/run/app.sock"`)},
		"a name of nginx":             {inHost("proxy_pass http://backend;"), up("3000")},
		"path of proxy_pass":          {inHost("proxy_pass http://localhost:3000/v1/;"), inHost("upstream = 3000\nroute \"/\" {\n rewrite = \"/v1{rest}\"\n}")},
		"ProxyPass":                   {route("ProxyPass /c http://localhost:3002/"), fixedRoute},
		"server of HAProxy":           {inHost("server web1 127.0.0.1:3000 check"), up("3000")},
		"upstream, two ports":         {inHost("upstream 3000 3001"), up("[3000, 3001]")},
		"redirect with status":        {inHost("redirect 301 /x"), inHost(`redirect = "/x"`)},
		"a word without quotes":       {"service \"s\" {\n upstream = 1\n balance cookie\n}\nhost \"a.localhost\" { upstream = service.s }\n", "service \"s\" {\n upstream = 1\n balance = \"cookie\"\n}\nhost \"a.localhost\" { upstream = service.s }\n"},
		"location that returns":       {route("location /c { return 204; }"), route("route \"/c\" { respond = 204 }")},
		"exact location":              {route("location = /c { return 301 /d; }"), route("route \"/c\" { redirect = \"/d\" }")},
		"matcher":                     {route("@c path /c/*"), route("route \"/c\" {\n}")},
		"size of nginx":               {inHost("upstream = 1\nclient_max_body_size 10m;"), inHost("upstream = 1\nmax_body = \"10MB\"")},
		"host with colon":             {"host: \"a.localhost\" {\n  upstream = 1\n}\n", "host \"a.localhost\" {\n  upstream = 1\n}\n"},
		"server and value":            {"server \"a.localhost\" 3000\n", "host \"a.localhost\" { upstream = 3000 }\n"},
		"host to":                     {"host \"a.localhost\" to 3000\n", "host \"a.localhost\" { upstream = 3000 }\n"},
		"name with port":              {"b.localhost:3000\n" + other, "host \"b.localhost\" { upstream = 3000 }\n" + other},
		"hosts as list":               {"hosts = [\"a.localhost\"]\n", "host \"a.localhost\" {\n upstream = 1\n}\n"},
		"listen with colon":           {"listen = \":8443\"\n" + other, "listen { https = \":8443\" }\n" + other},
		"share with relay":            {"share = \"t.example.com\"\n" + other, "share { relay = \"t.example.com\" }\n" + other},
		"path of an address":          {up(`"localhost:5173/v1"`), inHost("upstream = \"localhost:5173\"\nroute \"/\" {\n rewrite = \"/v1{rest}\"\n}")},
		"path of a URL":               {up(`"http://localhost:5173/v1/"`), inHost("upstream = \"http://localhost:5173\"\nroute \"/\" {\n rewrite = \"/v1{rest}\"\n}")},
	}
}

// suggestion returns the code in a detail without the words around it.
func suggestion(t *testing.T, detail string) string {
	t.Helper()
	if i := strings.Index(detail, ":\n"); i >= 0 {
		return detail[i+2:]
	}
	code, found := strings.CutPrefix(detail, "write ")
	if !found {
		t.Errorf("no code in %q", detail)
	}
	for _, end := range []string{"; ", " in a host", " in a route", ", at the top level", ": it matches", ": the port", ": what follows"} {
		code, _, _ = strings.Cut(code, end)
	}
	return code
}

// TestForeignStatements checks that one statement gives one diagnostic, and that
// the code in its advice is in the valid file.
func TestForeignStatements(t *testing.T) {
	for name, tt := range foreignCases() {
		t.Run(name, func(t *testing.T) {
			file, diags := decodeText(tt.text, "")
			if len(diags) != 1 || diags[0].Severity != Error {
				t.Fatalf("%s\n%s", tt.text, rendered(t, diags, file.Sources))
			}
			checkRanges(t, file, diags)
			if at := diags[0].Range; at.Start.Byte == at.End.Byte {
				t.Errorf("nothing is underlined: %+v", at)
			}
			if fixed, diags := decodeText(tt.fixed, ""); len(diags) > 0 {
				t.Errorf("the fixed file is not valid:\n%s", rendered(t, diags, fixed.Sources))
			}
			if code := suggestion(t, diags[0].Detail); !strings.Contains(plainSpace(tt.fixed), plainSpace(code)) {
				t.Errorf("the advice is to write %q, which is not in\n%s\n%s", code, tt.fixed, rendered(t, diags, file.Sources))
			}
		})
	}
}

// plainSpace replaces all white space by single spaces.
func plainSpace(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestForeignStatementsHideNothing checks that mistakes before and after the
// statement are found too.
func TestForeignStatementsHideNothing(t *testing.T) {
	const before, after = "host \"before.localhost\" { hold = \"1\" }\n", "host \"after.localhost\" {\n  timeout = 30s\n  upstream = 1\n}\n"
	for name, tt := range foreignCases() {
		file, diags := decodeText(before+tt.text+after, "")
		got := strings.Join(summaries(diags), "\n")
		if !strings.Contains(got, `"1" is not a valid duration`) || !strings.Contains(got, "a duration must be a string") {
			t.Errorf("%s:\n%s", name, rendered(t, diags, file.Sources))
		}
		// Unused services are not reported for a file with errors.
		if len(diags) != 4 {
			t.Errorf("%s: %d diagnostics\n%s", name, len(diags), rendered(t, diags, file.Sources))
		}
	}
}

// TestNotForeignStatements checks texts that only look like those of other tools.
func TestNotForeignStatements(t *testing.T) {
	const broken = "host \"b.localhost\" { hold = 5s }\n"
	for _, text := range []string{
		inHost("respond = { body = <<EOT\nserver {\n  proxy_pass http://x;\n}\n/c = 3\nimport x\nEOT\n}"),
		inHost("/*\nlocation / { proxy_pass http://x; }\n*/\nupstream = 1"),
		inHost("# location / { proxy_pass http://x; }\nupstream = 1 // proxy_pass http://x;"),
		inHost("upstream = 1\nrequest_headers = {\n  \"X-A\" = \"b\"\n  \"X-B\" = \"$PORT\"\n}"),
		inHost("upstream = 1\nroute \"/c\" {\n  match = {\n    query = {\n      \"/c\" = 1\n    }\n  }\n}"),
		inHost("upstream = [for p in [\n  \"1\",\n  \"2\"\n] : \"${p}\"]"),
		"locals {\n  path = \"/c\"\n  port = 2\n  target = \"http://x\"\n}\n" + inHost("upstream = local.port"),
		inHost("upstream = 1\nroute \"/$metadata\" {}\nroute \"/a+b\" {}\nroute \"/v1/projects:batch\" {}\nroute \"/[slug]\" {}\nroute \"/x.js\" {}\nroute \"/(group)/x\" {}\nroute \"/a~b\" {}\nroute \"/c|d\" {}\nroute \"/=\" {}"),
		inHost("redirect = \"https://example.com/?price=$5\""),
		inHost("upstream = \"https://import.example.com\""),
		inHost("upstream = \"http://server.localhost:80\"\n"),
	} {
		if file, diags := decodeText(text, ""); len(diags) > 0 {
			t.Errorf("%s\n%s", text, rendered(t, diags, file.Sources))
		}
		// Lines are searched only if there is a syntax error.
		for _, both := range []string{text + broken, strings.TrimSuffix(text, "}\n") + "hold = 5s\n}\n"} {
			file, diags := decodeText(both, "")
			if diff := cmp.Diff([]string{"a duration must be a string"}, summaries(diags)); diff != "" && !strings.Contains(diff, "has no upstream, files, redirect or respond") {
				t.Errorf("%s\n%s", both, rendered(t, diags, file.Sources))
			}
		}
	}
}

// TestOneMistakeIsOneDiagnostic checks that a syntax error in a host or route of a
// valid Proxyfile causes no other diagnostics.
func TestOneMistakeIsOneDiagnostic(t *testing.T) {
	tried := 0
	for file, text := range proxyfiles(t) {
		if !strings.Contains(file, "/valid/") {
			continue
		}
		lines := strings.SplitAfter(text, "\n")
		for i, line := range lines {
			trimmed := strings.TrimSpace(line)
			if !strings.HasSuffix(trimmed, "{") || !strings.HasPrefix(trimmed, "host ") && !strings.HasPrefix(trimmed, "route ") && !strings.HasPrefix(trimmed, "service ") {
				continue
			}
			tried++
			broken := strings.Join(lines[:i+1], "") + "    zz = 5s\n" + strings.Join(lines[i+1:], "")
			decoded, diags := decodeText(broken, "")
			for _, d := range diags {
				if d.Range.Start.Line != i+2 {
					t.Errorf("%s: a mistake on line %d\n%s", file, i+2, rendered(t, diags, decoded.Sources))
					break
				}
			}
			if len(diags) == 0 {
				t.Errorf("%s: no mistake on line %d", file, i+2)
			}
		}
	}
	if tried < 30 {
		t.Errorf("tried only %d mistakes, want at least 30", tried)
	}
}
