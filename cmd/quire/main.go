// Command quire runs CI and mirroring for bare git repositories.
//
// This package is wiring: flags, what is printed for a person or a program, and
// exit statuses. One command is one file. What a command does lives in the
// packages it calls.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"quire/internal/executor/docker/inside"

	"github.com/spf13/cobra"
)

func main() {
	// The docker executor has this same program in its containers.
	if len(os.Args) > 1 && os.Args[1] == inside.Word {
		os.Exit(inside.Main(os.Args[1:]))
	}
	os.Exit(run(os.Args[1:]))
}

// run is main with its exit status as a value, so that defers run first.
func run(args []string) int {
	// SIGTERM is how a run is canceled and how a box shuts down: every command
	// sees it as the end of its context, and a second one kills as usual.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return report(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "quire",
		Short: "CI and mirroring that live in a bare repository's hooks",
		Long: `quire runs the pipeline of every push to a bare git repository
(.quire/ci.fnl, at the pushed commit) and keeps copies on GitHub, GitLab, Gitea
and Forgejo in step.

Start with:  quire install /srv/git/project.git`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{errors.New(err.Error() + "; see: " + cmd.CommandPath() + " --help")}
	})
	root.PersistentFlags().String("config", "", "configuration `FILE` (default: $QUIRE_CONFIG, ~/.config/quire/config.toml, /etc/quire/config.toml)")
	// The variable is what child processes (worker, supervisor) read too.
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if path, _ := cmd.Flags().GetString("config"); path != "" {
			if err := os.Setenv("QUIRE_CONFIG", path); err != nil {
				return err
			}
		}
		return asRunner(cmd, args)
	}
	root.AddCommand(
		newInstallCommand(),
		newUninstallCommand(),
		newCheckCommand(),
		newRunCommand(),
		newDoctorCommand(),
		newFennelCommand(),
		newPlaceCommand(),
		newUnitsCommand(),
		newRepositoriesCommand(),
		newVersionCommand(),
	)
	root.AddCommand(onState(
		newRunsCommand(),
		newShowCommand(),
		newLogCommand(),
		newArtifactCommand(),
		newRetryCommand(),
		newCancelCommand(),
		newGCCommand(),
		newMirrorCommand(),
		newServeCommand(),
		newSecretsCommand(),
		newWorkerCommand(),
		newSuperviseCommand(),
	)...)
	markUsage(root)
	return root
}

// markUsage makes a wrong number of arguments, or an unknown subcommand, a
// usage error (exit status 2) in every command.
func markUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{errors.New(err.Error() + "; see: " + c.CommandPath() + " --help")}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		markUsage(sub)
	}
}
