package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/scaffold"
)

// initOptions are the flags of init.
type initOptions struct {
	dir string
	yes bool
}

func newInitCmd(s *streams) *cobra.Command {
	var opts initOptions
	cmd := &cobra.Command{
		Use:        "init",
		Short:      "write a Proxyfile from what is here",
		SuggestFor: []string{"new", "create", "import"},
		Long: `Reads what other tools are told in this folder and those in it, shows the Proxyfile that says the same, and asks before it
writes it: scripts of package.json and the configurations of dev servers, compose files, Procfiles, Caddyfiles,
portless.json, .slim.yaml, .localias.yaml, environment files, and the files of frameworks of Python, Ruby, PHP, Go and
others. Where no file says a port, it looks at the processes that listen in this folder. What it saw and could not carry
over or determine is listed once. Where nothing names a dev server, it offers a commented Proxyfile of one host. It runs
nothing, and never overwrites. Without a terminal it only shows the file, unless --yes is given.`,
		Example: "  devproxy init\n  devproxy init --yes",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return runInit(s, opts) },
	}
	cmd.Flags().StringVarP(&opts.dir, "directory", "C", "", "work as if started in this folder")
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "write it without asking")
	return cmd
}

func runInit(s *streams, opts initOptions) error {
	dir, err := filepath.Abs(opts.dir)
	if err != nil {
		return failf("cd to a folder that exists", "cannot tell the working directory: %w", err)
	}
	for _, name := range []string{"Proxyfile", "Proxyfile.hcl"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return alreadyThere(filepath.Join(dir, name))
		}
	}
	var listening []scaffold.Listener
	for _, p := range listen.ListeningProcesses() {
		listening = append(listening, scaffold.Listener{Name: p.Name, Dir: p.Dir, Ports: p.Ports})
	}
	result, err := scaffold.Read(dir, listening)
	if err != nil {
		return failf("cd to a folder that you may read", "%w", err)
	}
	printFound(s, result)
	next := "devproxy up"
	if result.Text == nil {
		fmt.Fprintf(s.Err, "nothing in %s names a dev server; this is the smallest Proxyfile\n\n", dir)
		result.Text, next = scaffold.Smallest(result.Host), "set the port in the Proxyfile, uncomment what you need, then run devproxy up"
	}
	if _, err := s.Out.Write(result.Text); err != nil {
		return fmt.Errorf("cannot print the Proxyfile: %w", err)
	}
	if !opts.yes && !s.InTTY {
		fmt.Fprintln(s.Err, "\nnothing is written, since there is no terminal to ask on; devproxy init --yes writes it")
		return nil
	}
	if !opts.yes && !confirmInit(s) {
		fmt.Fprintln(s.Err, "nothing is written")
		return nil
	}
	return writeProxyfile(s, filepath.Join(dir, "Proxyfile"), result.Text, next)
}

func alreadyThere(path string) error {
	return failf("devproxy check; to begin anew, move it away first", "%s is there already, and is not overwritten", path)
}

func writeProxyfile(s *streams, path string, text []byte, next string) error {
	switch err := scaffold.Write(path, text); {
	case errors.Is(err, scaffold.ErrExists):
		return alreadyThere(path)
	case err != nil:
		return failf("make the folder one that you may write to", "cannot write %s: %w", path, err)
	}
	fmt.Fprintln(s.Err, "next: "+next)
	return nil
}

func confirmInit(s *streams) bool {
	fmt.Fprint(s.Err, "\nWrite Proxyfile? [Y/n] ")
	answer, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil {
		fmt.Fprintln(s.Err)
		return false
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "" || answer == "y" || answer == "yes"
}

// printFound says what was read, a line a file, and what was left out.
func printFound(s *streams, r *scaffold.Result) {
	var files []string
	texts, width := map[string][]string{}, 0
	for _, f := range r.Found {
		if texts[f.File] == nil {
			files = append(files, f.File)
		}
		texts[f.File] = append(texts[f.File], f.Text)
		width = max(width, len(f.File))
	}
	for i, file := range files {
		head := "found"
		if i > 0 {
			head = ""
		}
		printFile(s, head, clean(file), width, strings.Join(texts[file], ", "))
	}
	for i, n := range r.Notes {
		if i == 0 {
			fmt.Fprintln(s.Err, "not carried over or not determined:")
		}
		at := clean(n.File)
		if n.Line > 0 {
			at = fmt.Sprintf("%s:%d", at, n.Line)
		}
		if at != "" {
			at += ": "
		}
		for i, line := range s.hanging(2, 4, at+clean(n.Text)) {
			if i == 0 {
				line = "  " + line
			}
			fmt.Fprintln(s.Err, line)
		}
	}
	if len(files)+len(r.Notes) > 0 {
		fmt.Fprintln(s.Err)
	}
}

// printFile prints what was found in a file: next to its name, or below it where
// the terminal has no room.
func printFile(s *streams, head, file string, width int, text string) {
	columns, _ := s.size()
	indent := len("found  ") + width + len("   ")
	line := fmt.Sprintf("%-5s  %-*s   %s", head, width, file, text)
	if columns == 0 || shownWidth(line) <= columns {
		fmt.Fprintln(s.Err, line)
		return
	}
	if columns-indent < 2*minText {
		indent = len("found  ") + len("  ")
	}
	fmt.Fprintf(s.Err, "%-5s  %s\n", head, file)
	for _, line := range wrapped(text, columns-indent) {
		fmt.Fprintf(s.Err, "%*s%s\n", indent, "", line)
	}
}

// clean is text of a file without what would steer the terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7F && r < 0xA0 {
			return '?'
		}
		return r
	}, text)
}
