package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/service"
)

func newRestartCmd(s *streams) *cobra.Command {
	var file fileFlags
	cmd := &cobra.Command{
		Use:     "restart SERVICE",
		Short:   "stop a service and start it again",
		Long:    "Stops the command of a service that `devproxy up` runs for this folder, and starts it again. Requests to it wait until it is ready.",
		Example: "  devproxy restart web",
		Args:    oneArg("service", "devproxy restart web"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), statusTimeout)
			defer cancel()
			client, err := dialInstance(file)
			if err != nil {
				return err
			}
			if err := checkService(ctx, client, args[0], "devproxy status"); err != nil {
				return err
			}
			if err := client.Restart(ctx, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(s.Err, "%s restarts\n", printable(args[0]))
			return nil
		},
	}
	addFileFlags(cmd, &file)
	return cmd
}

// newGuardCmd is what `up` starts for each command. Help does not list it.
func newGuardCmd() *cobra.Command {
	return &cobra.Command{
		Use: service.Verb, Hidden: true, DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			if code := service.Guard(); code != 0 {
				return exit(code)
			}
			return nil
		},
	}
}
