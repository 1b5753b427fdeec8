// Package programs finds the programs that devproxy runs by their names, and says with
// which of them a command becomes root's.
//
// A cloned repository must not choose what runs: a relative entry of PATH, such as "." or
// "node_modules/.bin", is a folder of whatever project a shell is in, and an absolute one
// can be in it too. Programs there are not found. The commands of services are not looked
// for here: they are the project's business, and the user has allowed them.
package programs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// ErrInside is the error for a program that is in a project's folder and nowhere else.
var ErrInside = errors.New("it is in the project's folder, and nothing there is run")

// Path is where programs are looked for.
type Path struct {
	folders  []string
	projects []string // without links
}

// NewPath returns the folders of value, which is that of PATH. Nothing in the folders of
// projects is found; these are without links.
func NewPath(value string, projects ...string) Path {
	return Path{filepath.SplitList(value), projects}
}

// Here is the PATH of this process.
func Here(projects ...string) Path { return NewPath(os.Getenv("PATH"), projects...) }

// Projects are the folders in which nothing is found.
func (p Path) Projects() []string { return p.projects }

// Find returns the path of the first of the programs that is installed. A name can be an
// absolute path; any other path is not found. The error is [exec.ErrNotFound], or
// ErrInside.
func (p Path) Find(names ...string) (path string, err error) {
	err = exec.ErrNotFound
	for _, name := range names {
		for _, candidate := range p.candidates(name) {
			found, lookErr := exec.LookPath(candidate)
			switch {
			case lookErr != nil:
			case p.inside(found):
				err = ErrInside
			default:
				return found, nil
			}
		}
	}
	return "", err
}

// candidates are the paths that a name can mean.
func (p Path) candidates(name string) []string {
	switch {
	case filepath.IsAbs(name):
		return []string{name}
	case name == "" || filepath.Base(name) != name:
		return nil
	}
	var all []string
	for _, folder := range p.folders {
		if filepath.IsAbs(folder) {
			all = append(all, filepath.Join(folder, name))
		}
	}
	return all
}

// String is the value of PATH for programs that run others by their names.
func (p Path) String() string {
	var kept []string
	for _, folder := range p.folders {
		if filepath.IsAbs(folder) && !p.inside(folder) {
			kept = append(kept, folder)
		}
	}
	return strings.Join(kept, string(filepath.ListSeparator))
}

// Environment returns env, as [os.Environ] does, with p as PATH.
func (p Path) Environment(env []string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == "PATH" || runtime.GOOS == "windows" && strings.EqualFold(name, "PATH")
	})
	return append(env, "PATH="+p.String())
}

// inside reports whether path, links followed, is in a project. One that cannot be
// followed is taken to be, if there is a project.
func (p Path) inside(path string) bool {
	if len(p.projects) == 0 {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(p.projects, func(folder string) bool {
		below, err := filepath.Rel(folder, real)
		return err == nil && filepath.IsLocal(below)
	})
}
