package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"quire/internal/worker"
)

func newGCCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove what retention does not keep",
		Long: `Remove runs beyond [retention] with their logs, workspaces whose deletion
failed, files that belong to no run, and caches of refs that are gone. Workers do the same by themselves after
runs. A run that somebody follows stays.`,
		Example: "  quire gc",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			d, err := openDesk(ctx)
			if err != nil {
				return err
			}
			defer d.Close()
			c, err := worker.Collect(ctx, d.cfg, d.store)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), map[string]int{
					"runs": c.Runs, "pushes": c.Pushes, "workspaces": c.Workspaces, "leftovers": c.Leftovers, "caches": c.Caches, "cut": c.Cut, "errors": len(c.Errors),
				})
			} else {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "removed %s, %s, %s, %s, %s\n",
					counted(c.Runs, "run"), counted(c.Pushes, "empty push record"), counted(c.Workspaces, "workspace"), counted(c.Leftovers, "leftover"), counted(c.Caches, "cache"))
			}
			if err == nil && c.Cut > 0 && !asJSON {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s cut for [retention] disk\n", counted(c.Cut, "run or cache"))
			}
			if err == nil && len(c.Errors) > 0 {
				err = failedError{error: errors.Join(c.Errors...)}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the counts as JSON")
	return cmd
}
