package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

func newUntrustCmd(s *streams) *cobra.Command {
	var opts trustOptions
	cmd := &cobra.Command{
		Use:   "untrust",
		Short: "take the CA out of the trust stores again",
		Long: `Takes devproxy's CA, and older ones of devproxy's, out of every trust store they are in.
The CA itself stays in $DEVPROXY_HOME.

--json prints one object a store: {"store","state","detail","fix","places"}.`,
		Example: "  devproxy untrust\n  devproxy untrust --store java",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runUntrust(cmd.Context(), s, opts) },
	}
	addTrustFlags(cmd, &opts)
	return cmd
}

// runUntrust works without a CA too: what was trusted before it was lost is to
// be undone all the same.
func runUntrust(ctx context.Context, s *streams, opts trustOptions) error {
	if err := checkStores(opts.stores); err != nil {
		return err
	}
	ca, err := trustCA(true)
	if errors.Is(err, localca.ErrNoCA) {
		fmt.Fprintln(s.Err, "there is no CA here; what devproxy put into the stores before is taken out")
		ca, err = nil, nil
	}
	if err != nil {
		return err
	}
	stores, err := pickStores(ca, opts)
	if err != nil {
		return err
	}
	t := &trustRun{streams: s, opts: opts}
	t.noteSudo(stores)
	t.each(ctx, stores, trust.Store.Uninstall)
	t.print()
	t.sayUnchanged(trust.Untrusted, "Nothing was changed: no store here has the CA.")
	return t.verdict(false)
}
