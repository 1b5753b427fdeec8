package consent

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// realDir is a temporary folder by its real path.
func realDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustFind(t *testing.T, dir, home string) Project {
	t.Helper()
	p, err := Find(dir, home)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// repo makes what git init and git worktree add leave behind.
func repo(t *testing.T, base string) (main, tree string) {
	t.Helper()
	main, tree = filepath.Join(base, "main"), filepath.Join(base, "tree")
	mustWrite(t, filepath.Join(main, ".git", "HEAD"), "ref: refs/heads/main\n")
	admin := filepath.Join(main, ".git", "worktrees", "tree")
	mustWrite(t, filepath.Join(admin, "commondir"), "../..\n")
	mustWrite(t, filepath.Join(admin, "gitdir"), filepath.Join(tree, ".git")+"\n")
	mustWrite(t, filepath.Join(tree, ".git"), "gitdir: "+admin+"\n")
	return main, tree
}

func TestFind(t *testing.T) {
	base := realDir(t)
	main, tree := repo(t, base)
	below := filepath.Join(main, "a", "b")
	plain := filepath.Join(base, "plain", "sub")
	for _, dir := range []string{below, filepath.Join(tree, "a"), plain} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(below, link); err != nil {
		t.Skip("this system has no links: ", err)
	}
	common := filepath.Join(main, ".git")
	for dir, want := range map[string]Project{
		main:                     {main, common},
		below:                    {main, common},
		link:                     {main, common},
		tree:                     {tree, common},
		filepath.Join(tree, "a"): {tree, common},
		plain:                    {plain, plain},
	} {
		if got := mustFind(t, dir, ""); got != want {
			t.Errorf("%s is %+v, want %+v", dir, got, want)
		}
	}
	if _, err := Find(filepath.Join(base, "none"), ""); err == nil {
		t.Error("a folder that is not there is a project")
	}
}

// TestFindAsGitMakesIt holds repo to what git does, relative pointers included.
func TestFindAsGitMakesIt(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("needs git")
	}
	base := realDir(t)
	main := filepath.Join(base, "main")
	run := func(args ...string) error {
		cmd := exec.Command(git, args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("git %q: %v\n%s", args, err, out)
		}
		return err
	}
	for _, args := range [][]string{
		{"init", "-q", main}, {"-C", main, "commit", "-q", "--allow-empty", "-m", "one"},
		{"-C", main, "worktree", "add", "-q", "../tree"},
	} {
		if run(args...) != nil {
			t.Fatal("git failed")
		}
	}
	want := Project{filepath.Join(base, "tree"), filepath.Join(main, ".git")}
	if got := mustFind(t, want.Root, ""); got != want {
		t.Errorf("a worktree is %+v, want %+v", got, want)
	}
	if run("-C", main, "worktree", "add", "-q", "--relative-paths", "../relative") == nil {
		want.Root = filepath.Join(base, "relative")
		if got := mustFind(t, want.Root, ""); got != want {
			t.Errorf("a worktree by relative paths is %+v, want %+v", got, want)
		}
	}
}

// TestFindLies: a folder does not get the consents of a repository by its own
// claims. Each lie is one part of a real worktree that is not right.
func TestFindLies(t *testing.T) {
	for name, lie := range map[string]func(t *testing.T, main, tree, evil string){
		"a link to the repository": func(t *testing.T, main, _, evil string) {
			if err := os.Symlink(filepath.Join(main, ".git"), filepath.Join(evil, ".git")); err != nil {
				t.Skip(err)
			}
		},
		"a link to a worktree's file": func(t *testing.T, _, tree, evil string) {
			if err := os.Symlink(filepath.Join(tree, ".git"), filepath.Join(evil, ".git")); err != nil {
				t.Skip(err)
			}
		},
		"a file that points to the repository": func(t *testing.T, main, _, evil string) {
			mustWrite(t, filepath.Join(evil, ".git"), "gitdir: "+filepath.Join(main, ".git")+"\n")
		},
		"the file of another worktree": func(t *testing.T, main, _, evil string) {
			mustWrite(t, filepath.Join(evil, ".git"), "gitdir: "+filepath.Join(main, ".git", "worktrees", "tree")+"\n")
		},
		"a worktree's folder of its own": func(t *testing.T, main, _, evil string) {
			mustWrite(t, filepath.Join(evil, ".git"), "gitdir: fake/worktrees/evil\n")
			mustWrite(t, filepath.Join(evil, "fake", "worktrees", "evil", "gitdir"), filepath.Join(evil, ".git"))
			mustWrite(t, filepath.Join(evil, "fake", "worktrees", "evil", "commondir"), filepath.Join(main, ".git"))
		},
		"a worktree's folder behind a link": func(t *testing.T, main, _, evil string) {
			mustWrite(t, filepath.Join(evil, ".git"), "gitdir: git/worktrees/tree\n")
			if err := os.Symlink(filepath.Join(main, ".git"), filepath.Join(evil, "git")); err != nil {
				t.Skip(err)
			}
		},
		"a repository with a common directory": func(t *testing.T, main, _, evil string) {
			mustWrite(t, filepath.Join(evil, ".git", "HEAD"), "ref: refs/heads/main\n")
			mustWrite(t, filepath.Join(evil, ".git", "commondir"), filepath.Join(main, ".git"))
		},
		"a worktree that was moved away": func(t *testing.T, main, tree, evil string) {
			mustWrite(t, filepath.Join(main, ".git", "worktrees", "tree", "gitdir"), filepath.Join(tree, "elsewhere"))
			mustWrite(t, filepath.Join(evil, ".git"), "gitdir: "+filepath.Join(main, ".git", "worktrees", "tree"))
		},
		"two lines": func(t *testing.T, main, _, evil string) {
			mustWrite(t, filepath.Join(evil, ".git"), "gitdir: "+filepath.Join(main, ".git", "worktrees", "tree")+"\nx\n")
		},
		"nothing": func(t *testing.T, _, _, evil string) { mustWrite(t, filepath.Join(evil, ".git"), "") },
		"an endless file": func(t *testing.T, main, _, evil string) {
			mustWrite(t, filepath.Join(evil, ".git"), "gitdir: "+main+string(make([]byte, (8<<10))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			base := realDir(t)
			main, tree := repo(t, base)
			evil := filepath.Join(base, "evil")
			if err := os.MkdirAll(evil, 0o755); err != nil {
				t.Fatal(err)
			}
			lie(t, main, tree, evil)
			got := mustFind(t, evil, "")
			if got.Root != evil || got.Key != evil && got.Key != filepath.Join(evil, ".git") {
				t.Errorf("it is %+v", got)
			}
		})
	}
}

// TestFindWorktreeParts: a worktree that is right but for one thing is its own
// folder.
func TestFindWorktreeParts(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, admin, tree string){
		"no commondir":        func(t *testing.T, admin, _ string) { os.Remove(filepath.Join(admin, "commondir")) },
		"another commondir":   func(t *testing.T, admin, tree string) { mustWrite(t, filepath.Join(admin, "commondir"), tree) },
		"a missing commondir": func(t *testing.T, admin, _ string) { mustWrite(t, filepath.Join(admin, "commondir"), "none") },
		"no gitdir":           func(t *testing.T, admin, _ string) { os.Remove(filepath.Join(admin, "gitdir")) },
		"another gitdir": func(t *testing.T, admin, _ string) {
			mustWrite(t, filepath.Join(admin, "gitdir"), filepath.Join(admin, ".git"))
		},
		"another file's name": func(t *testing.T, admin, tree string) {
			mustWrite(t, filepath.Join(admin, "gitdir"), filepath.Join(tree, "git"))
		},
		"a folder that's gone": func(t *testing.T, admin, _ string) { mustWrite(t, filepath.Join(admin, "gitdir"), "/none/.git") },
		"another word":         func(t *testing.T, admin, tree string) { mustWrite(t, filepath.Join(tree, ".git"), "gitfile: "+admin) },
		"no repository":        func(t *testing.T, _, tree string) { mustWrite(t, filepath.Join(tree, ".git"), "gitdir: none") },
	} {
		base := realDir(t)
		main, tree := repo(t, base)
		spoil(t, filepath.Join(main, ".git", "worktrees", "tree"), tree)
		if got := mustFind(t, tree, ""); got != (Project{tree, tree}) {
			t.Errorf("%s: it is %+v", name, got)
		}
	}
}

// TestFindForeign: another user's ".git" in a folder above does not make a
// project of the folders below it.
func TestFindForeign(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	t.Setenv("SUDO_UID", "")
	base := realDir(t)
	dot, project := filepath.Join(base, ".git"), filepath.Join(base, "project")
	mustWrite(t, filepath.Join(dot, "HEAD"), "x")
	mustWrite(t, filepath.Join(project, "x"), "")
	if got := mustFind(t, project, ""); got.Root != base {
		t.Errorf("before it is given away: %+v", got)
	}
	if err := os.Lchown(dot, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if got := mustFind(t, project, ""); got != (Project{project, project}) {
		t.Errorf("it is %+v", got)
	}
	t.Setenv("SUDO_UID", "65534")
	if got := mustFind(t, project, ""); got.Root != base {
		t.Errorf("for the user who called sudo: %+v", got)
	}
}

// TestFindHome: a repository of dotfiles does not make one project of all that
// is below it.
func TestFindHome(t *testing.T) {
	home := realDir(t)
	mustWrite(t, filepath.Join(home, ".git", "HEAD"), "x")
	mustWrite(t, filepath.Join(filepath.Dir(home), ".git", "HEAD"), "x")
	t.Cleanup(func() { os.RemoveAll(filepath.Join(filepath.Dir(home), ".git")) })
	project := filepath.Join(home, "src", "project")
	if err := os.MkdirAll(project, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := mustFind(t, project, home); got != (Project{project, project}) {
		t.Errorf("a folder below home is %+v", got)
	}
	link := filepath.Join(realDir(t), "link")
	if err := os.Symlink(home, link); err == nil {
		if got := mustFind(t, project, link); got.Root != project {
			t.Errorf("below a home behind a link it is %+v", got)
		}
	}
	if got := mustFind(t, home, home); got != (Project{home, home}) {
		t.Errorf("home is %+v", got)
	}
	if got := mustFind(t, project, ""); got.Root != home {
		t.Errorf("without a home it is %+v", got)
	}
}
