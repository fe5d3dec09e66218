package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/spool"
	"quire/internal/worker"
)

func newRetryCommand() *cobra.Command {
	var asJSON, follow bool
	cmd := &cobra.Command{
		Use:   "retry RUN|PUSH",
		Short: "Run the same commit again, as if it were pushed again",
		Long: `Make a new run of a finished run's commit, with the same push as its source.
The old run stays as it is; the new one names it.

A push that was set aside, because workers died while they read it, is named by
its id (quire runs shows it): it is taken again, as a push of now.`,
		Example:           "  quire retry 42\n  quire retry -f last\n  quire retry 01m8x2kq9v3f4s6t7w8y9zabcd",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if event.ValidID(args[0]) {
				if done, err := retryPush(cmd.OutOrStdout(), args[0], asJSON); done || err != nil {
					return err
				}
			}
			return onRun(ctx, args[0], func(d *desk, old event.Run) (err error) {
				if !old.State.Final() {
					return failedError{error: fmt.Errorf("run %d is %s; cancel it first, or wait", old.Number, old.State)}
				}
				run, err := worker.Retry(ctx, d.cfg, d.store, old.ID)
				if err != nil {
					return err
				}
				if err := startWorker(d.cfg); err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if follow {
					dir := runlog.RunDir(d.cfg.StateDir, run.ID)
					if _, err := runlog.Follow(ctx, out, dir.PushLog(), 0, dir.Ended); err != nil {
						return err
					}
					if run, err = d.ended(ctx, run); err != nil {
						return err
					}
				}
				switch {
				case asJSON:
					err = printJSON(out, run.AsText())
				case !follow:
					_, err = fmt.Fprintf(out, "run %d repeats run %d; watch it with: quire log -f %d\n", run.Number, old.Number, run.Number)
				}
				if err == nil && follow && run.State != event.RunSucceeded {
					err = errFailed
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "show the new run until it is over; exit status 1 if it does not succeed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the new run as JSON")
	return cmd
}

// retryPush has a push tried again that was set aside; done is false if there is
// none of this id.
func retryPush(out io.Writer, id string, asJSON bool) (done bool, err error) {
	cfg, err := config.Load()
	if err != nil {
		return false, err
	}
	p, err := worker.RetryPush(cfg, id)
	if errors.Is(err, spool.ErrNotAside) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := startWorker(cfg); err != nil {
		return false, err
	}
	if asJSON {
		p.Updates = event.EscapeRefs(p.Updates)
		return true, printJSON(out, p)
	}
	_, err = fmt.Fprintf(out, "push %s to %s is taken again, as %s; see its runs with: quire runs\n", id, plain(event.RepoName(p.GitDir)), p.ID)
	return true, err
}
