package hcl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Options are what Load needs of the world around the file.
type Options struct {
	// Getenv answers env() in expressions; an empty answer means not set. Nil
	// means an empty environment.
	Getenv func(name string) string
	// WorkDir is the folder, absolute, that ranges' file names are relative
	// to where that is shorter. Empty means that they are absolute.
	WorkDir string
	// HTTPSPort is the port in what url() gives, once it is bound. 0 means the
	// listen block's, and 443 without one.
	HTTPSPort uint16
}

func (o Options) environment() environment {
	env := environment{getenv: o.Getenv, port: int(o.HTTPSPort), folder: statFolder, real: realPath}
	if env.getenv == nil {
		env.getenv = func(string) string { return "" }
	}
	return env
}

func statFolder(path string) (exists, isDir bool) {
	info, err := os.Stat(path)
	return err == nil, err == nil && info.IsDir()
}

// maxLinks bounds a chain of links that lead to what is not there.
const maxLinks = 40

// realPath is where path leads, links followed. What is not there yet stays as
// it is written, below what is.
func realPath(path string) string { return realPathOf(path, maxLinks) }

func realPathOf(path string, links int) string {
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if target, err := os.Readlink(at); err == nil && links > 0 {
			if !filepath.IsAbs(target) {
				target = filepath.Join(realPathOf(filepath.Dir(at), links-1), target)
			}
			return realPathOf(filepath.Join(target, rest), links-1)
		}
		if at == filepath.Dir(at) {
			return path
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// isRemote reports a path of another machine, by its form. Windows logs in
// there to answer any question about it.
func isRemote(path string) bool {
	return strings.HasPrefix(filepath.VolumeName(path), `\\`)
}

// Load reads the Proxyfile at path and the Proxyfile.local beside it,
// evaluates and checks them. It does all the I/O of the language.
//
// The error is a *FileError and is only about reading; mistakes in the text
// are diagnostics, sorted. The File is never nil: with errors it holds what
// could be understood, and Path, Dir, Sources and Watch are always filled in
// as far as known.
func Load(path string, opts Options) (*File, Diagnostics, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return &File{}, nil, newFileError(path, err)
	}
	dir := filepath.Dir(path)
	local := filepath.Join(dir, LocalName)
	file := &File{Path: path, Dir: dir, RealDir: realPath(dir), Sources: Sources{}, Read: map[string][]byte{}, Watch: []string{path}}
	if local != path {
		file.Watch = append(file.Watch, local)
	}
	text, err := readFile(path)
	if err != nil {
		return file, nil, err
	}
	file.Read[path] = text
	sources := []source{{name: displayName(path, opts.WorkDir), text: text}}
	if local != path {
		text, err := readFile(local)
		switch {
		case err == nil:
			file.Read[local] = text
			sources = append(sources, source{name: displayName(local, opts.WorkDir), text: text})
		case !errors.Is(err, fs.ErrNotExist):
			return file, nil, err
		}
	}
	for _, src := range sources {
		file.Sources[src.name] = src.text
	}
	diags := decode(file, sources, opts.environment())
	return file, diags, nil
}

// source is one file's text and the name its ranges carry.
type source struct {
	name string
	text []byte
}

// displayName is path as people know it: relative to dir where that is
// shorter.
func displayName(path, dir string) string {
	if dir == "" {
		return path
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil || len(rel) >= len(path) {
		return path
	}
	return rel
}
