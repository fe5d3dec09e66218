package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/worker"
)

func newCancelCommand() *cobra.Command {
	var asJSON, noWait bool
	cmd := &cobra.Command{
		Use:   "cancel RUN",
		Short: "Stop a run, to its last process",
		Long: `Stop a run. Its commands get SIGTERM and, after the grace that the
configuration names, SIGKILL; it counts as canceled when no process of it is
left, and the command returns then.`,
		Example:           "  quire cancel 42",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return onRun(ctx, args[0], func(d *desk, run event.Run) (err error) {
				if run.State.Final() {
					return failedError{error: fmt.Errorf("run %d is over: %s", run.Number, run.State)}
				}
				if run, err = worker.Cancel(ctx, d.cfg, d.store, run.ID, person()); err != nil {
					return err
				}
				// A supervisor that died leaves the rest to a worker.
				if err := startWorker(d.cfg); err != nil {
					return err
				}
				if !noWait {
					if run, err = d.ended(ctx, run); err != nil {
						return err
					}
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), run.AsText())
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "run %d: %s\n", run.Number, run.State)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the run as JSON")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "ask, and do not wait until it has stopped")
	return cmd
}

// ended waits until a run is over.
func (d *desk) ended(ctx context.Context, run event.Run) (event.Run, error) {
	dir := runlog.RunDir(d.cfg.StateDir, run.ID)
	watch := runlog.NewWatcher()
	defer watch.Close()
	watch.Add(string(dir))
	for !dir.Ended() {
		if err := watch.Wait(ctx); err != nil {
			return run, errors.New("it was asked to stop, and was still at it")
		}
	}
	// Not from the store: a supervisor for which the disk had no room has written
	// its outcome, and the worker brings the store to it.
	o, err := dir.Outcome()
	run.State, run.Reason, run.FinishedAt, run.Duration, run.ReplacedBy = o.State, o.Reason, o.FinishedAt, o.Duration, o.ReplacedBy
	return run, err
}

// person names who is at the keyboard.
func person() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("user %d", os.Getuid())
}
