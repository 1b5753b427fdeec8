package consent

import "github.com/devproxy/devproxy/devproxy/worktree"

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

// Find returns the project of dir: that of its work tree, see worktree.Root and
// worktree.Common. home is the user's home directory, or empty.
func Find(dir, home string) (Project, error) {
	root, found, err := worktree.Root(dir, home)
	if err != nil || !found {
		return Project{Root: root, Key: root}, err
	}
	return Project{Root: root, Key: worktree.Common(root)}, nil
}
