package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"quire/hooks/install"
	"quire/internal/config"
	"quire/internal/executor/procs"
	"quire/internal/worker"
)

func newWorkerCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Work off what pushes have left, then leave",
		Long: `Take pushes from the spool, run their pipelines, and settle what a crash left.
The hook starts a worker when a push comes; one is enough for a state directory,
and a second one leaves at once. It leaves when there was nothing to do for
"linger".`,
		Example: `  quire worker --once      # at boot: go on where the power cut stopped it`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load()
			if err != nil {
				return err
			}
			return worker.Run(cmd.Context(), cfg, worker.Options{
				Once:   once,
				Log:    slog.New(slog.NewTextHandler(os.Stderr, nil)),
				Hooked: hooked,
				Kill:   endRun,
			})
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "leave when everything is done")
	return cmd
}

// hooked reports whether pushes to the repository call our hook.
func hooked(gitDir string) bool {
	repo, err := install.Find(gitDir)
	return err == nil && install.Ours(filepath.Join(repo.HooksDir, install.PostReceive))
}

// endRun ends everything that is left of a run whose supervisor is dead.
func endRun(ctx context.Context, runID string) error {
	return procs.KillRun(ctx, runID)
}

// startWorker makes sure that a worker sees what was just asked for.
func startWorker(cfg *config.Config) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	return worker.Start(cfg, self)
}
