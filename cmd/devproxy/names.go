package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/hostsfile"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/localca"
)

// namesOptions are the flags of names and its verbs.
type namesOptions struct {
	hosts            string
	check, json, yes bool
}

func newNamesCmd(s *streams) *cobra.Command {
	var opts namesOptions
	cmd := &cobra.Command{
		Use:   "names",
		Short: "list the names that your projects serve; put them into the hosts file",
		Long: `Lists the names that your running projects serve, and whether this machine's resolver finds them.

Browsers and curl find every name below .localhost by themselves. Other programs ask the system's resolver, and some read
only the hosts file. Where they do not find the names, devproxy names sync puts them there.

--check exits 1 if the system's resolver does not find one of the names.
--json prints one object per name.`,
		Example: "  devproxy names\n  devproxy names sync\n  devproxy names clean",
		Args:    noArgs,
		RunE:    interruptible(func(ctx context.Context, _ []string) error { return runNames(ctx, s, opts) }),
	}
	addNamesFlags(cmd, &opts)
	cmd.Flags().BoolVar(&opts.check, "check", false, "exit 1 if the system's resolver does not find one of the names")
	cmd.AddCommand(newNamesSyncCmd(s), newNamesCleanCmd(s), newNamesWriteCmd(s))
	return cmd
}

func newNamesSyncCmd(s *streams) *cobra.Command {
	var opts namesOptions
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "put the names of your running projects into the hosts file",
		Long: `Puts the names that all your running projects serve now into the hosts file, with 127.0.0.1 and ::1. They are in a block
between two marks, one block for each user. Names that no project serves leave it again.

Only names below .localhost, and in domains of devproxy trust --domain, are written. Everything outside the block stays
as it is. A hosts file has no wildcards, so wildcard hosts are left out.

The change is shown and confirmed first. If it needs root, so is the command that writes it; without a terminal both are
only shown. Exits 1 if something is left to do.

--check changes nothing, and exits 1 if the block is out of date.
--json prints one object.`,
		Example: "  devproxy names sync\n  devproxy names sync --check",
		Args:    noArgs,
		RunE: interruptible(func(ctx context.Context, _ []string) error {
			served, err := servedNames(ctx)
			if err != nil {
				return err
			}
			return changeNames(ctx, s, opts, served)
		}),
	}
	addNamesFlags(cmd, &opts)
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "write without asking, even as root")
	cmd.Flags().BoolVar(&opts.check, "check", false, "change nothing, exit 1 if the block is out of date")
	return cmd
}

func newNamesCleanCmd(s *streams) *cobra.Command {
	var opts namesOptions
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "remove your names from the hosts file",
		Long: `Removes the block that devproxy names sync has written for you. The rest of the file stays as it is, byte for byte.

--json prints one object.`,
		Example: "  devproxy names clean",
		Args:    noArgs,
		RunE: interruptible(func(ctx context.Context, _ []string) error {
			return changeNames(ctx, s, opts, nil)
		}),
	}
	addNamesFlags(cmd, &opts)
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "write without asking, even as root")
	return cmd
}

func addNamesFlags(cmd *cobra.Command, opts *namesOptions) {
	cmd.Flags().StringVar(&opts.hosts, "hosts", hostsfile.Path(), "the hosts `FILE`")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
}

// newNamesWriteCmd is the part of sync and clean that runs as root. It is hidden: people
// see it in the command that is shown to them.
func newNamesWriteCmd(s *streams) *cobra.Command {
	var id, hosts string
	var domains []string
	cmd := &cobra.Command{
		Use:     "write --user ID [NAME…]",
		Short:   "write the names of a user into the hosts file",
		Long:    "Writes the block of a user into the hosts file, and removes it without names. It is what devproxy names sync runs as root.",
		Example: "  sudo devproxy names write --user 1000 shop.localhost",
		Hidden:  true,
		RunE: interruptible(func(ctx context.Context, names []string) error {
			if err := hostsfile.CheckUser(id); err != nil {
				return usagef("devproxy names sync", "--user: %w", err)
			}
			if len(names) > hostsfile.MaxNames {
				return tooManyNames(len(names))
			}
			for _, domain := range domains {
				if _, err := localca.CheckDomain(domain); err != nil {
					return usagef("devproxy names sync", "--domain: %w", err)
				}
			}
			for _, name := range names {
				if err := hostsfile.Check(name, domains); err != nil {
					return usagef("devproxy names sync", "%w", err)
				}
			}
			changed, err := hostsfile.Write(ctx, hosts, id, names)
			if err != nil {
				return namesError(hosts, err)
			}
			if !changed {
				s.note(hosts + " was up to date")
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&id, "user", "", "the `ID` of the user whose block is written")
	cmd.Flags().StringSliceVar(&domains, "domain", nil, "a `DOMAIN` that the user trusts, next to .localhost")
	cmd.Flags().StringVar(&hosts, "hosts", hostsfile.Path(), "the hosts `FILE`")
	return cmd
}

// servedName is a name that a project of this user serves.
type servedName struct {
	name   string
	folder string
	file   string // where its host is written, and line; empty without a Proxyfile
	line   int
}

// servedNames returns the names that every running devproxy of this user serves. One that
// does not answer is an error: its names must not be lost. The name of the machine's page
// is among them, without a place.
func servedNames(ctx context.Context) ([]servedName, error) {
	if err := refuseSudo(); err != nil {
		return nil, err
	}
	running, _, err := askAll(ctx, statusTimeout)
	if err != nil {
		return nil, err
	}
	var all []servedName
	for _, instance := range running {
		folder := instance.Holder.Folder
		if instance.Err != nil {
			return nil, failf("try again, or end that one: devproxy down -C "+quoteSh(folder), "cannot ask which names %s serves: %w", devproxy.Home(folder), instance.Err)
		}
		for _, host := range instance.Status.Hosts {
			for _, name := range append([]string{host.Name}, host.Aliases...) {
				all = append(all, servedName{name, folder, host.File, host.Line})
			}
		}
	}
	if len(running) > 0 {
		all = append(all, servedName{name: hcl.OwnHost}) // every one serves it
	}
	slices.SortStableFunc(all, func(a, b servedName) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// userID is the id of this user in the marks of the hosts file.
func userID() (string, error) {
	if id := os.Getuid(); id >= 0 {
		return strconv.Itoa(id), nil
	}
	current, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("cannot tell which user this is: %w", err)
	}
	return current.Uid, nil
}

func tooManyNames(n int) error {
	return failf("stop a project, or use wildcard hosts, which are left out", "your projects serve %d names, and the hosts file takes at most %d", n, hostsfile.MaxNames)
}

// namesError adds the file to an error, and what helps.
func namesError(hosts string, err error) error {
	if broken, ok := errors.AsType[*hostsfile.BlockError](err); ok {
		return failf(fmt.Sprintf("edit %s and remove the lines that begin with \"# devproxy:\", and those between them that you don't need", hosts), "%s, %w", hosts, broken)
	}
	return err
}
