package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/scaffold"
)

func newInitCmd(s *streams) *cobra.Command {
	var dir string
	var yes, noCommands bool
	cmd := &cobra.Command{
		Use:        "init",
		Short:      "write a Proxyfile from the project's files",
		SuggestFor: []string{"new", "create", "import"},
		Long: `Reads how other tools are configured in this folder and the folders in it, shows a Proxyfile that does the same, and
asks before writing it. It reads scripts of package.json and the configurations of dev servers, compose files,
Procfiles, Caddyfiles, portless.json, .slim.yaml, .localias.yaml, environment files, and the files of frameworks of
Python, Ruby, PHP, Go and others. If no file has a port, it looks at the processes that listen in this folder. It lists
what it could not carry over or determine. Where it knows the command that starts a server, it writes that, so that
devproxy up starts it; --no-commands writes ports instead, for servers that you start yourself. If nothing names a dev server, it offers a commented Proxyfile with one host.
It runs nothing and never overwrites a file. Without a terminal it only shows the Proxyfile, unless --yes is given.`,
		Example: "  devproxy init\n  devproxy init --yes\n  devproxy init --no-commands",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runInit(cmd.Context(), s, dir, yes, !noCommands) },
	}
	cmd.Flags().StringVarP(&dir, "directory", "C", "", "work as if started in this folder")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "write without asking")
	cmd.Flags().BoolVar(&noCommands, "no-commands", false, "write the ports of the servers, not the commands that start them")
	return cmd
}

func runInit(ctx context.Context, s *streams, dir string, yes, commands bool) error {
	dir, err := workingFolder(dir)
	if err != nil {
		return err
	}
	for _, name := range proxyfileNames {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return errExists(filepath.Join(dir, name))
		}
	}
	listening := each(listen.ListeningProcesses(), func(p listen.Process) scaffold.Listener {
		return scaffold.Listener{Name: p.Name, Dir: p.Dir, Ports: p.Ports}
	})
	result, err := scaffold.Read(dir, scaffold.Options{Listening: listening, Commands: commands})
	if err != nil {
		return failf("cd to a folder that you may read", "%w", err)
	}
	printFound(s, result)
	next := "devproxy up"
	if result.Starts > 0 {
		next = "devproxy up, which asks before it starts " + when(result.Starts == 1, "this command") + when(result.Starts > 1, "these commands")
	}
	if result.Install != "" {
		next = result.Install + ", then " + next
	}
	if result.Text == nil {
		fmt.Fprintf(s.Err, "no dev server found in %s; this is the smallest Proxyfile\n\n", dir)
		result.Text, next = scaffold.Smallest(result.Host), "set the port in the Proxyfile, uncomment what you need, then run devproxy up"
	}
	if _, err := s.Out.Write(result.Text); err != nil {
		return fmt.Errorf("cannot print the Proxyfile: %w", err)
	}
	if !yes && !s.InTTY {
		fmt.Fprintln(s.Err, "\nnot written, since devproxy cannot ask without a terminal; to write it: devproxy init --yes")
		return nil
	}
	if !yes {
		if answer, ok := prompt(ctx, s, "\nWrite Proxyfile? [Y/n] "); !ok || answer != "" && answer != "y" && answer != "yes" {
			fmt.Fprintln(s.Err, "not written")
			return nil
		}
	}
	path := filepath.Join(dir, "Proxyfile")
	switch err := scaffold.Write(path, result.Text); {
	case errors.Is(err, scaffold.ErrExists):
		return errExists(path)
	case err != nil:
		return failf("use a folder that you may write to", "cannot write %s: %w", path, err)
	}
	fmt.Fprintln(s.Err, "next: "+next)
	return nil
}

func errExists(path string) error {
	return failf("devproxy check; to start over, move it away first", "%s already exists and is not overwritten", path)
}

// printFound prints the files that were read, one per line, and the parts that
// were left out.
func printFound(s *streams, r *scaffold.Result) {
	var files []string
	texts := map[string][]string{}
	for _, f := range r.Found {
		if texts[f.File] == nil {
			files = append(files, f.File)
		}
		texts[f.File] = append(texts[f.File], f.Text)
	}
	head := "found"
	for _, file := range files {
		printFile(s, head, printable(file), widest(files), strings.Join(texts[file], ", "))
		head = ""
	}
	for i, n := range r.Notes {
		if i == 0 {
			fmt.Fprintln(s.Err, "not carried over or not determined:")
		}
		at := printable(n.File) + when(n.Line > 0, fmt.Sprint(":", n.Line))
		s.hang(s.Err, "  ", 4, at+when(at != "", ": ")+printable(n.Text))
	}
	if len(files)+len(r.Notes) > 0 {
		fmt.Fprintln(s.Err)
	}
}

// printFile prints the findings in a file: next to its name, or below it if the
// terminal is too narrow.
func printFile(s *streams, head, file string, width int, text string) {
	head = fmt.Sprintf("%-5s  ", head)
	line := head + pad(file, width) + "   "
	columns, indent := s.columns(), shownWidth(line)
	if columns > 0 && indent+shownWidth(text) > columns {
		if columns-indent < 2*minText {
			indent = len(head) + len("  ")
		}
		fmt.Fprintln(s.Err, head+file)
		line = strings.Repeat(" ", indent)
	}
	s.hang(s.Err, line, indent, text)
}
