package share

import (
	"slices"
	"strings"
	"testing"
)

// showing returns a share that shows entries.
func showing(t testing.TB, entries ...string) *Share {
	t.Helper()
	opts := oneHost()
	opts.Show = entries
	return mustNew(t, opts)
}

// TestShow: each entry opens the paths that it names, and nothing else.
func TestShow(t *testing.T) {
	all, plain := corpus(t, "hidden"), mustNew(t, oneHost())
	for _, test := range []struct {
		entry        string
		open, hidden []string
	}{
		{"/rails/mailers", []string{"/rails/mailers", "/rails/mailers/user/x", "/RAILS/mailers.json", "/app/rails/mailers"}, []string{"/rails/info/routes", "/rails/mailers/.env", "/rails/mailers/db.sql"}},
		{"*.pem", []string{"/a.pem", "/x/b.PEM"}, []string{"/a.key", "/.a.pem", "/a.pem/.env", "/a.pem~"}},
		{"id_rsa", []string{"/id_rsa"}, []string{"/id_dsa"}},
		{".github", []string{"/.github/x", "/a/.github"}, []string{"/.git/x", "/.github/.env", "/.githubx"}},
		{"demo.sqlite3", []string{"/demo.sqlite3", "/x/demo.sqlite3"}, []string{"/other.sqlite3", "/demo.sqlite3.bak"}},
		{"/files/demo.sqlite3", []string{"/files/demo.sqlite3", "//files/%64emo.sqlite3"}, []string{"/demo.sqlite3", "/files/other.sqlite3", "/x/files/demo.sqlite3", "/files/demo.sqlite3/.env"}},
		{"/app/rails/mailers", []string{"/app/rails/mailers/user", "/app/rails/mailers"}, []string{"/rails/mailers", "/x/app/rails/mailers", "/app/rails/info/routes"}},
		{"/.netlify", []string{"/.netlify/state.json"}, []string{"/.netlify/.env", "/x/.netlify/state.json"}},
		{"?__debugger__", []string{"/?__debugger__=yes"}, []string{"/.env?__debugger__=yes", "/?xdebug_trigger"}},
		{"?pp=env*", []string{"/?pp=env"}, []string{"/?pp=help", "/?pp=env&__debugger__=1"}},
		{"/__nextjs_*", []string{"/__nextjs_source-map"}, []string{"/_next/mcp"}},
		{"/_image", []string{"/_image?href=/a.png"}, []string{"/.env"}},
		{"env~1", []string{"/ENV~1"}, []string{"/env~2", "/git~1"}},
		{"/actuator/*", []string{"/actuator/env", "/actuator/x", "/app/actuator/env", "/api/actuator/loggers/root"}, []string{"/jolokia", "/heapdump"}},
		{"/actuator/env", []string{"/actuator/env", "/app/actuator/env/x"}, []string{"/actuator/x", "/actuator/beans", "/actuator/env/.env"}},
	} {
		s := showing(t, test.entry)
		for _, target := range test.open {
			if hit, hidden := s.Hides(target); hidden {
				t.Errorf("show = [%q]: %s is hidden: %+v", test.entry, target, hit)
			}
		}
		for _, target := range test.hidden {
			if !s.HiddenTarget(target) {
				t.Errorf("show = [%q]: %s is not hidden", test.entry, target)
			}
		}
		for file, targets := range all {
			for _, target := range targets {
				hit, _ := plain.Hides(target)
				if s.HiddenTarget(target) || hit.Show == test.entry || slices.Contains(test.open, target) || strings.HasPrefix(target, test.entry) {
					continue
				}
				t.Errorf("show = [%q] opens %s of %s", test.entry, target, file)
			}
		}
	}
}

// TestShowWhatTheHitNames: the entry that a hit names opens it, until nothing hides the
// target any more.
func TestShowWhatTheHitNames(t *testing.T) {
	for file, targets := range corpus(t, "hidden") {
		for _, target := range targets {
			var entries []string
			for {
				hit, hidden := showing(t, entries...).Hides(target)
				if !hidden {
					break
				}
				if hit.Show == "" {
					if hit.What != whatOutside && hit.What != whatWay && hit.What != whatOwn {
						t.Errorf("%s: nothing opens %s: %+v", file, target, hit)
					}
					break
				}
				if slices.Contains(entries, hit.Show) {
					t.Errorf("%s: %q does not open %s", file, hit.Show, target)
					break
				}
				entries = append(entries, hit.Show)
			}
		}
	}
}

// TestShowSeveral: entries of every form work together.
func TestShowSeveral(t *testing.T) {
	s := showing(t, "/files/demo.db", "/rails/mailers", "/other/x.db", "*.pem")
	for target, want := range map[string]bool{"/files/demo.db": false, "/other/x.db": false, "/rails/mailers": false, "/a.pem": false, "/a.db": true, "/files/x.db": true} {
		if got := s.HiddenTarget(target); got != want {
			t.Errorf("%s: hidden %v, want %v", target, got, want)
		}
	}
}

// TestShowSent: an entry opens what a route sends under another prefix than the visitor's.
func TestShowSent(t *testing.T) {
	s := showing(t, "/app/.netlify")
	for target, want := range map[string]bool{"/app/.netlify/x": false, "/.netlify/x": false, "/x/.netlify": true, "/.netlify/.env": true, "/app/.env": true} {
		if _, hidden := s.HidesSent(target); hidden != want {
			t.Errorf("%s, sent: hidden %v, want %v", target, hidden, want)
		}
	}
	if !s.HiddenTarget("/.netlify/x") {
		t.Error("a visitor may not leave out the beginning")
	}
}

func TestNothingShowsThese(t *testing.T) {
	s := showing(t, Shows()...)
	for _, target := range []string{"/.well-known/devproxy/status", "/@fs/etc/passwd", "/@id//etc/passwd", "/x/..;/y", "/x/%c0%ae%c0%ae/y", "/x/..%20/y", "/x/%25c0%25ae%c0%ae"} {
		if hit, hidden := s.Hides(target); !hidden || hit.Show != "" {
			t.Errorf("%s: %v %+v", target, hidden, hit)
		}
	}
}

func TestCheckShow(t *testing.T) {
	for entry, want := range map[string]struct {
		near string
		ok   bool
	}{
		"/rails/mailers":         {"", true},
		"/Rails/Mailers":         {"", true},
		"/rails/mailers/user":    {"", true},
		"*.pem":                  {"", true},
		".github":                {"", true},
		"demo.db":                {"", true},
		"/files/demo.db":         {"", true},
		"?pp=env*":               {"", true},
		"?PP=env":                {"", true},
		"/rails/mailer":          {"/rails/mailers", false},
		"*.sqlite4":              {"*.sqlite", false},
		"?__debuger__":           {"?__debugger__", false},
		"rails/mailers":          {"/rails/mailers", false},
		"/shop":                  {"", false},
		"/":                      {"", false},
		"":                       {"", false},
		"*":                      {"", false},
		"*.html":                 {"", false},
		"/@fs/etc":               {"", false},
		"/.well-known/devproxy":  {"", false},
		strings.Repeat("x", 500): {"", false},
		"walletxyzt":             {"wallet.dat", false}, // a third of it differs
		"wallexxyzt":             {"", false},
	} {
		near, ok := CheckShow(entry)
		if ok != want.ok || near != want.near {
			t.Errorf("%q: %q, %v; want %q, %v", entry, near, ok, want.near, want.ok)
		}
	}
	opts := oneHost()
	opts.Show = []string{"/rails/mailers", "/rails/mailer", "/shop"}
	_, err := New(opts)
	if err == nil || !strings.Contains(err.Error(), `did you mean "/rails/mailers"?`) {
		t.Errorf("a wrong entry: %v", err)
	}
}
