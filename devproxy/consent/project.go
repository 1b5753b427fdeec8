package consent

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/devproxy/devproxy/hcl"
)

// Project is the project of a folder, to which consents belong.
type Project struct {
	// Root is the folder that the project's files are in, links followed: the
	// work tree, or the folder of the Proxyfile. Everything below it is inside
	// the project.
	Root string
	// Key identifies the project: the common directory of a git repository, else
	// Root.
	Key string
}

// maxPointer bounds the files by which git folders point to each other.
const maxPointer = 8 << 10

// Find returns the project of dir. home is the user's home directory, or empty.
//
// The work tree is the nearest folder, dir or above it, with an entry ".git" that
// is the user's or root's: another user could put one into a shared folder.
// The user's home directory and the folders above it do not count: a repository of
// dotfiles does not make one project of all the user's files.
func Find(dir, home string) (Project, error) {
	real, err := filepath.Abs(dir)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return Project{}, err
	}
	if resolved, err := filepath.EvalSymlinks(home); err == nil {
		home = resolved
	}
	for at := real; at != filepath.Dir(at); at = filepath.Dir(at) {
		if home != "" && isBelow(home, at) {
			break
		}
		if info, err := os.Lstat(filepath.Join(at, ".git")); err == nil && hcl.IsOwn(info) {
			return Project{Root: at, Key: repository(at)}, nil
		}
	}
	return Project{Root: real, Key: real}, nil
}

// repository is the common directory of the repository whose work tree is root,
// or root itself where that is not certain.
//
// A checkout's own files are not trusted: a folder may be an archive with any
// ".git" in it, even one that points to a repository with consents. So ".git" counts
// when it is a folder itself; as the file of a
// worktree it counts when the repository that it points to lists that worktree,
// as after git worktree add (gitrepository-layout(5)). Other
// files (submodules, --separate-git-dir) and links are not followed.
func repository(root string) string {
	dot := filepath.Join(root, ".git")
	info, err := os.Lstat(dot)
	switch {
	case err != nil:
		return root
	case info.IsDir():
		return dot
	case !info.Mode().IsRegular():
		return root
	}
	gitDir := follow(dot, "gitdir: ", root)
	if gitDir == "" {
		return root
	}
	common := follow(filepath.Join(gitDir, "commondir"), "", gitDir)
	if common == "" || filepath.Dir(gitDir) != filepath.Join(common, "worktrees") {
		return root
	}
	back, ok := pointer(filepath.Join(gitDir, "gitdir"), "")
	if !ok || filepath.Base(back) != ".git" {
		return root
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(resolve(gitDir, back)))
	if err != nil || folder != root {
		return root
	}
	return common
}

// follow returns the folder that the file points to, links followed and relative to
// dir; empty if that fails.
func follow(file, prefix, dir string) string {
	target, ok := pointer(file, prefix)
	if !ok {
		return ""
	}
	folder, err := filepath.EvalSymlinks(resolve(dir, target))
	if err != nil {
		return ""
	}
	return folder
}

// pointer is the path after prefix in a file of one line.
func pointer(path, prefix string) (target string, ok bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPointer {
		return "", false
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	line, ok := bytes.CutPrefix(bytes.TrimRight(text, "\r\n"), []byte(prefix))
	if !ok || len(line) == 0 || bytes.ContainsAny(line, "\n\x00") {
		return "", false
	}
	return filepath.FromSlash(string(line)), true
}

func resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// isBelow reports whether path is folder or below it.
func isBelow(path, folder string) bool {
	below, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(below)
}
