package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"quire/hooks/install"
	"quire/internal/config"
	"quire/internal/executor/docker"
	"quire/internal/executor/procs"
	"quire/internal/runlog"
	"quire/internal/worker"
)

func newWorkerCommand() *cobra.Command {
	var once, listening bool
	var socket string
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
			if listening {
				return listen(cmd.Context(), cfg, socket)
			}
			leaveSession()
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			return worker.Run(cmd.Context(), cfg, worker.Options{
				Once:    once,
				Log:     log,
				Hooked:  hooked,
				Dropped: dropped(cfg, log),
				Kill:    func(ctx context.Context, runID string) error { return endRun(ctx, cfg, runID) },
			})
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "leave when everything is done")
	cmd.Flags().BoolVar(&listening, "listen", false, "take in pushes of users other than the runner, and start a worker for them")
	cmd.Flags().StringVar(&socket, "socket", "", "with --listen: the `PATH` of the Unix socket (default: the one that systemd passes on)")
	cmd.MarkFlagsMutuallyExclusive("once", "listen")
	return cmd
}

// leaveSession takes from a worker that a person started by hand what other
// workers do not have either (config.WorkerEnv).
func leaveSession() {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); config.OfSession(name) {
			os.Unsetenv(name)
		}
	}
	os.Setenv("LANG", config.WorkerLocale)
}

// hooked reports whether pushes to the repository call our hook.
func hooked(gitDir string) bool {
	repo, err := install.Find(gitDir)
	return err == nil && repo.Hooked()
}

// endRun ends everything that is left of a run whose supervisor is dead: its
// processes, and its containers where the configuration uses any.
func endRun(ctx context.Context, cfg *config.Config, runID string) error {
	err := procs.KillRun(ctx, runID)
	if usesDocker(cfg) {
		runs := filepath.Dir(string(runlog.RunDir(cfg.StateDir, runID)))
		err = errors.Join(err, docker.Sweep(ctx, runs, func(id string) bool { return id != runID }))
	}
	return err
}

func usesDocker(cfg *config.Config) bool {
	return cfg.Executor.Default == "docker" || slices.ContainsFunc(cfg.Executor.For, func(r config.ExecutorRule) bool { return r.Use == "docker" })
}

// startWorker makes sure that a worker sees what was just asked for.
func startWorker(cfg *config.Config) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	return worker.Start(cfg, self)
}
