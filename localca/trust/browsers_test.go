package trust

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFirefoxProfiles(t *testing.T) {
	needTool(t, "certutil")
	tests := map[string]struct {
		ini    map[string]string // below the home: profiles.ini by folder; ~ is the home
		config string            // $XDG_CONFIG_HOME below the home
		want   []string          // databases; they are made
		not    []string          // databases that no profiles.ini names
	}{
		"old place": {
			ini:  map[string]string{".mozilla/firefox": "[General]\nStartWithLastProfile=1\n\n[Profile0]\nName=default\nIsRelative=1\nPath=abc.default\nDefault=1\n"},
			want: []string{".mozilla/firefox/abc.default"},
			not:  []string{".mozilla/firefox/forgotten"},
		},
		"two profiles, other sections, CRLF": {
			ini: map[string]string{".mozilla/firefox": "[Install4F96D1932A9F858E]\r\nDefault=one\r\nPath=install\r\n\r\n[Profile1]\r\nPath=one\r\nIsRelative=1\r\n" +
				"[Profile0]\r\nIsRelative=1\r\nPath=two words\r\n[BackgroundTasksProfiles]\r\nPath=task\r\n"},
			want: []string{".mozilla/firefox/one", ".mozilla/firefox/two words"},
			not:  []string{".mozilla/firefox/install", ".mozilla/firefox/task"},
		},
		"a path that is not relative": {
			ini:  map[string]string{".mozilla/firefox": "[Profile0]\nIsRelative=0\nPath=~/elsewhere/profile\n[Profile1]\nPath=near\n"},
			want: []string{"elsewhere/profile", ".mozilla/firefox/near"},
		},
		"XDG":             {ini: map[string]string{".config/mozilla/firefox": "[Profile0]\nPath=x\n"}, want: []string{".config/mozilla/firefox/x"}},
		"XDG_CONFIG_HOME": {config: "conf", ini: map[string]string{"conf/mozilla/firefox": "[Profile0]\nPath=x\n"}, want: []string{"conf/mozilla/firefox/x"}},
		"snap":            {ini: map[string]string{"snap/firefox/common/.mozilla/firefox": "[Profile0]\nPath=x\n"}, want: []string{"snap/firefox/common/.mozilla/firefox/x"}},
		"flatpak, old and XDG": {
			ini: map[string]string{
				".var/app/org.mozilla.firefox/.mozilla/firefox":       "[Profile0]\nPath=x\n",
				".var/app/org.mozilla.firefox/config/mozilla/firefox": "[Profile0]\nPath=y\n",
			},
			want: []string{".var/app/org.mozilla.firefox/.mozilla/firefox/x", ".var/app/org.mozilla.firefox/config/mozilla/firefox/y"},
		},
		"one database named twice": {
			ini: map[string]string{
				".mozilla/firefox":        "[Profile0]\nIsRelative=0\nPath=~/shared\n",
				".config/mozilla/firefox": "[Profile0]\nIsRelative=0\nPath=~/shared\n",
			},
			want: []string{"shared"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if test.config != "" {
				f.env["XDG_CONFIG_HOME"] = f.home(test.config)
			}
			for dir, text := range test.ini {
				f.write(f.home(dir, "profiles.ini"), strings.ReplaceAll(text, "~", f.machine.Home))
			}
			var wanted, all []string
			for _, dir := range test.want {
				wanted = append(wanted, f.database(f.home(dir)))
			}
			for _, dir := range test.not {
				all = append(all, f.database(f.home(dir)))
			}
			all = append(all, wanted...)
			store := f.store("firefox")
			want(t, store.Check(t.Context()), Untrusted)
			got := want(t, store.Install(t.Context()), Trusted)
			if diff := cmp.Diff(wanted, f.holding(all...)); diff != "" {
				t.Errorf("profiles with the root (-want +got):\n%s", diff)
			}
			noun := "1 profile"
			if n := len(wanted); n > 1 {
				noun = fmt.Sprintf("%d profiles", n)
			}
			if got.Detail != noun+"; restart it once" || !got.Changed {
				t.Errorf("detail %q, changed: %v", got.Detail, got.Changed)
			}
			// Where nothing has changed there is nothing to restart for.
			for _, got := range []Result{store.Check(t.Context()), store.Install(t.Context())} {
				if want(t, got, Trusted); got.Detail != noun || got.Changed {
					t.Errorf("again: detail %q, changed: %v", got.Detail, got.Changed)
				}
			}
			want(t, store.Uninstall(t.Context()), Untrusted)
			if left := f.holding(all...); left != nil {
				t.Errorf("still there after untrust: %v", left)
			}
		})
	}
}

func TestFirefoxNotHere(t *testing.T) {
	needTool(t, "certutil")
	f := newFixture(t)
	for _, step := range []string{"no Firefox", "a profile that was never opened"} {
		for _, got := range []Result{f.store("firefox").Check(t.Context()), f.store("firefox").Install(t.Context()), f.store("firefox").Uninstall(t.Context())} {
			want(t, got, Skipped)
			if got.Detail != "no firefox profile here" {
				t.Errorf("%s: detail %q", step, got.Detail)
			}
		}
		f.write(f.home(".mozilla/firefox/profiles.ini"), "[Profile0]\nPath=fresh\n")
		f.write(f.home(".mozilla/firefox/fresh/times.json"), "{}")
	}
}

// TestFirefoxProfileWithoutPath: a section that names no folder is not the folder that
// all profiles are in.
func TestFirefoxProfileWithoutPath(t *testing.T) {
	f := newFixture(t)
	root := f.home(".mozilla", "firefox")
	f.write(filepath.Join(root, "cert9.db"), "")
	f.write(filepath.Join(root, "profiles.ini"), "[General]\nPath=a\n[Profile0]\nName=x\nIsRelative=1\n[Profile1]\nPath=b/c\n[Profile2]\nIsRelative=0\nPath=/d\n[Profile3]\nPath=e\n")
	wanted := []string{filepath.Join(root, "b", "c"), "/d", filepath.Join(root, "e")}
	if diff := cmp.Diff(wanted, profilesOf(root)); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
}

// TestFirefoxOneBadProfile has a broken database, and one whose primary
// password nobody can be asked for: both are named, and the third gets the root.
func TestFirefoxOneBadProfile(t *testing.T) {
	f := newFixture(t)
	root := f.home(".mozilla", "firefox")
	f.write(filepath.Join(root, "profiles.ini"), "[Profile0]\nPath=broken\n[Profile1]\nPath=locked\n[Profile2]\nPath=good\n")
	f.write(filepath.Join(root, "broken", "cert9.db"), "not a database")
	f.write(filepath.Join(root, "password"), "correct horse\n")
	f.write(filepath.Join(root, "locked", "prefs.js"), "")
	locked := filepath.Join(root, "locked")
	certutil(t, "-N", "-d", "sql:"+locked, "-f", filepath.Join(root, "password"))
	before := certutil(t, "-L", "-d", "sql:"+locked)
	good := f.database(filepath.Join(root, "good"))

	got := want(t, f.store("firefox").Install(t.Context()), Failed)
	for _, part := range []string{"~/.mozilla/firefox/broken: certutil: ", "SEC_ERROR_", "~/.mozilla/firefox/locked: it has a primary password", f.ca.RootFile()} {
		if !strings.Contains(got.Detail, part) {
			t.Errorf("detail %q does not say %q", got.Detail, part)
		}
	}
	if strings.Contains(got.Detail, "firefox/good") || strings.Contains(got.Detail, "certutil: certutil") {
		t.Errorf("detail %q", got.Detail)
	}
	if f.holding(good) == nil {
		t.Error("the good profile has no root")
	}
	if diff := cmp.Diff(before, certutil(t, "-L", "-d", "sql:"+locked)); diff != "" {
		t.Errorf("something was left in the locked profile:\n%s", diff)
	}
	want(t, f.store("firefox").Check(t.Context()), Untrusted)

	// Imported by hand, the locked one counts, and untrust takes it out.
	certutil(t, "-A", "-d", "sql:"+locked, "-t", "C,,", "-n", rootOf(f.ca).nick(), "-i", f.ca.RootFile(), "-f", filepath.Join(root, "password"))
	got = want(t, f.store("firefox").Check(t.Context()), Untrusted)
	if strings.Contains(got.Detail, "locked") {
		t.Errorf("detail %q names the profile that trusts the root", got.Detail)
	}
	want(t, f.store("firefox").Uninstall(t.Context()), Failed) // the broken one
	if left := f.holding(good, locked); left != nil {
		t.Errorf("still there after untrust: %v", left)
	}
}
