package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/worktree"
	"github.com/devproxy/devproxy/hcl"
)

// The labels that count.
const (
	labelProject = "devproxy.project"
	labelHost    = "devproxy.host"
	labelPath    = "devproxy.path"
	labelPort    = "devproxy.port"

	// Compose sets these; podman-compose too, next to its own.
	composeFolder  = "com.docker.compose.project.working_dir"
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeNumber  = "com.docker.compose.container-number"
)

// maxLabel bounds a label that counts, in bytes.
const maxLabel = 1 << 10

// labels are the labels of a container, with those of its image.
type labels struct {
	all, image map[string]string
}

// own returns a label that the container has and not its image.
func (l labels) own(name string) string {
	value := l.all[name]
	if fromImage, found := l.image[name]; found && fromImage == value {
		return ""
	}
	return value
}

// project is the folder whose containers count.
type project struct {
	folders []string // one folder, as it was given and with links followed
	home    string
}

func newProject(opts *Options) *project {
	p := &project{folders: []string{filepath.Clean(opts.Folder)}, home: opts.Home}
	if real, err := filepath.EvalSymlinks(opts.Folder); err == nil && real != p.folders[0] {
		p.folders = append(p.folders, real)
	}
	return p
}

// mayOwn reports whether a container with these labels can be the project's, or is worth
// a [Problem]. It saves the questions about all other containers.
func (p *project) mayOwn(all map[string]string) bool {
	if all[composeFolder] != "" && p.contains(all[composeFolder]) {
		return true
	}
	return all[labelProject] != "" || all[labelHost] != "" || all[labelPath] != ""
}

// owns reports whether a container belongs to the project; folder is what its labels
// say. An error is a mistake in the labels that the user can correct.
func (p *project) owns(l labels) (folder string, mine bool, err error) {
	for _, name := range []string{labelProject, labelHost, labelPath, labelPort, composeFolder, composeProject, composeService, composeNumber} {
		if !isText(l.all[name], maxLabel) {
			return "", false, fmt.Errorf("its label %s is longer than %d bytes or has control characters", name, maxLabel)
		}
	}
	if folder = l.own(composeFolder); folder != "" {
		if !p.contains(folder) || !p.isNearest(folder) {
			return "", false, nil
		}
		if other := p.otherRepository(folder); other != "" {
			return "", false, failure.Errorf("include its compose file in one of this repository", "its compose file is in another repository: %s", other)
		}
		return folder, true, nil
	}
	switch folder = l.own(labelProject); {
	case l.all[composeFolder] != "":
		return "", false, failure.Errorf("remove that label from the image",
			"its image has the label %s, so nothing says where the container belongs", composeFolder)
	case folder != "" && !filepath.IsAbs(folder):
		return "", false, failure.Errorf("write the project's folder as an absolute path, such as devproxy.project="+p.folders[0],
			"its label devproxy.project is %q, which is not an absolute path", folder)
	case folder != "":
		return folder, p.isFolder(folder), nil
	case l.all[labelProject] != "":
		return "", false, errors.New("the labels that say where it belongs come from its image, so they do not count")
	case l.own(labelHost) != "" || l.own(labelPath) != "":
		return "", false, failure.Errorf("docker run --label devproxy.project="+p.folders[0]+" …",
			"it has the label devproxy.host or devproxy.path, and no label says to which project it belongs")
	}
	return "", false, nil
}

// contains reports whether folder is the project's or below it, by its name.
func (p *project) contains(folder string) bool {
	for _, own := range p.folders {
		rel, err := filepath.Rel(own, foldCase(folder, own))
		if err == nil && filepath.IsAbs(folder) && (rel == "." || filepath.IsLocal(rel)) {
			return true
		}
	}
	return false
}

func (p *project) isFolder(folder string) bool {
	for _, own := range p.folders {
		if filepath.Clean(foldCase(folder, own)) == own {
			return true
		}
	}
	return false
}

// foldCase returns folder with its beginning written like own where only case differs,
// on Windows.
func foldCase(folder, own string) string {
	if runtime.GOOS == "windows" && len(folder) >= len(own) && strings.EqualFold(folder[:len(own)], own) {
		return own + folder[len(own):]
	}
	return folder
}

// isNearest reports whether no folder between the project's and folder, which is below
// it, is a project of its own: one with a Proxyfile, or a linked worktree.
func (p *project) isNearest(folder string) bool {
	if p.isFolder(folder) {
		return true
	}
	if file, err := hcl.Find(folder); err == nil {
		if between := filepath.Dir(file); !p.isFolder(between) && p.contains(between) {
			return false
		}
	}
	tree, mine := worktree.Linked(folder, p.home), worktree.Linked(p.folders[0], p.home)
	return tree == nil || mine != nil && mine.Root == tree.Root
}

// otherRepository returns the repository that folder is in if that is another one in the
// project's, which consent for the project does not cover; empty otherwise. A submodule is
// a part of the project's.
func (p *project) otherRepository(folder string) string {
	own, inOne, err := worktree.Root(p.folders[0], p.home)
	if err != nil || !inOne {
		return "" // a folder can have several repositories
	}
	other, found, err := worktree.Root(folder, p.home)
	if err != nil || !found || other == own {
		return ""
	}
	if info, err := os.Lstat(filepath.Join(other, ".git")); err != nil || !info.IsDir() {
		return ""
	}
	return other
}
