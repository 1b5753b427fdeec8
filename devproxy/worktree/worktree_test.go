package worktree

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// repository is a git repository with one commit, on the branch main.
type repository struct {
	t    *testing.T
	main string
}

func newRepository(t *testing.T, args ...string) *repository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		skip(t, err)
	}
	r := &repository{t, filepath.Join(realDir(t), "main")}
	r.git(append([]string{"init", "-q", "-b", "main", r.main}, args...)...)
	r.git("-C", r.main, "commit", "-q", "--allow-empty", "-m", "one")
	return r
}

// git runs git; it may fail where that is expected.
func (r *repository) git(args ...string) bool {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = filepath.Dir(r.main)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "GIT_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_EDITOR=true",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=protocol.file.allow", "GIT_CONFIG_VALUE_0=always")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Logf("git %q: %v\n%s", args, err, out)
	}
	return err == nil
}

func (r *repository) must(args ...string) {
	r.t.Helper()
	if !r.git(args...) {
		r.t.Fatal("git failed")
	}
}

// add adds a worktree and returns its folder.
func (r *repository) add(name string, args ...string) string {
	r.t.Helper()
	dir := filepath.Join(filepath.Dir(r.main), name)
	r.must(append([]string{"-C", r.main, "worktree", "add", "-q", dir}, args...)...)
	return dir
}

// name is how the language calls the worktree of dir; empty for none.
func name(dir string) string {
	if w := Linked(dir, "").Language(); w != nil {
		return w.Name
	}
	return ""
}

func expect(t *testing.T, dir, want string) {
	t.Helper()
	if got := name(dir); got != want {
		t.Errorf("%s is %q, want %q", dir, got, want)
	}
}

// TestLinked reads what git itself writes.
func TestLinked(t *testing.T) {
	r := newRepository(t)
	tree := r.add("tree", "-b", "fix/ui")
	expect(t, r.main, "")
	expect(t, tree, "fix/ui")
	below := filepath.Join(tree, "a", "b")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	expect(t, below, "fix/ui")
	if linked := Linked(below, ""); linked.Root != tree || linked.Repository != r.main {
		t.Errorf("%+v", linked)
	}

	r.must("-C", tree, "switch", "-q", "-c", "other")
	expect(t, tree, "other")
	r.must("-C", tree, "switch", "-q", "--detach")
	expect(t, tree, "tree")
	if w := Linked(tree, "").Language(); w.Key != "tree" {
		t.Errorf("the key is %q", w.Key)
	}

	// A second folder of the same name, without a branch, has another key.
	second := filepath.Join(filepath.Dir(r.main), "sub", "tree")
	r.must("-C", r.main, "worktree", "add", "-q", "--detach", second)
	if w := Linked(second, "").Language(); w.Name != "tree" || w.Key == "tree" || w.Key == "" {
		t.Errorf("another folder of the name: %+v", w)
	}

	// git follows a worktree that was moved by hand from its own side only.
	moved := filepath.Join(filepath.Dir(r.main), "moved")
	if err := os.Rename(tree, moved); err != nil {
		t.Fatal(err)
	}
	expect(t, moved, "moved")

	// Variables of git do not count.
	t.Setenv("GIT_DIR", filepath.Join(r.main, ".git"))
	t.Setenv("GIT_WORK_TREE", r.main)
	expect(t, moved, "moved")
	if r.git("-C", r.main, "worktree", "add", "-q", "--relative-paths", "-b", "relative", "../relative") {
		expect(t, filepath.Join(filepath.Dir(r.main), "relative"), "relative")
	}
}

// TestUnfinished: while a rebase or a bisect has detached the head, the branch is still
// the one that it began on.
func TestUnfinished(t *testing.T) {
	r := newRepository(t)
	tree := r.add("tree", "-b", "fix/ui")
	commit := func(dir, text string) {
		t.Helper()
		mustWrite(t, filepath.Join(dir, "file"), text)
		r.must("-C", dir, "add", "file")
		r.must("-C", dir, "commit", "-q", "-m", text)
	}
	commit(r.main, "from main")
	commit(tree, "from the branch")
	for _, backend := range []string{"--merge", "--apply"} {
		if r.git("-C", tree, "rebase", backend, "main") {
			t.Fatal("the rebase has no conflict")
		}
		if linked := Linked(tree, ""); !strings.Contains(string(linked.content), "\n") || strings.HasPrefix(string(linked.content), "ref:") {
			t.Fatalf("the head is not detached: %q", linked.content)
		}
		expect(t, tree, "fix/ui")
		r.must("-C", tree, "rebase", "--abort")
		expect(t, tree, "fix/ui")
	}
	commit(tree, "two")
	commit(tree, "three")
	r.must("-C", tree, "bisect", "start", "HEAD", "HEAD~2")
	if content := Linked(tree, "").content; strings.HasPrefix(string(content), "ref:") {
		t.Fatalf("the head is not detached: %q", content)
	}
	expect(t, tree, "fix/ui")
	r.must("-C", tree, "bisect", "reset")
	r.must("-C", tree, "switch", "-q", "--detach")
	r.must("-C", tree, "bisect", "start", "HEAD", "HEAD~2")
	expect(t, tree, "tree") // it began without a branch
}

// TestOtherTrees: which work trees are linked, in layouts other than the usual.
func TestOtherTrees(t *testing.T) {
	r := newRepository(t)
	base := filepath.Dir(r.main)

	// A submodule, also with a name like the folder of a worktree.
	library := filepath.Join(base, "library")
	r.must("init", "-q", "-b", "main", library)
	r.must("-C", library, "commit", "-q", "--allow-empty", "-m", "one")
	r.must("-C", r.main, "submodule", "add", "-q", "--name", "worktrees/lib", library, "lib")
	expect(t, filepath.Join(r.main, "lib"), "")
	r.must("-C", r.main, "commit", "-q", "-m", "lib")
	tree := r.add("tree", "-b", "with-lib")
	r.must("-C", tree, "submodule", "update", "-q", "--init")
	expect(t, filepath.Join(tree, "lib"), "")
	r.must("-C", filepath.Join(r.main, "lib"), "worktree", "add", "-q", "-b", "of-lib", filepath.Join(base, "lib-tree"))
	expect(t, filepath.Join(base, "lib-tree"), "of-lib")

	// A bare repository: all its worktrees are linked.
	r.must("clone", "-q", "--bare", library, filepath.Join(base, "bare.git"))
	r.must("-C", filepath.Join(base, "bare.git"), "worktree", "add", "-q", filepath.Join(base, "from-bare"), "main")
	expect(t, filepath.Join(base, "from-bare"), "main")
	if linked := Linked(filepath.Join(base, "from-bare"), ""); linked.Repository != filepath.Join(base, "bare.git") {
		t.Errorf("the repository is %s", linked.Repository)
	}
	expect(t, filepath.Join(base, "bare.git"), "")

	r.must("init", "-q", "--separate-git-dir", filepath.Join(base, "elsewhere"), filepath.Join(base, "separate"))
	expect(t, filepath.Join(base, "separate"), "")

	// With a reftable, HEAD is a stub.
	if reftable := filepath.Join(base, "reftable"); r.git("init", "-q", "-b", "main", "--ref-format=reftable", reftable) {
		r.must("-C", reftable, "commit", "-q", "--allow-empty", "-m", "one")
		r.must("-C", reftable, "worktree", "add", "-q", "-b", "fix-ui", filepath.Join(base, "reftable-tree"))
		expect(t, filepath.Join(base, "reftable-tree"), "reftable-tree")
	}
	expect(t, base, "")
}

// TestHead reads any content of HEAD: what is not a branch leaves the folder's name.
func TestHead(t *testing.T) {
	base := realDir(t)
	tree, head := fake(t, base)
	for content, want := range map[string]string{
		"ref: refs/heads/fix/ui\n":                   "fix/ui",
		"ref: refs/heads/fix/ui":                     "fix/ui",
		"ref: refs/heads/fix/ui\r\n":                 "fix/ui",
		"ref: refs/heads/Größe\n":                    "Größe",
		"4b825dc642cb6eb9a060e54bf8d69288fbee4904\n": "tree",
		"":                                                   "tree",
		"ref: refs/heads/\n":                                 "tree",
		"ref: refs/tags/v1\n":                                "tree",
		"ref: refs/heads/.invalid\n":                         "tree",
		"ref: refs/heads/../../etc\n":                        "tree",
		"ref: refs/heads/a/../b\n":                           "tree",
		"ref: refs/heads//etc\n":                             "tree",
		"ref: refs/heads/a\x1b[31m\n":                        "tree",
		"ref: refs/heads/a\u009b31m\n":                       "tree",
		"ref: refs/heads/a b\n":                              "tree",
		"ref: refs/heads/a.lock\n":                           "tree",
		"ref: refs/heads/a\xff\n":                            "tree",
		"ref: refs/heads/a\nb\n":                             "tree",
		"ref: refs/heads/a\x00b\n":                           "tree",
		"ref: /etc/passwd\n":                                 "tree",
		"ref:refs/heads/a\n":                                 "tree", // git writes the space
		"ref: refs/heads/" + strings.Repeat("a", maxPointer): "tree",
	} {
		mustWrite(t, head, content)
		if got := name(tree); got != want {
			t.Errorf("%.40q: %q, want %q", content, got, want)
		}
	}
	if err := os.Remove(head); err != nil {
		t.Fatal(err)
	}
	expect(t, tree, "") // git does not know it either
	if err := os.Mkdir(head, 0o755); err != nil {
		t.Fatal(err)
	}
	expect(t, tree, "tree")
}

// fake makes a linked worktree without git.
func fake(t *testing.T, base string) (tree, head string) {
	t.Helper()
	tree, admin := filepath.Join(base, "tree"), filepath.Join(base, "main", ".git", "worktrees", "tree")
	mustWrite(t, filepath.Join(tree, ".git"), "gitdir: "+admin+"\n")
	mustWrite(t, filepath.Join(admin, "commondir"), "../..\n")
	mustWrite(t, filepath.Join(admin, "HEAD"), "ref: refs/heads/fix-ui\n")
	expect(t, tree, "fix-ui")
	return tree, filepath.Join(admin, "HEAD")
}

// TestLinkedLies: what a folder claims leads to no more than a name.
func TestLinkedLies(t *testing.T) {
	for title, lie := range map[string]func(t *testing.T, tree, admin string){
		"no commondir":         func(t *testing.T, _, admin string) { os.Remove(filepath.Join(admin, "commondir")) },
		"another commondir":    func(t *testing.T, tree, admin string) { mustWrite(t, filepath.Join(admin, "commondir"), tree) },
		"a commondir of lines": func(t *testing.T, _, admin string) { mustWrite(t, filepath.Join(admin, "commondir"), "../..\nx") },
		"a missing folder":     func(t *testing.T, tree, _ string) { mustWrite(t, filepath.Join(tree, ".git"), "gitdir: /none") },
		"another folder":       func(t *testing.T, tree, _ string) { mustWrite(t, filepath.Join(tree, ".git"), "gitdir: /etc") },
		"the root":             func(t *testing.T, tree, _ string) { mustWrite(t, filepath.Join(tree, ".git"), "gitdir: /") },
		"itself":               func(t *testing.T, tree, _ string) { mustWrite(t, filepath.Join(tree, ".git"), "gitdir: .git") },
		"nothing":              func(t *testing.T, tree, _ string) { mustWrite(t, filepath.Join(tree, ".git"), "") },
		"an endless file": func(t *testing.T, tree, _ string) {
			mustWrite(t, filepath.Join(tree, ".git"), "gitdir: "+strings.Repeat("x", 1<<20))
		},
		"a link": func(t *testing.T, tree, admin string) {
			dot := filepath.Join(tree, ".git")
			if err := os.Rename(dot, dot+"2"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(dot+"2", dot); err != nil {
				skip(t, err)
			}
		},
	} {
		t.Run(title, func(t *testing.T) {
			tree, head := fake(t, realDir(t))
			lie(t, tree, filepath.Dir(head))
			expect(t, tree, "")
		})
	}
	var none *hcl.Worktree
	if got := Linked(filepath.Join(realDir(t), "none"), "").Language(); got != none {
		t.Errorf("a folder that is not there: %+v", got)
	}
}
