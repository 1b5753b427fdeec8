package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// linkLimit bounds the symbolic links followed for one file, as systems do.
const linkLimit = 40

// place is a name in a folder.
type place struct{ dir, name string }

func (p place) path() string { return filepath.Join(p.dir, p.name) }

// placesOf are the names that path depends on, each in its real folder: the
// file, every symbolic link on the way (whoever exchanges one changes the
// file), or the first name that is missing. The links of the root folder are
// the system's and stay.
func placesOf(path string) []place {
	root := filepath.VolumeName(path) + string(filepath.Separator)
	var (
		places []place
		dir    = root
		rest   = split(path[len(root):])
		links  = 0
	)
	for len(rest) > 0 {
		at := place{dir, rest[0]}
		rest = rest[1:]
		if at.name == ".." {
			dir = filepath.Dir(dir)
			continue
		}
		info, err := os.Lstat(at.path())
		switch {
		case err != nil:
			return append(places, at)
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > linkLimit {
				return places
			}
			if dir != root {
				places = append(places, at)
			}
			target, err := os.Readlink(at.path())
			if err != nil {
				return places
			}
			if filepath.IsAbs(target) {
				root = filepath.VolumeName(target) + string(filepath.Separator)
				dir, target = root, target[len(root):]
			}
			rest = append(split(target), rest...)
		case len(rest) == 0:
			return append(places, at)
		default:
			dir = at.path()
		}
	}
	return places
}

// split are the names of a path without its root, "." left out.
func split(path string) []string {
	var names []string
	for name := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	return names
}
