package hcl

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// secretEnv has two secrets and two harmless variables.
func secretEnv(name string) string {
	return map[string]string{"SECRET": secretValue, "OTHER": "0th3r-value", "PORT": "4711", "LETTER": "b"}[name]
}

const secretValue = "s3cr3t-t0ken"

func decodeSecret(t *testing.T, text string) (*File, Diagnostics) {
	t.Helper()
	file := &File{Path: "/p/Proxyfile", Dir: "/p", Sources: Sources{"Proxyfile": []byte(text)}}
	diags := decode(file, []source{{"Proxyfile", []byte(text)}}, environment{
		getenv: secretEnv, folder: func(string) (bool, bool) { return true, true },
	})
	return file, diags
}

// TestFlowThroughExpressions checks that the variables in an expression flow into
// its value, and that the shown value does not reveal theirs.
func TestFlowThroughExpressions(t *testing.T) {
	const (
		none  = ""
		one   = "SECRET"
		other = "OTHER SECRET"
	)
	tests := []struct{ expr, want, shown string }{
		{`"plain"`, none, ""},
		{`env("UNSET", "fallback")`, none, ""},
		{`env("SECRET")`, one, "${SECRET}"},
		{`env("SECRET", "fallback")`, one, "${SECRET}"},
		{`(env("SECRET"))`, one, "${SECRET}"},
		{`"${env("SECRET")}"`, one, "${SECRET}"},
		{`"a ${env("SECRET")} b ${env("OTHER")}"`, other, "a ${SECRET} b ${OTHER}"},
		{`local.direct`, one, "${SECRET}"},
		{`"x-${local.direct}-y"`, one, "x-${SECRET}-y"},
		{`local.twice`, one, "${SECRET}/${SECRET}"},
		{`local.object.inner`, one, ""},
		{`local.object.plain`, none, ""},
		{`local.list[1]`, one, ""},
		{`local.list[0]`, none, ""},
		{`local["direct"]`, one, ""},
		{`{ a = "1", b = "2" }[env("LETTER")]`, "LETTER", ""},
		{`{ for k, v in { a = "1", b = "2" } : k => v }[env("LETTER")]`, "LETTER", ""},
		{`["x", "y"][strlen(env("LETTER"))]`, "LETTER", ""},
		{`[{ a = "1", b = "2" }][0][env("LETTER")]`, "LETTER", ""},
		{`[for x in ["p"] : { a = x, b = x }[env("LETTER")]][0]`, "LETTER", ""},
		{`"${{ a = "1", b = "2" }[env("LETTER")]}"`, "LETTER", ""},
		{`lookup({ a = "1", b = "2" }, env("LETTER"), "3")`, "LETTER", ""},
		{`element(["x", "y"], strlen(env("LETTER")))`, "LETTER", ""},
		{`slice(["x", "y"], strlen(env("LETTER")), 2)[0]`, "LETTER", ""},
		{`upper(env("SECRET"))`, one, "${upper(${SECRET})}"},
		{`format("http://%s.evil.example", env("SECRET"))`, one, "${format(http://%s.evil.example, ${SECRET})}"},
		{`format(local.form, env("SECRET"))`, one, "${format(%s.evil.example, ${SECRET})}"},
		{`replace("a", "a", env("SECRET"))`, one, ""},
		{`substr(env("SECRET"), 0, 3)`, one, ""},
		{`join("", [for c in split("", env("SECRET")) : c])`, one, ""},
		{`join("", reverse(split("", env("SECRET"))))`, one, ""},
		{`jsondecode("{\"a\":\"${env("SECRET")}\"}").a`, one, ""},
		{`jsonencode({ a = env("SECRET") })`, one, ""},
		{`jsonencode({ (env("SECRET")) = 1 })`, one, ""},
		{`keys({ (env("SECRET")) = 1 })[0]`, one, ""},
		{`values({ a = env("SECRET") })[0]`, one, ""},
		{`merge({ a = env("SECRET") }, { b = "x" }).a`, one, ""},
		{`merge({ a = env("SECRET") }, { b = "x" }).b`, none, ""},
		{`zipmap(["a"], [env("SECRET")]).a`, one, ""},
		{`zipmap([env("LETTER")], ["x"]).b`, "LETTER", ""},
		{`concat(["a"], [env("SECRET")])[1]`, one, ""},
		{`flatten([["a"], [env("SECRET")]])[1]`, one, ""},
		{`coalesce("", env("SECRET"))`, one, ""},
		{`compact(["", env("SECRET")])[0]`, one, ""},
		{`distinct([env("SECRET"), env("SECRET")])[0]`, one, ""},
		{`sort([env("SECRET"), "zzz"])[1]`, one, ""},
		{`tostring(strlen(env("SECRET")))`, one, ""},
		{`tostring(length(split("", env("SECRET"))))`, one, ""},
		{`tostring(length([for c in ["a"] : c if c == env("LETTER")]))`, "LETTER", ""},
		{`tostring(parseint(env("PORT"), 10) + 1)`, "PORT", ""},
		{`env("SECRET") == "x" ? "yes" : "no"`, one, ""},
		{`!(env("SECRET") == "x") ? "yes" : "no"`, one, ""},
		{`true ? "yes" : env("SECRET")`, one, ""},
		{`"%{if env("SECRET") == "x"}yes%{else}no%{endif}"`, one, ""},
		{`"%{for c in split("", env("SECRET"))}${c}%{endfor}"`, one, ""},
		{`[for c in [env("SECRET")] : c][0]`, one, ""},
		{`[for c in ["a", "b"] : c if c == env("LETTER")][0]`, "LETTER", ""},
		{`[for o in [{ a = env("SECRET") }] : o.a][0]`, one, ""},
		{`([{ a = env("SECRET") }][*].a)[0]`, one, ""},
		{`{ for c in ["x"] : c => env("SECRET") }.x`, one, ""},
		{`env(env("LETTER") == "b" ? "SECRET" : "OTHER")`, "LETTER SECRET", ""},
		{`env("UNSET", env("SECRET"))`, one, ""},
		{`tostring(service.api.port)`, "PORT", ""},
		{`service.api.url`, "PORT", ""},
		{`service.plain.url`, none, ""},
	}
	for _, tt := range tests {
		file, diags := decodeSecret(t, `
locals {
  direct = env("SECRET")
  twice  = "${local.direct}/${local.direct}"
  object = { inner = env("SECRET"), plain = "p" }
  list   = ["p", env("SECRET")]
  form   = "%s.evil.example"
}
service "api" { upstream = env("PORT") }
service "plain" { upstream = 3000 }
host "a.localhost" {
  upstream = 3000
  response_headers = { X-A = `+tt.expr+` }
}
`)
		if diags.HasErrors() {
			t.Errorf("%s: %v", tt.expr, summaries(diags))
			continue
		}
		flow := file.Hosts[0].ResponseFlows["X-A"]
		if got := strings.Join(flow.Env, " "); got != tt.want {
			t.Errorf("%s: %q flows in, want %q", tt.expr, got, tt.want)
		}
		if tt.shown != "" && flow.Shown != tt.shown {
			t.Errorf("%s is shown as %q, want %q", tt.expr, flow.Shown, tt.shown)
		}
		if strings.Contains(flow.Shown, "s3cr") {
			t.Errorf("%s is shown as %q", tt.expr, flow.Shown)
		}
		inFlows := slices.ContainsFunc(file.Flows, func(f AttributeFlow) bool {
			return f.Attribute == "response_headers" && strings.Join(f.Env, " ") == tt.want
		})
		if inFlows != (tt.want != none) {
			t.Errorf("%s: flows %+v", tt.expr, file.Flows)
		}
		if got := file.Mask.Text(*file.Hosts[0].ResponseHeaders["X-A"]); strings.Contains(got, secretValue) {
			t.Errorf("%s: the mask leaves %q", tt.expr, got)
		}
	}
}

// TestDiagnosticsHideTheEnvironment checks that no diagnostic about a value contains
// more than the name of the variable.
func TestDiagnosticsHideTheEnvironment(t *testing.T) {
	const host = "host \"a.localhost\" {\n%\n}\n"
	const service = "host \"a.localhost\" { upstream = service.s }\nservice \"s\" {\nupstream = 1\n%\n}\n"
	const share = "host \"a.localhost\" { upstream = 1 }\nshare {\n%\n}\n"
	tests := map[string][]string{
		host: {
			`upstream = X`, `upstream = "http://${X}/path"`, `upstream = "http://user:${X}@host"`, `upstream = "host:${X}"`, `upstream = "${X}://x"`, `upstream = [X]`,
			`upstream = parseint(X, 10)`, `upstream = tonumber(X)`, `upstream = jsondecode(X)`, `upstream = env(X)`, `upstream = env("A${X}")`, `upstream = lookup({}, X)`, `upstream = { a = 1 }[X]`, `upstream = [1][X]`, `upstream = url(X)`, `upstream = X + 1`, `upstream = format(X, 1)`, `upstream = upper(X)`,
			`files = "~${X}"`, `files = X
spa = X`, `redirect = X`, `redirect = "//${X}"`, `redirect = "gopher://${X}"`, `redirect = "/{${X}}"`, `redirect = "/x"
status = X`, `respond = X`, `respond = { status = X }`, `respond = { (X) = 1 }`, `respond = { headers = { (X) = 1 } }`, `respond = { headers = { "${X} x" = 1 } }`,
			`upstream = 1
aliases = [X]`, `upstream = 1
aliases = ["${X}.example.com"]`, `upstream = 1
request_headers = { "${X}:" = "" }`, `upstream = 1
request_headers = { A = "${X}\n" }`, `upstream = 1
timeout = X`, `upstream = 1
cors = X`, `upstream = 1
cors = [X]`, `upstream = 1
cors = ["https://a/${X}"]`, `upstream = 1
allow = [X]`, `upstream = 1
rate_limit = X`, `upstream = 1
rate_limit = { rate = "1/s", by = X }`, `upstream = 1
max_body = X`, `upstream = 1
basic_auth = { ann = X }`, `upstream = 1
basic_auth = { "${X}:" = "x" }`, `upstream = 1
simulate = { delay = X, errors = X, bandwidth = X }`, `upstream = 1
route "/a" { rewrite = X }`, `upstream = 1
route "/a" { rewrite = "/${X}?q" }`, `upstream = 1
route "/a" { match = { methods = ["${X} x"] } }`, `upstream = 1
cache = { size = X }`,
		},
		service: {`health = X`, `health = { path = X }`, `health = { path = "//${X}" }`, `health = { path = "/x", interval = X }`, `balance = X`, `fallback = X`},
		share:   {`relay = X`, `relay = "https://${X}"`, `relay = "a.example:${X}"`, `hosts = [X]`, `name = X`, `name = "${X}--x"`, `domain = X`, `domain = "https://${X}"`, `domain = "ü.${X}"`, `domain = "${X}.localhost"`, `paths = [X]`, `public = ["/${X}?q"]`, `allow = [X]`, `expires = X`},
	}
	for form, lines := range tests {
		for _, line := range lines {
			for _, x := range []string{`env("SECRET")`, `upper(env("SECRET"))`, `substr(env("SECRET"), 0, 6)`, `local.it`} {
				text := "locals { it = env(\"SECRET\") }\n" + strings.ReplaceAll(strings.ReplaceAll(form, "%", line), "X", x)
				_, diags := decodeSecret(t, strings.ReplaceAll(text, `"${`+x+`}"`, `"${`+x+`}"`))
				shown, err := json.Marshal(diags)
				if err != nil {
					t.Fatal(err)
				}
				if lower := strings.ToLower(string(shown)); strings.Contains(lower, "s3cr") || strings.Contains(lower, "t0ken") {
					t.Errorf("%s\n%s", text, shown)
				}
			}
		}
	}
}

// TestMaskSpellings checks that a value is masked in the spellings of URLs, JSON and
// pages. Short values are not masked.
func TestMaskSpellings(t *testing.T) {
	c := newSecrets(nil)
	c.add(`a b&"c"/d`, "${X}")
	c.add("abc", "${SHORT}")
	c.add("abcd", "${LONG}")
	m := c.mask(nil)
	for text, want := range map[string]string{
		`- a b&"c"/d -`:         "- ${X} -",
		`"- a b&\"c\"/d -"`:     `"- ${X} -"`,
		"?q=a+b%26%22c%22%2Fd":  "?q=${X}",
		"/a%20b&%22c%22%2Fd":    "/${X}",
		"a b&amp;&#34;c&#34;/d": "${X}",
		`"a b\u0026\"c\"/d"`:    `"${X}"`,
		"abc":                   "abc",
		"abcd":                  "${LONG}",
		"nothing":               "nothing",
	} {
		if got := m.Text(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for line, want := range map[string]string{
		`{"event":"abcd","abcd":"abcd","list":["abcd \"x","y"],"n":1}`: `{"event":"abcd","abcd":"${LONG}","list":["${LONG} \"x","y"],"n":1}`,
		`{"text": "a b&\"c\"/d <"}`:                                    `{"text": "${X} <"}`,
		`{"text":"a b\u0026\"c\"/d"}`:                                  `{"text":"${X}"}`,
		`{"text":"<abc>\n","file":"abcd`:                               `{"text":"<abc>\n","file":"abcd`,
		`{"cut":"abcd`:                                                 `{"cut":"${LONG}`,
	} {
		if got := m.JSON(line); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	named := c.mask([]*Host{{Name: Name{Value: "my-abcd.localhost"}}})
	if got := named.Text("abcd"); got != "abcd" {
		t.Errorf("the name of a host is shown as %s", got)
	}
	var none *Mask
	if none.Text("abcd") != "abcd" || none.JSON(`"abcd"`) != `"abcd"` || NewMask(nil, none) != nil {
		t.Error("a nil mask changes texts")
	}
}
