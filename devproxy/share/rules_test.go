package share

import (
	"regexp"
	"strings"
	"testing"
)

// TestRules: the rules are in lower case and folded, and no text opens two rules.
func TestRules(t *testing.T) {
	owner := map[string]string{}
	claim := func(text string, rule *Rule) {
		if other, taken := owner[text]; taken {
			t.Errorf("%q is in %q and in %q", text, other, rule.What)
		}
		owner[text] = rule.What
		if folded, ok := foldPath(text); !ok || folded != text {
			t.Errorf("%q is not folded", text)
		}
	}
	path := regexp.MustCompile(`^(\*\*)?(/[^/?%]+)+$`)
	for _, rule := range hiddenRules() {
		if rule.What == "" || rule.Kind != Secrets && rule.Kind != Tools {
			t.Errorf("%+v has no kind or says nothing", rule)
		}
		if len(rule.names)+len(rule.paths)+len(rule.query) == 0 {
			t.Errorf("%q hides nothing", rule.What)
		}
		for _, name := range rule.names {
			claim(name, &rule)
			if strings.ContainsAny(name, "/?") || strings.Trim(name, "*") == "" {
				t.Errorf("%q is not a file name", name)
			}
		}
		for _, p := range append(rule.paths, rule.except...) {
			if !path.MatchString(p) {
				t.Errorf("%q is not a path", p)
			}
		}
		for _, p := range rule.paths {
			claim(strings.TrimPrefix(p, "**"), &rule)
			if first := strings.Split(strings.TrimPrefix(p, "**"), "/")[1]; first[0] == '*' {
				t.Errorf("%q: the first segment begins with *", p)
			}
		}
		for _, q := range rule.query {
			claim("?"+q, &rule)
		}
	}
}

// TestEveryPattern requests a target for each pattern of the rules.
func TestEveryPattern(t *testing.T) {
	s := mustNew(t, oneHost())
	hides := func(target string) {
		t.Helper()
		if !s.HiddenTarget(target) {
			t.Errorf("%s is not hidden", target)
		}
	}
	for _, rule := range hiddenRules() {
		if rule.fileIn != nil {
			continue
		}
		for _, name := range rule.names {
			name = strings.ReplaceAll(strings.ReplaceAll(name, "#", "%23"), "*", "x")
			hides("/" + name)
			hides("/a/" + strings.ToUpper(name) + "/b?x")
		}
		for _, p := range rule.paths {
			rest, anywhere := strings.CutPrefix(p, "**")
			rest = strings.ReplaceAll(rest, "*", "x")
			hides(rest)
			hides(rest + "/below?x")
			if !strings.Contains(rest[strings.LastIndexByte(rest, '/'):], ".") {
				hides(rest + ".json")
			}
			if anywhere {
				hides("/base" + rest)
			} else if s.HiddenTarget("/base" + rest) {
				t.Errorf("%s is hidden, where an app may have it", "/base"+rest)
			}
			if hit, hidden := s.Hides(rest + "x"); hidden && hit.Show == strings.TrimPrefix(p, "**") && !strings.HasSuffix(p, "*") {
				t.Errorf("%sx is hidden", rest)
			}
		}
		for _, text := range rule.texts {
			hides("/?x=" + text)
			hides("/x" + text + "x")
			hides("/x" + text + "x?a=b")
			hides("/?x" + strings.ToUpper(text) + "y")
			hides("/?" + percent(text, 0))
		}
		for _, q := range rule.query {
			key, value, _ := strings.Cut(strings.ReplaceAll(q, "*", "x"), "=")
			hides("/?" + key + "=" + value)
			hides("/a/b?x=1&" + strings.ToUpper(key) + "=" + value)
			if value != "" && s.HiddenTarget("/?"+key+"=other") {
				t.Errorf("?%s=other is hidden", key)
			}
			if rule.texts == nil && s.HiddenTarget("/?x"+key+"="+value) {
				t.Errorf("?x%s is hidden", key)
			}
		}
	}
}

// TestViteDeny: the guard hides everything that Vite's own server.fs.deny (8.2.2) does.
func TestViteDeny(t *testing.T) {
	for _, path := range []string{
		"/.env", "/.env.x", "/a/.env.local", "/a.crt", "/a.pem", "/a.key", "/a.p12", "/a.pfx", "/a.cer", "/a.der", "/.npmrc", "/.yarnrc.yml", "/.git/x", "/a/.git/x/y",
	} {
		if !hidden(path) {
			t.Errorf("%s is not hidden", path)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a*", "a", true}, {"a*", "ab", true}, {"a*", "ba", false},
		{"*a", "ba", true}, {"*a", "ab", false}, {"a*b", "ab", true}, {"a*b", "axxb", true}, {"a*b", "a", false}, {"ab*b", "ab", false},
		{"#*#*", "#a#", true}, {"#*#*", "#", false}, {"#*#*", "#a#b", true}, {"#*#*", "a##", false},
		{"a*b*c", "axbxc", true}, {"a*b*c", "axcxb", false}, {"a*b*c", "abc", true}, {"", "", true}, {"*", "", true},
	} {
		if got := glob(test.pattern, test.text); got != test.want {
			t.Errorf("glob(%q, %q) is %v", test.pattern, test.text, got)
		}
	}
}

// TestFormats: only the endings with which frameworks choose a format count.
func TestFormats(t *testing.T) {
	for _, ending := range []string{"html", "htm", "json", "xml", "txt", "csv"} {
		if !hidden("/rails/mailers." + ending) {
			t.Errorf("/rails/mailers.%s is not hidden", ending)
		}
	}
	for path, want := range map[string]bool{
		"/rails/mailers.html": true, "/rails/mailers.csv": true, "/sidekiq.svg": true, "/src/rails/mailers.ts": false, "/src/debug/vars.ts": false, "/__inspect.x/": true, "/__vitest__.x/": true, "/webpack-dev-server.js": false, "/webpack-dev-server.x": true, "/open-url.x": true, "/rails/mailers.x": false, "/rails.json/mailers": false,
		"/actuator/health.json": false, "/actuator/env.json": true, "/actuator": false, "/actuator/healthx": true,
		"/__nextjs_font/x": false, "/__nextjs_fontx": true, "/__wds-outside-root__/3/node_modules/x.js": false, "/__wds-outside-root__/3/x.js": true,
	} {
		if got := hidden(path); got != want {
			t.Errorf("%s: hidden %v, want %v", path, got, want)
		}
	}
}
