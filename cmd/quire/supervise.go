package main

import (
	"github.com/spf13/cobra"

	"quire/internal/config"
	"quire/internal/supervise"
)

// newSuperviseCommand is the process that the worker starts for each run. It is
// not for people, and so not in the list of commands.
func newSuperviseCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "supervise RUN",
		Short:  "Run one queued run to its outcome (started by the worker)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load()
			if err != nil {
				return err
			}
			return supervise.Run(cmd.Context(), cfg, args[0])
		},
	}
}
