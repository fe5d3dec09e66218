package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/supervise"
)

func newRunCommand() *cobra.Command {
	var asJSON, keep bool
	cmd := &cobra.Command{
		Use:   "run [DIR]",
		Short: "Run the pipeline of a checkout, here and now",
		Long: `Run the pipeline of the checkout at DIR (default: around the working directory)
as it lies there, uncommitted changes included, with the checkout as its
workspace. It is the same work as a pushed run's; nothing is recorded, and nothing
is mirrored. Ctrl-C stops it, to the last process.

Exit status 1 if the run does not succeed.`,
		Example: "  quire run\n  quire run --keep ~/src/project",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load()
			if err != nil {
				return err
			}
			o := supervise.LocalOptions{Dir: ".", Out: cmd.OutOrStdout(), Keep: keep}
			if len(args) > 0 {
				o.Dir = args[0]
			}
			if asJSON {
				o.Out = io.Discard
			}
			outcome, logs, err := supervise.Local(cmd.Context(), cfg, o)
			if err != nil {
				return usageError{err}
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), outcome); err != nil {
					return err
				}
			}
			if logs != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "logs: %s\n", logs)
			}
			if outcome.State != event.RunSucceeded {
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the outcome as JSON")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the logs of a run that succeeds, too")
	return cmd
}
