package main

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"quire/internal/event"
	"quire/internal/network"
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
	return mirror.New(d.store, filepath.Join(d.cfg.StateDir, "locks"), mirror.Network(network.Of(d.cfg)))
}

// mirrored are the repositories that were pushed to, and those that have a mirror
// all the same, as `quire mirror sync PATH` gives them one.
func (d *desk) mirrored(ctx context.Context) ([]string, error) {
	known, err := d.store.Repositories(ctx)
	if err != nil {
		return nil, err
	}
	targets, err := d.store.Targets(ctx, "", "")
	for _, t := range targets {
		known = append(known, t.GitDir)
	}
	slices.Sort(known)
	return slices.Compact(known), err
}

func (d *desk) findMirrored(ctx context.Context, name string) (string, error) {
	known, err := d.mirrored(ctx)
	if err != nil {
		return "", err
	}
	return findAmong(known, name)
}

// completeRepositories offers the repositories that there are mirrors for.
func completeRepositories(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	d, err := openDesk(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer d.Close()
	known, err := d.mirrored(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, dir := range known {
		names = append(names, event.RepoName(dir)+"\t"+dir)
	}
	return names, cobra.ShellCompDirectiveDefault
}
