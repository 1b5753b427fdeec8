package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func newAllowCmd(s *streams) *cobra.Command {
	var file fileFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "allow",
		Short: "allow what the Proxyfile does outside its project",
		Long: `Lists what the Proxyfile does outside its project and remembers your consent: folders and unix sockets outside it,
upstreams on other machines, other origins that may read responses, and values of env() that are sent in a name, URL,
header or body. Values are never listed or kept, only the names of their variables.

Consent belongs to the repository: its worktrees share it, and moving or renaming a route does not need it again.
A running devproxy applies it at once.`,
		Example: "  devproxy allow\n  devproxy allow --yes",
		Args:    noArgs,
		RunE: interruptible(func(ctx context.Context, _ []string) error {
			return runAllow(ctx, s, file, yes)
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "allow all of it without asking")
	addFileFlags(cmd, &file)
	return cmd
}

func runAllow(ctx context.Context, s *streams, file fileFlags, yes bool) error {
	known, effects, err := loadEffects(s, file)
	if err != nil {
		return err
	}
	missing, err := known.missing(effects)
	switch {
	case err != nil:
		return err
	case len(effects) == 0:
		fmt.Fprintln(s.Out, "nothing in this Proxyfile needs consent")
		return nil
	case len(missing) == 0:
		fmt.Fprintln(s.Out, "everything is already allowed")
		return nil
	case yes:
		listEffects(s.Err, missing, nil)
	case !s.InTTY:
		listEffects(s.Err, missing, nil)
		return failf("read the list, then: devproxy allow --yes", "cannot ask without a terminal")
	case !askConsent(ctx, s, missing):
		return failf("devproxy up --partial serves the rest", "nothing was allowed")
	}
	if err := known.store.Allow(known.project, missing); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "allowed %s\n", count(len(missing), "effect"))
	return nil
}

func newDenyCmd(s *streams) *cobra.Command {
	var file fileFlags
	cmd := &cobra.Command{
		Use:   "deny",
		Short: "withdraw what devproxy allow has allowed here",
		Long: `Forgets every consent of this repository, and the one for the relay that its Proxyfile names. A running devproxy
stops serving these routes at once.`,
		Example: "  devproxy deny",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return runDeny(s, file) },
	}
	addFileFlags(cmd, &file)
	return cmd
}

func runDeny(s *streams, file fileFlags) error {
	path, _, err := file.find()
	if err != nil {
		return err
	}
	known := consentsFor(filepath.Dir(path))
	if known.unusable != nil {
		return known.unusable
	}
	// A file with mistakes names no relay. The consents are forgotten all the same.
	_, effects, _ := loadEffects(&streams{Err: io.Discard}, file)
	n, err := known.store.Deny(known.project, effects)
	if err != nil {
		return err
	}
	if n == 0 {
		fmt.Fprintln(s.Out, "nothing was allowed for this project")
		return nil
	}
	fmt.Fprintf(s.Out, "withdrew consent for %s\n", count(n, "effect"))
	return nil
}

// loadEffects returns the effects of a Proxyfile and the consents of its project.
// Mistakes are printed.
func loadEffects(s *streams, flags fileFlags) (*consents, []*plan.Effect, error) {
	loaded, known, err := loadProject(flags)
	if err != nil {
		return nil, nil, err
	}
	if loaded.Diagnostics.HasErrors() {
		return nil, nil, printMistakes(s, loaded)
	}
	return known, loaded.Plan.Effects(), nil
}
