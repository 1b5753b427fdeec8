package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"

	"github.com/devproxy/devproxy/devproxy/hostsfile"
	"github.com/devproxy/devproxy/devproxy/programs"
)

// The states of a namesChange.
const (
	namesCurrent   = "current"    // nothing had to be changed
	namesChanged   = "changed"    // the file was written
	namesOutdated  = "outdated"   // the change was not confirmed
	namesNeedsRoot = "needs root" // the command was not confirmed, or could not be, without a terminal
)

// namesChange is a change of the hosts file. It is what sync and clean print as JSON.
type namesChange struct {
	HostsFile string   `json:"hosts_file"`
	State     string   `json:"state"`
	Names     []string `json:"names"` // of the block as it should be
	Added     []string `json:"added,omitempty"`
	Removed   []string `json:"removed,omitempty"`
	// Skipped are names that projects serve and that cannot be in a hosts file.
	Skipped []skippedName `json:"skipped,omitempty"`
	// Command writes the change as root; set while that is needed.
	Command string `json:"command,omitempty"`
}

// skippedName is a name that is not written, and why.
type skippedName struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// changeNames makes the block of this user have the names that are served.
func changeNames(ctx context.Context, s *streams, opts namesOptions, served []servedName) error {
	if err := refuseSudo(); err != nil {
		return err
	}
	change := namesChange{HostsFile: opts.hosts, Names: []string{}}
	domains := trustedDomains()
	for _, name := range served {
		var fault *hostsfile.NameError
		switch err := hostsfile.Check(name.name, domains); {
		case errors.As(err, &fault):
			change.Skipped = append(change.Skipped, skippedName{fault.Name, fault.Reason})
		case !slices.Contains(change.Names, name.name):
			change.Names = append(change.Names, name.name)
		}
	}
	if len(change.Names) > hostsfile.MaxNames {
		return tooManyNames(len(change.Names))
	}
	id, err := userID()
	if err != nil {
		return err
	}
	text, err := hostsfile.Read(opts.hosts)
	if err != nil {
		return err
	}
	edited, err := hostsfile.Edit(text, id, change.Names)
	if err != nil {
		return namesError(opts.hosts, err)
	}
	before, _ := hostsfile.Names(text, id) // as Edit found them
	change.Added, change.Removed = without(change.Names, before), without(before, change.Names)
	if !opts.json {
		change.printNotes(s, text)
	}
	switch {
	case bytes.Equal(text, edited):
		change.State = namesCurrent
	case opts.check:
		change.State = namesOutdated
		change.printDiff(s, opts, text, edited)
	default:
		change.printDiff(s, opts, text, edited)
		if err := change.write(ctx, s, opts, id); err != nil {
			return err
		}
	}
	return change.report(s, opts)
}

// write writes the block: itself if this user may, else as root.
func (c *namesChange) write(ctx context.Context, s *streams, opts namesOptions, id string) error {
	ask := func(question string) bool {
		return opts.yes || canAsk(s, opts.json) && confirm(ctx, s, question)
	}
	if mayWrite(opts.hosts) {
		c.State = namesOutdated
		if !ask("Write it? [y/N] ") {
			return nil
		}
		if _, err := hostsfile.Write(ctx, opts.hosts, id, c.Names); err != nil {
			return namesError(opts.hosts, err)
		}
		c.State = namesChanged
		return nil
	}
	path := programPath()
	argv := path.AsRoot(c.argv(opts, id)...)
	c.State, c.Command = namesNeedsRoot, programs.Line(argv)
	switch {
	case runtime.GOOS == "windows":
		fmt.Fprintf(s.Err, "Only an administrator can write that file. In a terminal that was opened with \"Run as administrator\":\n  %s\n", s.bold(c.Command))
		return nil
	case path.RootProgram() == "":
		fmt.Fprintf(s.Err, "Only root can write that file. As root:\n  %s\n", s.bold(c.Command))
		return nil
	}
	fmt.Fprintf(s.Err, "Only root can write that file:\n  %s\n", s.bold(c.Command))
	if !ask("Run it? [y/N] ") {
		return nil
	}
	if err := runAsRoot(ctx, s, path, argv); err != nil {
		return fmt.Errorf("cannot write %s as root: %w", opts.hosts, err)
	}
	text, err := hostsfile.Read(opts.hosts)
	if err != nil {
		return err
	}
	if names, err := hostsfile.Names(text, id); err != nil || len(without(c.Names, names)) > 0 || len(without(names, c.Names)) > 0 {
		return errors.Join(fmt.Errorf("%s does not have the names after the command", opts.hosts), err)
	}
	c.State, c.Command = namesChanged, ""
	return nil
}

// argv is the command that writes the block.
func (c *namesChange) argv(opts namesOptions, id string) []string {
	argv := []string{ownProgram(), "names", "write", "--user", id}
	if opts.hosts != hostsfile.Path() {
		argv = append(argv, "--hosts", opts.hosts)
	}
	for _, domain := range trustedDomains() {
		if slices.ContainsFunc(c.Names, func(name string) bool {
			return hostsfile.Check(name, nil) != nil && hostsfile.Check(name, []string{domain}) == nil
		}) {
			argv = append(argv, "--domain", domain)
		}
	}
	return append(argv, c.Names...)
}

// mayWrite reports whether this user can write a file.
func mayWrite(path string) bool {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		f.Close()
	}
	return !errors.Is(err, fs.ErrPermission) || os.Geteuid() == 0 // else Write says what is wrong
}

// printNotes says what is left out, and which lines of the file contradict the block.
func (c *namesChange) printNotes(s *streams, text []byte) {
	for _, skipped := range c.Skipped {
		s.line(fmt.Sprintf("left out: %s %s", skipped.Name, skipped.Reason))
	}
	for _, other := range hostsfile.Others(text, c.Names) {
		s.line(fmt.Sprintf("%s, line %d, gives %s another address, %s; most programs use the first line", c.HostsFile, other.Line, other.Name, other.Address))
	}
}

// printDiff prints the lines that leave the file and those that enter it. Only lines of
// the block can.
func (c *namesChange) printDiff(s *streams, opts namesOptions, before, after []byte) {
	if opts.json {
		return
	}
	fmt.Fprintln(s.Out, s.bold(c.HostsFile))
	for _, part := range []struct {
		sign        string
		from, other []byte
		show        func(string) string
	}{{"-", before, after, s.red}, {"+", after, before, s.green}} {
		known := map[string]bool{}
		for line := range bytes.Lines(part.other) {
			known[string(bytes.TrimRight(line, "\r\n"))] = true
		}
		for line := range bytes.Lines(part.from) {
			if text := string(bytes.TrimRight(line, "\r\n")); !known[text] {
				fmt.Fprintln(s.Out, part.show(part.sign+text))
			}
		}
	}
}

// report prints the state at the end; the error is exit code 1 if something is left to do.
func (c *namesChange) report(s *streams, opts namesOptions) error {
	if opts.json {
		if err := s.json(c); err != nil {
			return err
		}
	} else {
		switch {
		case c.State == namesChanged && len(c.Names) > 0:
			fmt.Fprintf(s.Err, "%s has %s of your projects now\n%s\n", c.HostsFile, count(len(c.Names), "name"), typed("Undo: devproxy names clean"))
		case c.State == namesChanged:
			fmt.Fprintf(s.Err, "%s no longer has names of your projects\n", c.HostsFile)
		case c.State == namesCurrent && len(c.Names) > 0:
			fmt.Fprintf(s.Err, "Nothing was changed: %s has %s of your projects already.\n", c.HostsFile, count(len(c.Names), "name"))
		case c.State == namesCurrent:
			fmt.Fprintf(s.Err, "Nothing was changed: %s has no names of your projects.\n", c.HostsFile)
		case opts.check:
			fmt.Fprintln(s.Err, typed("out of date; to write it: devproxy names sync"))
		case c.State == namesOutdated && !canAsk(s, false) && !opts.yes:
			fmt.Fprintln(s.Err, "not written: the change must be confirmed on a terminal, or with --yes")
		}
	}
	if c.State == namesOutdated || c.State == namesNeedsRoot {
		return exit(exitFailed)
	}
	return nil
}

// without returns the names that are not in others.
func without(names, others []string) []string {
	var rest []string
	for _, name := range names {
		if !slices.Contains(others, name) {
			rest = append(rest, name)
		}
	}
	return rest
}
