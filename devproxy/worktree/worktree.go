// Package worktree finds the git repository that a folder belongs to, and the branch
// that a linked worktree has checked out.
//
// It reads git's files (gitrepository-layout(5)) and does not run git, which runs
// programs that the configuration of a repository names. Nothing that a repository
// writes there leads further than to a name, and no file of it can make a reader
// wait: only regular files of at most 8 KiB are read. The variables GIT_DIR and
// GIT_WORK_TREE do not count: the folder alone decides.
package worktree

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/devproxy/devproxy/hcl"
)

// Tree is a linked worktree: one that `git worktree add` made. The main worktree of
// a repository and a submodule are not linked.
type Tree struct {
	// Root is the folder of the worktree, links followed.
	Root string
	// Repository is the folder of the main worktree, or of the bare repository.
	Repository string
	// Branch is the branch that is checked out: "fix/ui". During a rebase or a bisect
	// it is the branch that git returns to. Empty means none, or one that is not known,
	// as in a repository whose references are in a reftable.
	Branch string

	id      string // by which git tells the worktrees of the repository apart
	head    string // the file that names the branch
	content []byte // of head; nil if it could not be read
}

// Language returns what the Proxyfile language needs to know about t. A worktree
// without a branch has the name of its folder.
func (t *Tree) Language() *hcl.Worktree {
	if t == nil {
		return nil
	}
	w := &hcl.Worktree{Name: t.Branch, Key: t.Branch, Repository: t.Repository, Head: t.head, Content: t.content}
	if t.Branch == "" {
		// Two worktrees may have folders of the same name; their ids differ.
		w.Name, w.Key = filepath.Base(t.Root), t.id
	}
	return w
}

// Linked returns the linked worktree that dir is in; nil if it is in none. home is the
// user's home directory, or empty; see Root.
func Linked(dir, home string) *Tree {
	root, found, err := Root(dir, home)
	if err != nil || !found {
		return nil
	}
	gitDir, common := linked(root)
	if gitDir == "" {
		return nil
	}
	t := &Tree{Root: root, Repository: common, id: filepath.Base(gitDir), head: filepath.Join(gitDir, "HEAD")}
	if filepath.Base(common) == ".git" {
		t.Repository = filepath.Dir(common)
	}
	// Without it, git does not accept the folder either.
	if info, err := os.Lstat(t.head); err != nil || !hcl.IsOwn(info) {
		return nil
	}
	t.content, _ = read(t.head)
	if name, ok := targetIn(t.content, "ref: "); ok {
		t.Branch = branch(name)
		return t
	}
	t.Branch = unfinished(gitDir)
	return t
}

// unfinished returns the branch that a rebase or a bisect returns to when it ends. Both
// detach the head meanwhile.
func unfinished(gitDir string) string {
	for _, file := range []string{"rebase-merge/head-name", "rebase-apply/head-name"} {
		if name, ok := pointer(filepath.Join(gitDir, filepath.FromSlash(file)), ""); ok {
			return branch(name)
		}
	}
	name, _ := pointer(filepath.Join(gitDir, "BISECT_START"), "")
	if isCommit(name) {
		return "" // it began without a branch
	}
	return branch("refs/heads/" + name)
}

// isCommit reports whether text is the name of a commit, in SHA-1 or SHA-256.
func isCommit(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && (len(text) == 40 || len(text) == 64)
}

// branch returns the branch of a reference, or nothing for one that is not a branch
// (git-check-ref-format(1)), such as the stub refs/heads/.invalid of a reftable.
func branch(ref string) string {
	name, ok := strings.CutPrefix(filepath.ToSlash(ref), "refs/heads/")
	bad := func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(` ~^:?*[\`, r) }
	badPart := func(part string) bool {
		return part == "" || part[0] == '.' || strings.HasSuffix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if !ok || !utf8.ValidString(name) || strings.ContainsFunc(name, bad) || strings.Contains(name, "..") ||
		slices.ContainsFunc(strings.Split(name, "/"), badPart) {
		return ""
	}
	return name
}
