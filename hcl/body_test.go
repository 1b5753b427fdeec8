package hcl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outline returns what a file serves, one line for each host and route.
func outline(file *File) string {
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, " ") + "\n") }
	if file.Listen.HTTPS != "" {
		line("https", file.Listen.HTTPS)
	}
	for _, h := range file.Hosts {
		line("host", h.Name.Value, answer(&h.Settings), h.Range.File)
		for _, r := range h.Routes {
			exact := ""
			if r.Exact {
				exact = " exact"
			}
			if r.Match != nil {
				exact += " " + strings.Join(r.Match.Methods, ",")
			}
			line(" ", r.Path+exact, answer(&r.Settings), r.Range.File)
		}
	}
	return b.String()
}

func answer(s *Settings) string {
	text := "-"
	switch {
	case s.Upstream != nil:
		var members []string
		for _, m := range s.Upstream.Members {
			members = append(members, m.Text+"@"+m.Range.File)
		}
		text = strings.Join(members, ",")
	case s.Respond != nil:
		text = "respond"
	}
	if s.Timeout != nil {
		text += " " + s.Timeout.String()
	}
	return text
}

func TestLocal(t *testing.T) {
	const base = `
locals { port = 1 }
host "a.localhost" {
  upstream = service.web
  timeout  = "1s"
  route "/api" { upstream = local.port }
  route "/api" {
    upstream = 3
    exact    = true
  }
  route "/api" {
    upstream = 4
    match    = { methods = ["GET"] }
  }
}
service "web" { upstream = 2 }
`
	const unchanged = `host a.localhost :2@Proxyfile 1s Proxyfile
  /api :1@Proxyfile Proxyfile
  /api exact :3@Proxyfile Proxyfile
  /api GET :4@Proxyfile Proxyfile
`
	changed := func(old, new string) string { return strings.Replace(unchanged, old, new, 1) }
	tests := []struct{ name, local, want string }{
		{"nothing", "# empty\n", unchanged},
		{"a local", "locals { port = 9 }", changed(":1@Proxyfile", ":9@Proxyfile.local")},
		{"a service", `service "web" { upstream = 9 }`, changed(":2@Proxyfile", ":9@Proxyfile.local")},
		{"listen", "listen { https = 8443 }", "https 8443\n" + unchanged},
		{"an attribute", `host "A.localhost" { timeout = "2s" }`, changed("1s", "2s")},
		{"null unsets", `host "a.localhost" { timeout = null }`, changed(" 1s", "")},
		{"null unsets an answer", "host \"a.localhost\" {\n upstream = null\n respond = 204\n}\nservice \"web\" { upstream = 2 }\nhost \"b.localhost\" { upstream = service.web }",
			changed(":2@Proxyfile 1s", "respond 1s") + "host b.localhost :2@Proxyfile.local Proxyfile.local\n"},
		{"a route", "host \"a.localhost\" {\n route \"/api\" { upstream = 9 }\n}", changed(":1@Proxyfile", ":9@Proxyfile.local")},
		{"an exact route", "host \"a.localhost\" {\n route \"/api\" {\n upstream = 9\n exact = !false\n}\n}", changed(":3@Proxyfile", ":9@Proxyfile.local")},
		{"a route with match", "host \"a.localhost\" {\n route \"/api\" {\n upstream = 9\n match = { methods = [\"GET\"] }\n}\n}", changed(":4@Proxyfile", ":9@Proxyfile.local")},
		{"a new route", "host \"a.localhost\" {\n route \"/new\" { upstream = 9 }\n}", unchanged + "  /new :9@Proxyfile.local Proxyfile.local\n"},
		{"a new host", `host "b.localhost" { upstream = local.port }`, unchanged + "host b.localhost :1@Proxyfile Proxyfile.local\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, diags := decodeText(base, tt.local)
			if len(diags) > 0 {
				t.Fatalf("diagnostics: %v", diags)
			}
			want := tt.want
			if tt.name == "a new host" {
				// The value comes from the file with the local, the range from the
				// file with the reference.
				want = strings.Replace(want, "host b.localhost :1@Proxyfile ", "host b.localhost :1@Proxyfile.local ", 1)
			}
			if tt.name == "a local" {
				want = strings.Replace(want, ":9@Proxyfile.local", ":9@Proxyfile", 1)
			}
			if diff := cmp.Diff(want, outline(file)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestLocalMistakes(t *testing.T) {
	tests := []struct{ name, local, want string }{
		{"a mistake in the second file", "host \"a.localhost\" {\n  timeout = 30s\n}\n", `Proxyfile.local:2:13: error: a duration must be a string
  2 |   timeout = 30s
    |             ^^^ write "30s"
`},
		{"a second answer", `host "a.localhost" { respond = 204 }`, `Proxyfile.local:1:22: error: host "a.localhost" has both upstream and respond
  1 | host "a.localhost" { respond = 204 }
    |                      ^^^^^^^ to unset the other one, add upstream = null
`},
		{"the same host twice", "host \"a.localhost\" { hold = \"1s\" }\nhost \"a.localhost\" { upstream = 2 }", `Proxyfile.local:2:6: error: duplicate host "a.localhost"
  2 | host "a.localhost" { upstream = 2 }
    |      ^^^^^^^^^^^^^ the first one is at Proxyfile:1
`},
		{"a name of the other file", `host "b.localhost" { upstream = service.webb }`, `Proxyfile.local:1:41: error: unknown service "webb"
  1 | host "b.localhost" { upstream = service.webb }
    |                                         ^^^^ did you mean "web" (Proxyfile:2)? services: web
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, diags := decodeText("host \"a.localhost\" { upstream = service.web }\nservice \"web\" { upstream = 1 }\n", tt.local)
			if diff := cmp.Diff(tt.want, rendered(t, diags, file.Sources)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func rendered(t *testing.T, diags Diagnostics, src Sources) string {
	t.Helper()
	var b strings.Builder
	if err := diags.Write(&b, src, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
