package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/localca"
)

const (
	// standardInput is the argument for standard input, and inputName its name in
	// diagnostics.
	standardInput = "-"
	inputName     = "<stdin>"
	// maxText is the longest standard input, in bytes. Files have the same limit.
	maxText = 1 << 20
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
		Long: `Formats the Proxyfile and the Proxyfile.local next to it, or the given files, and prints the names of those that
changed. "-" formats standard input to standard output. If a file has syntax errors, no file is changed.`,
		Example: "  devproxy fmt\n  devproxy fmt --check\n  devproxy fmt - <Proxyfile",
		RunE:    func(_ *cobra.Command, args []string) error { return f.run(args) },
	}
	cmd.Flags().BoolVar(&f.check, "check", false, "list unformatted files, change nothing, exit 1 if there are any")
	addFileFlags(cmd, &f.file)
	return cmd
}

// formatted is a text before and after.
type formatted struct {
	name   string // for people
	path   string // empty for standard input
	before []byte
	after  []byte
}

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
		src, err := io.ReadAll(io.LimitReader(f.In, maxText+1))
		if err == nil && len(src) > maxText {
			err = fmt.Errorf("it is longer than %d KiB", maxText>>10)
		}
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
			return nil, loadError(err)
		}
		texts = append(texts, &formatted{name: shown(path, workDir), path: path, before: src})
	}
	return texts, nil
}

// paths returns the given files, else the Proxyfile and the Proxyfile.local
// merged over it, all absolute, and the folder that their names are shown
// relative to.
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
	workDir, err = workingFolder("")
	if err != nil {
		return nil, "", err
	}
	for _, arg := range args {
		if arg == standardInput {
			return nil, "", usagef("devproxy fmt - <FILE", `"-" is standard input and must be the only argument`)
		}
		paths = append(paths, absolute(absolute(workDir, f.file.Dir), arg))
	}
	return paths, workDir, nil
}

// shown is path as people know it: relative if that is shorter.
func shown(path, workDir string) string {
	if rel, err := filepath.Rel(workDir, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// format formats the texts. It reports the mistakes of all of them at once.
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

// finish prints which texts change, and writes them unless --check is given.
func (f *formatter) finish(texts []*formatted) error {
	unformatted := false
	for _, text := range texts {
		if bytes.Equal(text.before, text.after) {
			continue
		}
		unformatted = true
		if !f.check {
			if err := text.write(); err != nil {
				return writeError(text.name, err)
			}
		}
		fmt.Fprintln(f.Out, text.name)
	}
	if f.check && unformatted {
		return exit(exitFailed)
	}
	return nil
}

// write replaces the file, whole or not at all. A link stays a link, and the mode
// stays the same. A file that its owner made read-only is not replaced, although the
// folder would allow it.
func (f *formatted) write() error {
	target, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o200 == 0 {
		return fs.ErrPermission
	}
	return localca.WriteFile(target, f.after, info.Mode().Perm())
}

// writeError says why a file was not written, and what helps.
func writeError(name string, err error) error {
	// The text of a PathError would name the temporary file.
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	fix := "the file is unchanged; free some space, or format it elsewhere: devproxy fmt - <" + name
	if errors.Is(err, fs.ErrPermission) {
		fix = "make it and its folder writable: chmod u+w " + name + " " + filepath.Dir(name)
	}
	return failf(fix, "cannot write %s: %w", name, err)
}
