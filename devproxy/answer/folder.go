package answer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// folder is the folder of one request. It is opened again for each, so that a
// folder that a build removes and creates again is served at once.
type folder struct {
	spec *plan.Files
	// dir is spec.Dir with links resolved. Only this path may be anywhere, as the
	// Proxyfile says so.
	dir  string
	root *os.Root
	// wellKnown is true when the request's path is in /.well-known/, wherever its
	// file is.
	wellKnown bool
}

// errMoved is the error of a folder behind a link that has changed since the
// Proxyfile was read: the user has not agreed to where it leads now.
var errMoved = errors.New("it leads to a different place than when the Proxyfile was read; save the Proxyfile to check it again")

func openFolder(spec *plan.Files) (*folder, error) {
	dir, err := filepath.EvalSymlinks(spec.Dir)
	if err != nil {
		return nil, folderError(spec, err)
	}
	if spec.Within != "" && !plan.Within(dir, spec.Within) {
		return nil, &ReadError{Path: spec.Dir, Err: errMoved}
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, folderError(spec, fs.ErrNotExist)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, folderError(spec, err)
	}
	return &folder{spec: spec, dir: dir, root: root}, nil
}

// folderError distinguishes a folder that can't be read from one that does not
// exist yet.
func folderError(spec *plan.Files, err error) error {
	if unreadable(err) {
		return &ReadError{Path: spec.Dir, Err: err}
	}
	return &NotFoundError{Dir: spec.Dir, Text: spec.Text, DirMissing: true}
}

func (d *folder) Close() error { return d.root.Close() }

// file is an open regular file of a folder.
type file struct {
	*os.File
	info fs.FileInfo
	name string // as requested; decides the media type
	// wellKnown is true for a file that is requested in .well-known.
	wellKnown bool
}

// open opens the regular file name, slash-separated. It returns nil without an
// error when there is none that may be served.
//
// resolve follows the links of name and refuses those that lead out or to a dot
// file. The result may change until the file is opened: then os.Root keeps the
// opening inside the folder, and what is opened must be the file that was seen. If a
// FIFO has replaced it, a blocking open would hang until something writes to it:
// O_NONBLOCK does not wait, and is ignored on Windows, where named pipes are not in
// folders.
func (d *folder) open(name string) (*file, error) {
	resolved, seen, err := d.resolve(name)
	if err != nil || seen == nil || !seen.Mode().IsRegular() {
		return nil, err
	}
	opened, err := d.root.OpenFile(resolved, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, d.readError(err, name)
	}
	info, err := opened.Stat()
	if err != nil || !os.SameFile(seen, info) {
		opened.Close()
		return nil, d.readError(err, name)
	}
	return &file{File: opened, info: info, name: name, wellKnown: d.wellKnown || strings.HasPrefix(name, wellKnown+"/")}, nil
}

// isFile reports whether open would find a file.
func (d *folder) isFile(name string) (bool, error) {
	_, info, err := d.resolve(name)
	return info != nil && info.Mode().IsRegular(), err
}

// resolve returns the path below the folder that name leads to, with links
// resolved, and the file there. info is nil when nothing may be served there.
func (d *folder) resolve(name string) (path string, info fs.FileInfo, err error) {
	path, err = d.follow(name)
	if err != nil {
		return "", nil, d.readError(err, name)
	}
	if hidden(path) {
		return "", nil, nil
	}
	info, err = d.root.Lstat(path)
	if err != nil {
		return "", nil, d.readError(err, name)
	}
	return path, info, nil
}

// follow returns the path relative to the folder that name leads to, with links
// resolved. It may lead out of the folder.
func (d *folder) follow(name string) (string, error) {
	full, err := filepath.EvalSymlinks(filepath.Join(d.dir, filepath.FromSlash(name)))
	if err != nil {
		return "", err
	}
	if path, err := filepath.Rel(d.dir, full); err == nil {
		return path, nil
	}
	return "..", nil // on another volume of Windows
}

// hidden reports a dot file, one below a dot folder, or a way out (".."): where
// a link leads, or the long form of a short name on Windows. A first ".well-known"
// is not hidden.
func hidden(path string) bool {
	for i, segment := range strings.Split(path, string(filepath.Separator)) {
		if strings.HasPrefix(segment, ".") && segment != "." && (i != 0 || segment != wellKnown) {
			return true
		}
	}
	return false
}

// strayLink finds the link because of which nothing was found for n: the first
// segment of a file that would answer n which is a link that leads out of the
// folder, or to a dot file in it. link is slash-separated below the folder, and
// empty when there is none. Links that lead to nothing do not count.
func (d *folder) strayLink(n name) (link string, toDot bool) {
	for _, candidate := range append(n.candidates(), n.index()) {
		for i, c := range candidate + "/" {
			if c != '/' {
				continue
			}
			info, err := os.Lstat(filepath.Join(d.dir, filepath.FromSlash(candidate[:i])))
			if err != nil {
				break
			}
			path, err := d.follow(candidate[:i])
			if err != nil {
				break
			}
			if hidden(path) {
				if info.Mode()&fs.ModeSymlink == 0 {
					break // not a link: a folder that has another name on Windows
				}
				return candidate[:i], filepath.IsLocal(path)
			}
		}
	}
	return "", false
}

// readError returns nil unless err means that the file can't be read: systems
// have many errors that mean "no such file" (a file as a folder, a name too long,
// a circle of links, a link that leads out).
func (d *folder) readError(err error, name string) error {
	if !unreadable(err) {
		return nil
	}
	if inPath, ok := errors.AsType[*fs.PathError](err); ok {
		err = inPath.Err // ReadError has its own path
	}
	return &ReadError{Path: filepath.Join(d.spec.Dir, filepath.FromSlash(name)), Err: err}
}
