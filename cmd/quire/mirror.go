package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"quire/internal/event"
	"quire/mirror"
)

func newMirrorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mirror",
		Short: "Look at mirrors, bring them into step, forget them, pin SSH servers",
		Example: `  quire mirror status
  quire mirror sync project
  quire mirror trust git.example.org:2222`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMirrorStatusCommand(), newMirrorSyncCommand(), newMirrorTrustCommand(), newMirrorForgetCommand())
	return cmd
}

// mirrors is the engine on this state directory.
func (d *desk) mirrors() (*mirror.Engine, error) {
	return mirror.New(d.store, filepath.Join(d.cfg.StateDir, "locks"))
}

// completeRepositories offers the repositories that were pushed to.
func completeRepositories(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	d, err := openDesk(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer d.Close()
	known, err := d.store.Repositories(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, dir := range known {
		names = append(names, event.RepoName(dir)+"\t"+dir)
	}
	return names, cobra.ShellCompDirectiveDefault
}
