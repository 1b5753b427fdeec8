package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/hcl"
)

// standardInput is the argument that stands for it, and inputName what
// diagnostics call it.
const (
	standardInput = "-"
	inputName     = "<stdin>"
)

// formatter is the fmt verb.
type formatter struct {
	*streams
	check bool
	file  fileFlags
}

func newFmtCmd(s *streams) *cobra.Command {
	f := &formatter{streams: s}
	cmd := &cobra.Command{
		Use:   "fmt [--check] [- | FILE...]",
		Short: "format the Proxyfile",
		Long: `Formats the Proxyfile and the Proxyfile.local beside it, or the files named, and
prints the names of those that changed. "-" formats standard input to standard
output. A file with syntax errors is left alone, and so are all others then.`,
		Example: "  devproxy fmt\n  devproxy fmt --check\n  devproxy fmt - <Proxyfile",
		RunE:    func(_ *cobra.Command, args []string) error { return f.run(args) },
	}
	cmd.Flags().BoolVar(&f.check, "check", false, "list what is not formatted, change nothing, exit 1 if there is any")
	addFileFlags(cmd, &f.file)
	return cmd
}

// formatted is a text before and after.
type formatted struct {
	name   string // as people know it
	path   string // empty for standard input
	before []byte
	after  []byte
}

func (f *formatted) changed() bool { return !bytes.Equal(f.before, f.after) }

func (f *formatter) run(args []string) error {
	texts, err := f.read(args)
	if err != nil {
		return err
	}
	if err := f.format(texts); err != nil {
		return err
	}
	if len(texts) == 1 && texts[0].path == "" && !f.check {
		_, err := f.Out.Write(texts[0].after)
		return err
	}
	return f.finish(texts)
}

// read reads everything before anything is written.
func (f *formatter) read(args []string) ([]*formatted, error) {
	if len(args) == 1 && args[0] == standardInput {
		src, err := readInput(f.In)
		if err != nil {
			return nil, failf("devproxy fmt FILE", "cannot read standard input: %w", err)
		}
		return []*formatted{{name: inputName, before: src}}, nil
	}
	paths, workDir, err := f.paths(args)
	if err != nil {
		return nil, err
	}
	var texts []*formatted
	for _, path := range paths {
		src, err := hcl.Read(path)
		if err != nil {
			return nil, loadFailure(err)
		}
		texts = append(texts, &formatted{name: shown(path, workDir), path: path, before: src})
	}
	return texts, nil
}

// paths are the files named, else the Proxyfile and what is merged over it, all
// absolute, and the folder that their names are shown relative to.
func (f *formatter) paths(args []string) (paths []string, workDir string, err error) {
	if len(args) == 0 {
		path, workDir, err := f.file.find()
		if err != nil {
			return nil, "", err
		}
		paths = []string{path}
		local := filepath.Join(filepath.Dir(path), hcl.LocalName)
		if _, err := os.Stat(local); local != path && !errors.Is(err, fs.ErrNotExist) {
			paths = append(paths, local)
		}
		return paths, workDir, nil
	}
	if f.file.File != "" {
		return nil, "", usagef("devproxy fmt "+f.file.File, "fmt takes files as arguments or one with -f, not both")
	}
	workDir, err = os.Getwd()
	if err != nil {
		return nil, "", failf("cd to a folder that exists", "cannot tell the working directory: %w", err)
	}
	for _, arg := range args {
		if arg == standardInput {
			return nil, "", usagef("devproxy fmt - <FILE", `"-" stands alone: it is standard input`)
		}
		paths = append(paths, absolute(absolute(workDir, f.file.Dir), arg))
	}
	return paths, workDir, nil
}

// shown is path as people know it: relative where that is shorter.
func shown(path, workDir string) string {
	if rel, err := filepath.Rel(workDir, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// format fills in what the texts should be. Mistakes are reported for all of
// them at once.
func (f *formatter) format(texts []*formatted) error {
	var all hcl.Diagnostics
	sources := hcl.Sources{}
	for _, text := range texts {
		var diags hcl.Diagnostics
		text.after, diags = hcl.Format(text.before, text.name)
		all = append(all, diags...)
		sources[text.name] = text.before
	}
	if !all.HasErrors() {
		return nil
	}
	if err := all.Write(f.Err, sources, f.Color); err != nil {
		return err
	}
	return exit(exitProxyfile)
}

// finish prints which texts change, and writes them unless asked only to look.
func (f *formatter) finish(texts []*formatted) error {
	unformatted := false
	for _, text := range texts {
		if !text.changed() {
			continue
		}
		unformatted = true
		if !f.check {
			if err := text.write(); err != nil {
				return err
			}
		}
		fmt.Fprintln(f.Out, text.name)
	}
	if f.check && unformatted {
		return exit(exitFailed)
	}
	return nil
}
