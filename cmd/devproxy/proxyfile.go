package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/container"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// fileFlags are -f and -C, which every verb that reads a Proxyfile takes.
type fileFlags struct {
	File string // empty means the nearest Proxyfile
	Dir  string // where to start; empty means the working directory
}

func addFileFlags(cmd *cobra.Command, f *fileFlags) {
	cmd.Flags().StringVarP(&f.File, "file", "f", "", "the Proxyfile to read (default: the one in this folder or the nearest above it)")
	cmd.Flags().StringVarP(&f.Dir, "directory", "C", "", "work as if started in this folder")
}

// find returns the absolute path of the Proxyfile, and the working directory that
// names in messages are relative to. That is the real one, where a terminal or an
// editor looks for a name.
func (f fileFlags) find() (path, workDir string, err error) {
	workDir, err = workingFolder("")
	if err != nil {
		return "", "", err
	}
	dir := absolute(workDir, f.Dir)
	if f.File != "" {
		return absolute(dir, f.File), workDir, nil
	}
	path, err = hcl.Find(dir)
	return path, workDir, loadError(err)
}

// workingFolder returns dir as an absolute path. An empty dir is the working
// directory.
func workingFolder(dir string) (string, error) {
	folder, err := filepath.Abs(dir)
	if err != nil {
		return "", failf("cd to a folder that exists", "cannot determine the working directory: %w", err)
	}
	return folder, nil
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// loadProject loads and plans the Proxyfile, and returns the consents of its project.
// The caller prints the diagnostics. No address is bound, so a loop is not noticed.
func loadProject(f fileFlags) (devproxy.Loaded, *consents, error) {
	path, workDir, err := f.find()
	if err != nil {
		return devproxy.Loaded{}, nil, err
	}
	var known *consents
	loaded, err := devproxy.Load(
		func() (*hcl.File, hcl.Diagnostics, error) {
			return loadPath(path, workDir, 0, newServicePorts(filepath.Dir(path), false))
		},
		func(file *hcl.File) plan.Env {
			known = consentsFor(file.Dir)
			return plan.Env{Root: known.project.Root}
		})
	return loaded, known, err
}

// loadPlan is loadProject for verbs that need a plan.
func loadPlan(s *streams, f fileFlags) (*plan.Plan, *consents, error) {
	loaded, known, err := loadValid(s, f)
	return loaded.Plan, known, err
}

// loadValid is loadProject for a Proxyfile that must have no errors. It writes the
// diagnostics of one that has some.
func loadValid(s *streams, f fileFlags) (devproxy.Loaded, *consents, error) {
	loaded, known, err := loadProject(f)
	if err != nil || !loaded.Diagnostics.HasErrors() {
		return loaded, known, err
	}
	if err := loaded.Diagnostics.Write(s.Err, loaded.File.Sources, s.Color); err != nil {
		return devproxy.Loaded{}, nil, fmt.Errorf("cannot write the diagnostics: %w", err)
	}
	return devproxy.Loaded{}, nil, exit(exitProxyfile)
}

// loadServed is loadPlan for verbs that show what `devproxy up` would serve: with the
// containers that run now, if the user has allowed that.
func loadServed(ctx context.Context, s *streams, f fileFlags) (*plan.Plan, *consents, error) {
	loaded, known, err := loadValid(s, f)
	if err != nil || !loaded.Plan.UsesContainers() {
		return loaded.Plan, known, err
	}
	allowed := known.allowed(loaded.Plan.Effects())
	for _, e := range loaded.Plan.Effects() {
		if e.Kind == plan.KindContainers && !allowed(e) {
			return loaded.Plan, known, nil
		}
	}
	env := plan.Env{Root: known.project.Root, Containers: knownContainers(container.List(ctx, containerOptions(loaded.File.Dir)))}
	loaded, err = devproxy.Load(func() (*hcl.File, hcl.Diagnostics, error) { return loaded.File, nil, nil }, func(*hcl.File) plan.Env { return env })
	return loaded.Plan, known, err
}

// loadPath reads and checks the Proxyfile at path. httpsPort is the port in what
// url() returns; 0 if none is bound yet. The file is not nil after an error either,
// since its Watch is needed.
func loadPath(path, workDir string, httpsPort uint16, ports *servicePorts) (*hcl.File, hcl.Diagnostics, error) {
	file, diags, err := hcl.Load(path, hcl.Options{
		Domains: trustedDomains(),
		Getenv:  os.Getenv, WorkDir: workDir, HTTPSPort: httpsPort, Ports: ports.of, Worktree: worktreeOf(filepath.Dir(path)),
	})
	return file, diags, loadError(err)
}

// loadFolder is loadPath for the Proxyfile of folder, which had the path last. While
// devproxy runs, it may be renamed to the other of its two names.
func loadFolder(folder, last, workDir string, httpsPort uint16, ports *servicePorts) (*hcl.File, hcl.Diagnostics, error) {
	path := last
	if found, err := hcl.Find(folder); err == nil && filepath.Dir(found) == folder {
		path = found
	}
	file, diags, err := loadPath(path, workDir, httpsPort, ports)
	for _, name := range proxyfileNames {
		if other := filepath.Join(folder, name); file != nil && !slices.Contains(file.Watch, other) {
			file.Watch = append(file.Watch, other)
		}
	}
	return file, diags, err
}

var proxyfileNames = []string{"Proxyfile", "Proxyfile.hcl"}

// loadError adds to a missing Proxyfile what to do about it.
func loadError(err error) error {
	if _, missing := errors.AsType[*hcl.NotFoundError](err); missing {
		return failf("devproxy up 5173   serves the dev server on port 5173 without a Proxyfile\n"+
			"devproxy init      writes a Proxyfile for this folder", "%w", err)
	}
	return err
}

// hostOfFolder returns the default host name of a project in dir: FOLDER.localhost, or
// app.localhost if that is not possible.
func hostOfFolder(dir string) string {
	name := hcl.Label(filepath.Base(dir))
	if name == "" || name+".localhost" == hcl.OwnHost {
		name = "app"
	}
	return name + ".localhost"
}
