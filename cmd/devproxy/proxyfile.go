package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// fileFlags are -f and -C, which every verb that reads a Proxyfile takes.
type fileFlags struct {
	File string // empty means: the nearest Proxyfile
	Dir  string // where to begin; empty means the working directory
}

func addFileFlags(cmd *cobra.Command, f *fileFlags) {
	cmd.Flags().StringVarP(&f.File, "file", "f", "", "the Proxyfile to read (default: the one of this folder or of the nearest above it)")
	cmd.Flags().StringVarP(&f.Dir, "directory", "C", "", "work as if started in this folder")
}

// find is the absolute path of the Proxyfile, and the working directory that
// names in messages are relative to: the real one, as that is where a
// terminal or an editor looks for a name it is shown.
func (f fileFlags) find() (path, workDir string, err error) {
	workDir, err = os.Getwd()
	if err != nil {
		return "", "", failf("cd to a folder that exists", "cannot tell the working directory: %w", err)
	}
	dir := workDir
	if f.Dir != "" {
		dir = absolute(workDir, f.Dir)
	}
	if f.File != "" {
		return absolute(dir, f.File), workDir, nil
	}
	path, err = hcl.Find(dir)
	return path, workDir, loadFailure(err)
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// loadFile finds, reads and checks the Proxyfile. Its diagnostics are for the
// caller to print. The error is ready to be returned from a verb; the file is
// not nil then either, once its path is known, for the sake of its Watch.
func loadFile(f fileFlags) (*hcl.File, hcl.Diagnostics, error) {
	path, workDir, err := f.find()
	if err != nil {
		return nil, nil, err
	}
	return loadPath(path, workDir, 0)
}

// loadProject is loadFile with the plan, all that is wrong with either, and the
// consents of the project. No address is bound, so no loop is looked for.
func loadProject(f fileFlags) (devproxy.Loaded, *consents, error) {
	var known *consents
	loaded, err := devproxy.Load(
		func() (*hcl.File, hcl.Diagnostics, error) { return loadFile(f) },
		func(file *hcl.File) plan.Env {
			known = consentsFor(file.Dir)
			return plan.Env{Root: known.project.Root}
		})
	return loaded, known, err
}

// printMistakes writes the diagnostics of a Proxyfile that has errors. The error is
// ready to be returned from a verb.
func printMistakes(s *streams, loaded devproxy.Loaded) error {
	if err := loaded.Diagnostics.Write(s.Err, loaded.File.Sources, s.Color); err != nil {
		return fmt.Errorf("cannot write the diagnostics: %w", err)
	}
	return exit(exitProxyfile)
}

// loadPath is loadFile for a path that find gave: what a watcher does again
// after each save. httpsPort is the port in what url() gives; 0 means that none
// is bound yet.
func loadPath(path, workDir string, httpsPort uint16) (*hcl.File, hcl.Diagnostics, error) {
	file, diags, err := hcl.Load(path, hcl.Options{Getenv: os.Getenv, WorkDir: workDir, HTTPSPort: httpsPort})
	return file, diags, loadFailure(err)
}

// loadFolder is loadPath for the Proxyfile of folder, which has had the path last:
// it may be given the other of its two names while devproxy runs.
func loadFolder(folder, last, workDir string, httpsPort uint16) (*hcl.File, hcl.Diagnostics, error) {
	path := last
	if found, err := hcl.Find(folder); err == nil && filepath.Dir(found) == folder {
		path = found
	}
	file, diags, err := loadPath(path, workDir, httpsPort)
	for _, name := range []string{"Proxyfile", "Proxyfile.hcl"} {
		if other := filepath.Join(folder, name); file != nil && !slices.Contains(file.Watch, other) {
			file.Watch = append(file.Watch, other)
		}
	}
	return file, diags, err
}

// loadFailure gives the errors of package hcl their fix.
func loadFailure(err error) error {
	var notFound *hcl.NotFoundError
	var unreadable *hcl.FileError
	switch {
	case errors.As(err, &notFound):
		return &exitError{code: exitFailed, err: err, fix: "devproxy up 5173   serves the dev server on port 5173 without a Proxyfile\n" +
			"devproxy init      writes a Proxyfile for this folder"}
	case errors.As(err, &unreadable):
		return &exitError{code: exitFailed, err: err, fix: unreadable.Fix}
	}
	return err
}

// hostOfFolder is the host name that a project in dir has by default:
// FOLDER.localhost.
func hostOfFolder(dir string) string {
	var label strings.Builder
	for _, r := range strings.ToLower(filepath.Base(dir)) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			label.WriteRune(r)
		case !strings.HasSuffix(label.String(), "-"):
			label.WriteByte('-')
		}
	}
	name := label.String()
	name = strings.Trim(name[:min(len(name), maxLabel)], "-")
	if name == "" {
		name = "app"
	}
	return name + ".localhost"
}

// maxLabel is the longest label of a name (RFC 1035 section 2.3.4).
const maxLabel = 63
