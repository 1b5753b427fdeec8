package consent

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// Project is a folder's project as consents know it.
type Project struct {
	// Root is the folder that the project's files are in, links followed: the
	// work tree, or the folder of the Proxyfile. What lies below it is not
	// outside.
	Root string
	// Key tells projects apart: the common directory of a git repository, else
	// Root.
	Key string
}

// maxPointer bounds the files by which git folders point to each other.
const maxPointer = 8 << 10

// Find is the project of dir. home is the user's home directory, or empty.
//
// The work tree is the nearest folder, dir or above it, with an entry ".git" that
// is the user's or root's: another user could put one into a shared folder.
// The user's home directory and what is above it are none: whoever keeps
// dotfiles in a repository has not made one project of all that is theirs.
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
		if info, err := os.Lstat(filepath.Join(at, ".git")); err == nil && isOwn(info) {
			return Project{Root: at, Key: repository(at)}, nil
		}
	}
	return Project{Root: real, Key: real}, nil
}

// repository is the common directory of the repository whose work tree is root,
// or root itself where that is not certain.
//
// A checkout's own files are not believed: a folder may be an archive with a
// ".git" of any kind in it, that points to the repository of somebody else's
// consents. So ".git" counts when it is a folder itself; as the file of a
// worktree it counts when the repository that it points to has that worktree
// on its list, as git worktree add makes it (gitrepository-layout(5)). Other
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
	gitDir, ok := pointer(dot, "gitdir: ")
	if !ok {
		return root
	}
	gitDir, err = filepath.EvalSymlinks(resolve(root, gitDir))
	if err != nil {
		return root
	}
	common, ok := pointer(filepath.Join(gitDir, "commondir"), "")
	if !ok {
		return root
	}
	common, err = filepath.EvalSymlinks(resolve(gitDir, common))
	if err != nil || filepath.Dir(gitDir) != filepath.Join(common, "worktrees") {
		return root
	}
	back, ok := pointer(filepath.Join(gitDir, "gitdir"), "")
	if !ok {
		return root
	}
	back = resolve(gitDir, back)
	folder, err := filepath.EvalSymlinks(filepath.Dir(back))
	if err != nil || filepath.Base(back) != ".git" || folder != root {
		return root
	}
	return common
}

// pointer is the path that a file of one line holds after prefix.
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
	return err == nil && below != ".." && !strings.HasPrefix(below, ".."+string(filepath.Separator))
}
