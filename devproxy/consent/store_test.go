package consent

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/localca"
)

func redirect(env ...string) *plan.Effect {
	return &plan.Effect{Kind: plan.KindRedirect, Target: "https://a.example", Env: env}
}

func mustAllow(t *testing.T, s *Store, p Project, effects ...*plan.Effect) {
	t.Helper()
	if err := s.Allow(p, effects); err != nil {
		t.Fatal(err)
	}
}

func allows(t *testing.T, s *Store, p Project, e *plan.Effect) bool {
	t.Helper()
	known, err := s.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	return known.Allows(p, e)
}

func TestStore(t *testing.T) {
	s := NewStore(filepath.Join(t.TempDir(), "home"), "")
	one, two := Project{"/one", "/one/.git"}, Project{"/two", "/two"}
	worktree := Project{"/tree", "/one/.git"}
	if allows(t, s, one, redirect("A")) {
		t.Error("an empty store allows")
	}
	mustAllow(t, s, one, redirect("A", "B"))
	for name, tt := range map[string]struct {
		project Project
		effect  *plan.Effect
		want    bool
	}{
		"the same":         {one, redirect("A", "B"), true},
		"less":             {one, redirect("B"), true},
		"a worktree":       {worktree, redirect("A", "B"), true},
		"more":             {one, redirect("A", "B", "C"), false},
		"another project":  {two, redirect("A", "B"), false},
		"another kind":     {one, &plan.Effect{Kind: plan.KindUpstream, Target: "https://a.example"}, false},
		"another target":   {one, &plan.Effect{Kind: plan.KindRedirect, Target: "https://b.example"}, false},
		"made of values":   {one, &plan.Effect{Kind: plan.KindRedirect, Target: "https://a.example", Resolved: "x"}, false},
		"a relay so named": {one, &plan.Effect{Kind: plan.KindRelay, Target: "https://a.example"}, false},
	} {
		if got := allows(t, s, tt.project, tt.effect); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}

	relay := &plan.Effect{Kind: plan.KindRelay, Target: "t.example.com"}
	mustAllow(t, s, one, relay)
	if !allows(t, s, two, relay) {
		t.Error("a relay is not allowed for all projects of the user")
	}
	if n, err := s.Deny(two, nil); n != 0 || err != nil || !allows(t, s, one, redirect("A")) || !allows(t, s, two, relay) {
		t.Errorf("denying another project took %d back, %v", n, err)
	}
	if n, err := s.Deny(worktree, []*plan.Effect{relay, redirect("A")}); n != 2 || err != nil {
		t.Errorf("took back %d, %v", n, err)
	}
	if allows(t, s, one, redirect("A")) || allows(t, s, two, relay) {
		t.Error("what was denied is allowed")
	}
}

// TestStoreResolved: a target made of values is remembered without them, and is
// another once they are others.
func TestStoreResolved(t *testing.T) {
	home := t.TempDir()
	s, p := NewStore(home, ""), Project{"/one", "/one"}
	host := func(resolved string) *plan.Effect {
		return &plan.Effect{Kind: plan.KindUpstream, Target: "https://${X}.example", Env: []string{"X"}, Resolved: resolved}
	}
	mustAllow(t, s, p, host("https://s3cr3t.example"))
	same := host("https://s3cr3t.example")
	same.Target = "${format(https://%s.example, ${X})}"
	if !allows(t, s, p, same) {
		t.Error("another way to write it is another effect")
	}
	if !allows(t, s, p, host("https://s3cr3t.example")) || allows(t, s, p, host("https://other.example")) || allows(t, s, p, host("")) {
		t.Error("a consent is for another target")
	}
	text, err := os.ReadFile(s.Path())
	if err != nil || strings.Contains(string(text), "s3cr3t") {
		t.Errorf("%s, %v", text, err)
	}
	// The digest of one store says nothing in another.
	other := NewStore(t.TempDir(), "")
	mustAllow(t, other, p, host("https://s3cr3t.example"))
	second, err := os.ReadFile(other.Path())
	if err != nil {
		t.Fatal(err)
	}
	var a, b record
	if err := errors.Join(json.Unmarshal(text, &a), json.Unmarshal(second, &b)); err != nil {
		t.Fatal(err)
	}
	if a.Projects["/one"][0].Digest == b.Projects["/one"][0].Digest || a.Projects["/one"][0].Digest == "" {
		t.Error("two stores have one digest")
	}
}

// TestStoreKeepsOneOfEach: a covered effect is not stored twice.
func TestStoreKeepsOneOfEach(t *testing.T) {
	s, p := NewStore(t.TempDir(), ""), Project{"/one", "/one"}
	mustAllow(t, s, p, redirect("A"), redirect("A"))
	mustAllow(t, s, p, redirect("A", "B"), redirect("B"))
	if n, err := s.Deny(p, nil); n != 1 || err != nil {
		t.Errorf("kept %d, %v", n, err)
	}
}

func TestStoreTogether(t *testing.T) {
	home, p := t.TempDir(), Project{"/one", "/one"}
	var group sync.WaitGroup
	names := []string{"A", "B", "C", "D", "E", "F", "G", "H"}
	for _, name := range names {
		group.Go(func() {
			if err := NewStore(home, "").Allow(p, []*plan.Effect{redirect(name)}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, name := range names {
		if !allows(t, NewStore(home, ""), p, redirect(name)) {
			t.Errorf("%s was lost", name)
		}
	}
}

// TestStoreRefused: a store that may not be devproxy's own allows nothing, and
// says what helps.
func TestStoreRefused(t *testing.T) {
	p := Project{"/one", "/one"}
	for name, spoil := range map[string]func(t *testing.T, path string){
		"empty":        func(t *testing.T, path string) { os.WriteFile(path, nil, 0o600) },
		"no JSON":      func(t *testing.T, path string) { os.WriteFile(path, []byte("{"), 0o600) },
		"no secret":    func(t *testing.T, path string) { os.WriteFile(path, []byte(`{"projects":{}}`), 0o600) },
		"short secret": func(t *testing.T, path string) { os.WriteFile(path, []byte(`{"secret":"00"}`), 0o600) },
		"a folder":     func(t *testing.T, path string) { os.Remove(path); os.Mkdir(path, 0o700) },
		"too large": func(t *testing.T, path string) {
			if err := os.Truncate(path, maxFile+1); err != nil {
				t.Fatal(err)
			}
		},
		"a link": func(t *testing.T, path string) {
			if err := errors.Join(os.Rename(path, path+"2"), os.Symlink(path+"2", path)); err != nil {
				t.Skip(err)
			}
		},
		"others write": func(t *testing.T, path string) {
			if runtime.GOOS == "windows" {
				t.Skip("files have no modes here")
			}
			os.Chmod(path, 0o606)
		},
		"the group writes": func(t *testing.T, path string) {
			if runtime.GOOS == "windows" {
				t.Skip("files have no modes here")
			}
			os.Chmod(path, 0o660)
		},
		"another user's": func(t *testing.T, path string) {
			if os.Geteuid() != 0 || runtime.GOOS == "windows" {
				t.Skip("only root can give files away")
			}
			os.Chown(path, 65534, 65534)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewStore(t.TempDir(), "")
			mustAllow(t, s, p, redirect("A"))
			info, err := os.Stat(s.Path())
			if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Fatalf("%v, %v", info.Mode(), err)
			}
			spoil(t, s.Path())
			known, err := s.Read(p)
			var e *Error
			if known != nil || !errors.As(err, &e) || e.Fix == "" || !strings.Contains(e.Error(), s.Path()) {
				t.Errorf("read %v, %v", known, err)
			}
			if err := s.Allow(p, []*plan.Effect{redirect("B")}); err == nil {
				t.Error("it was written over")
			}
		})
	}
}

// TestStoreFolder: a state folder that can't be used is reported with its own fix.
func TestStoreFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := NewStore(filepath.Join(file, "state"), "")
	err := s.Allow(Project{"/one", "/one"}, []*plan.Effect{redirect("A")})
	var e *Error
	if !errors.As(err, &e) || e.Fix != localca.FixFor(filepath.Join(file, "state"), err) || strings.Contains(e.Fix, "owner") {
		t.Errorf("%v, fix %q", err, e.Fix)
	}
}

// TestStoreInsideTheProject: files of the project cannot give consent, unless the
// project is around the user's whole home.
func TestStoreInsideTheProject(t *testing.T) {
	root := realDir(t)
	for _, tt := range []struct {
		home, user string
		want       bool
	}{
		{".devproxy", "", false},
		{".devproxy", "elsewhere/../../other", false},
		{"not/there/yet", "", false},
		{"", "", false},
		{"user/.devproxy", "user", true},
		{".devproxy", ".", true},
		{"../outside", "", true},
	} {
		user := ""
		if tt.user != "" {
			user = filepath.Join(root, tt.user)
		}
		home := filepath.Join(root, tt.home)
		if !strings.HasPrefix(tt.home, "not") {
			if err := os.MkdirAll(home, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		_, err := NewStore(home, user).Read(Project{root, root})
		if (err == nil) != tt.want {
			t.Errorf("a store in %q of the project, with the user's home in %q: %v", tt.home, tt.user, err)
		}
		if err == nil {
			continue
		}
		if err := NewStore(home, user).Allow(Project{root, root}, []*plan.Effect{redirect()}); err == nil {
			t.Error("it was written")
		}
	}
	link := filepath.Join(realDir(t), "link")
	if err := os.Symlink(filepath.Join(root, ".devproxy"), link); err != nil {
		t.Skip(err)
	}
	if _, err := NewStore(link, "").Read(Project{root, root}); err == nil {
		t.Error("a link hides that the store is inside")
	}
}
