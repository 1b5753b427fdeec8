package hcl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFileSize bounds a Proxyfile. The largest real ones have some kilobytes; a
// larger file is something else under that name.
const maxFileSize = 1 << 20

// LocalName is the name of the file next to a Proxyfile that is merged over it.
const LocalName = "Proxyfile.local"

// fileNames returns the names of a Proxyfile; the first one that exists is used.
func fileNames() []string { return []string{"Proxyfile", "Proxyfile.hcl"} }

// Why a file cannot be used. FileError wraps these.
var (
	ErrFolder     = errors.New("it is a folder")
	ErrNotRegular = errors.New("it is not a regular file")
	ErrForeign    = errors.New("it belongs to another user")
	ErrTooLarge   = fmt.Errorf("it is larger than %d KiB", maxFileSize>>10)
)

// NotFoundError reports that neither a folder nor any above it has a Proxyfile.
type NotFoundError struct {
	Dir    string   // where the search began, absolute
	Looked []string // the folders searched, nearest first
}

func (e *NotFoundError) Error() string {
	if len(e.Looked) < 2 {
		return fmt.Sprintf("no Proxyfile in %s", e.Dir)
	}
	return fmt.Sprintf("no Proxyfile in %s or a folder above it", e.Dir)
}

// FileError reports a file that cannot be read. It wraps fs.ErrNotExist,
// fs.ErrPermission, ErrFolder, ErrNotRegular, ErrForeign or ErrTooLarge, or
// another error of the system.
type FileError struct {
	Path string // absolute
	Err  error
	// Fix is the command or edit that helps; empty if none is known.
	Fix string
}

func (e *FileError) Error() string { return fmt.Sprintf("can't read %s: %v", e.Path, e.Err) }

// Unwrap returns the reason.
func (e *FileError) Unwrap() error { return e.Err }

func newFileError(path string, err error) *FileError {
	// The text of a PathError would repeat the path.
	if pathErr, is := errors.AsType[*fs.PathError](err); is {
		err = pathErr.Err
	}
	for _, known := range []struct {
		err error
		fix string
	}{
		{fs.ErrNotExist, "check the name; if you name no file, devproxy uses the Proxyfile of this folder or of one above it"},
		{fs.ErrPermission, "make it readable: chmod u+r " + path},
		{ErrFolder, "a Proxyfile is a text file: rename the folder, or name another file with -f FILE"},
		{ErrNotRegular, "copy the text to a regular file, and name that with -f FILE"},
		{ErrForeign, "read it first; if you trust it, make it yours: sudo chown -h \"$(id -un)\" '" + strings.ReplaceAll(path, "'", `'\''`) + "'"},
		{ErrTooLarge, "a Proxyfile is a short text: is this the right file? name another one with -f FILE"},
	} {
		if errors.Is(err, known.err) {
			return &FileError{path, err, known.fix}
		}
	}
	return &FileError{Path: path, Err: err}
}

// Find returns the absolute path of the Proxyfile, or Proxyfile.hcl, in dir or in
// its nearest parent that has one. A folder of that name counts only in dir
// itself, where Load refuses it. Further up it is a checkout of something else.
//
// The error is a *NotFoundError, or a *FileError about dir.
func Find(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("can't find the folder %s: %w", dir, err)
	}
	if info, err := os.Stat(dir); err != nil {
		return "", newFileError(dir, err)
	} else if !info.IsDir() {
		return "", &FileError{Path: dir, Err: errors.New("it is not a folder"), Fix: "name the folder with the Proxyfile, or use -f FILE"}
	}
	notFound := &NotFoundError{Dir: dir}
	for at := dir; ; at = filepath.Dir(at) {
		notFound.Looked = append(notFound.Looked, at)
		for _, name := range fileNames() {
			path := filepath.Join(at, name)
			info, err := os.Stat(path)
			// One that exists and cannot be read counts too: Load says why.
			if err == nil && (at == dir || !info.IsDir()) || err != nil && !errors.Is(err, fs.ErrNotExist) {
				return path, nil
			}
		}
		if at == filepath.Dir(at) {
			return "", notFound
		}
	}
}

// Options are what Load needs to know about the world around the file.
type Options struct {
	// Getenv returns the value for env(); empty means not set. Nil means an empty
	// environment.
	Getenv func(name string) string
	// WorkDir is the absolute folder to which file names in ranges are relative
	// if that is shorter. Empty means that they are absolute.
	WorkDir string
	// HTTPSPort is the port in URLs made by url(), once it is bound. 0 means the
	// port of the listen block, or 443 without one.
	HTTPSPort uint16
	// Worktree is the linked git worktree that the file is in; nil for none. The
	// hosts move then, see Relocation.
	Worktree *Worktree
	// Ports returns the port that a service with a command and without an upstream is
	// asked to listen on, and the one where it listens, which is nearly always the
	// same. It is also asked for tcp and udp blocks without listen, as "tcp NAME". Nil
	// counts up from firstPort.
	Ports func(service string) (asked, actual uint16)
	// Domains are those that the user trusts, next to .localhost: hosts may have these
	// names and names below them.
	Domains []string
}

// firstPort is the port of the first service with a command where nothing chooses it.
const firstPort = 20000

// countedPorts returns the ports of services from firstPort on.
func countedPorts() func(service string) (asked, actual uint16) {
	next := uint16(firstPort - 1)
	return func(string) (asked, actual uint16) {
		next++
		return next, next
	}
}

// Load reads the Proxyfile at path and the Proxyfile.local next to it, evaluates
// them and checks them. It does all the I/O of the language.
//
// The error is a *FileError, and only about reading. Mistakes in the text are
// diagnostics, sorted. The File is never nil: with errors it holds what could be
// understood. Path, Dir, Sources and Watch are always filled in as far as known.
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
	var sources []source
	for _, name := range file.Watch {
		text, err := Read(name)
		if err != nil && name != path && errors.Is(err, fs.ErrNotExist) {
			break // Proxyfile.local is optional
		}
		if err != nil {
			return file, nil, err
		}
		file.Read[name] = text
		shown := displayName(name, opts.WorkDir)
		file.Sources[shown] = text
		sources = append(sources, source{shown, text})
	}
	if w := opts.Worktree; w != nil {
		file.Watch = append(file.Watch, w.Head)
		file.Read[w.Head] = w.Content
	}
	env := environment{getenv: opts.Getenv, port: int(opts.HTTPSPort), worktree: opts.Worktree, folder: statFolder, real: realPath, ports: opts.Ports, domains: opts.Domains}
	if env.getenv == nil {
		env.getenv = func(string) string { return "" }
	}
	return file, decode(file, sources, env), nil
}

// Read returns the text of the file at the absolute path, for Format. It accepts
// the same files as Load, of up to maxFileSize bytes, and does not parse them. The
// error is a *FileError.
func Read(path string) ([]byte, error) {
	// Stat comes first, because opening a named pipe waits for a writer.
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, newFileError(path, err)
	case info.IsDir():
		return nil, newFileError(path, ErrFolder)
	case !info.Mode().IsRegular():
		return nil, newFileError(path, ErrNotRegular)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, newFileError(path, err)
	}
	defer file.Close()
	if err := checkOwner(path, file); err != nil {
		return nil, err
	}
	// The file may have grown since Stat.
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, newFileError(path, err)
	}
	if len(text) > maxFileSize {
		return nil, newFileError(path, ErrTooLarge)
	}
	return text, nil
}

// displayName returns path as people see it: relative to dir if that is shorter. An
// empty dir has no relative paths.
func displayName(path, dir string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil || len(rel) >= len(path) {
		return path
	}
	return rel
}

func statFolder(path string) (exists, isDir bool) {
	info, err := os.Stat(path)
	return err == nil, err == nil && info.IsDir()
}

// maxLinks bounds a chain of links to something that does not exist.
const maxLinks = 40

// realPath returns path with links followed. The part of it that does not exist
// yet stays as written.
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

// isRemote reports a path on another machine, by its form. Windows logs in there
// for any operation on it.
func isRemote(path string) bool {
	return strings.HasPrefix(filepath.VolumeName(path), `\\`)
}
