package worktree

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/devproxy/devproxy/hcl"
)

// maxPointer bounds the files by which git folders point to each other.
const maxPointer = 8 << 10

// Root returns the work tree that dir is in, links followed: the nearest folder, dir
// or above it, with an entry ".git" that is the user's or root's; another user could
// put one into a shared folder. found is false if there is none, and root is dir then.
//
// home is the user's home directory, or empty. It and the folders above it do not
// count: a repository of dotfiles does not make one project of all the user's files.
func Root(dir, home string) (root string, found bool, err error) {
	real, err := filepath.Abs(dir)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return "", false, err
	}
	if resolved, err := filepath.EvalSymlinks(home); err == nil {
		home = resolved
	}
	for at := real; at != filepath.Dir(at); at = filepath.Dir(at) {
		if home != "" && Contains(at, home) {
			break
		}
		if info, err := os.Lstat(filepath.Join(at, ".git")); err == nil && hcl.IsOwn(info) {
			return at, true, nil
		}
	}
	return real, false, nil
}

// Common returns the common directory of the repository whose work tree is root, or
// root itself where that is not certain.
//
// A checkout's own files are not trusted: a folder may be an archive with any ".git" in
// it, even one that points to another repository. So ".git" counts when it is a folder
// itself. As the file of a worktree it counts when the repository that it points to
// lists that worktree, as after git worktree add. Other files (submodules,
// --separate-git-dir) and links are not followed.
func Common(root string) string {
	dot := filepath.Join(root, ".git")
	if info, err := os.Lstat(dot); err == nil && info.IsDir() {
		return dot
	}
	gitDir, common := linked(root)
	if gitDir == "" {
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

// linked returns git's folder of the linked worktree root, and the common directory that
// it is in; empty for any other work tree. It follows what the work tree says of itself.
func linked(root string) (gitDir, common string) {
	gitDir = follow(filepath.Join(root, ".git"), "gitdir: ", root)
	if gitDir == "" {
		return "", ""
	}
	// A submodule, whose name can be worktrees/NAME, has no such file.
	common = follow(filepath.Join(gitDir, "commondir"), "", gitDir)
	if common == "" || filepath.Dir(gitDir) != filepath.Join(common, "worktrees") {
		return "", ""
	}
	return gitDir, common
}

// follow returns the folder that the file points to, links followed and relative to
// dir; empty if that fails. A folder on another machine is not followed: Windows logs
// in there for any operation on it.
func follow(file, prefix, dir string) string {
	target, ok := pointer(file, prefix)
	if !ok {
		return ""
	}
	target = resolve(dir, target)
	if volume := filepath.VolumeName(target); strings.HasPrefix(volume, `\\`) && volume != filepath.VolumeName(dir) {
		return ""
	}
	folder, err := filepath.EvalSymlinks(target)
	if err != nil {
		return ""
	}
	return folder
}

// pointer returns the text after prefix in a file of one line.
func pointer(path, prefix string) (target string, ok bool) {
	text, ok := read(path)
	if !ok {
		return "", false
	}
	return targetIn(text, prefix)
}

// targetIn returns the text after prefix in a text of one line.
func targetIn(text []byte, prefix string) (target string, ok bool) {
	line, ok := bytes.CutPrefix(bytes.TrimRight(text, "\r\n"), []byte(prefix))
	if !ok || len(line) == 0 || bytes.ContainsAny(line, "\n\x00") {
		return "", false
	}
	return filepath.FromSlash(string(line)), true
}

// read returns the content of a small regular file. A link does not count as one.
func read(path string) (text []byte, ok bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPointer {
		return nil, false
	}
	// O_NONBLOCK (ignored on Windows): a pipe that has taken the file's place meanwhile
	// must not block until something is written to it.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	text, err = io.ReadAll(io.LimitReader(file, maxPointer+1))
	return text, err == nil && len(text) <= maxPointer
}

func resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// Contains reports whether path is folder or below it. It does not follow links.
func Contains(folder, path string) bool {
	below, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(below)
}
