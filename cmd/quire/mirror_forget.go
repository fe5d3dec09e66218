package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"quire/internal/event"
	"quire/internal/worker"
)

func newMirrorForgetCommand() *cobra.Command {
	var only string
	cmd := &cobra.Command{
		Use:   "forget REPO",
		Short: "Forget mirrors of a repository that nobody asks for any more",
		Long: `Forget mirrors of a repository: what quire put there, what it still owes, and
what it told their forges. Nothing is changed at the mirrors themselves.

Those go that the configuration no longer orders and no pipeline asked for, and
all of a repository that is gone; with --mirror, the one of that name, whoever
asked for it. If it is asked for again,
it starts anew: a ref that is there may then only be created or fast-forwarded,
and nothing of before is deleted there.`,
		Example:           "  quire mirror forget project\n  quire mirror forget --mirror gitlab.com/me/project project",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRepositories,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			d, err := openDesk(ctx)
			if err != nil {
				return err
			}
			defer d.Close()
			gitDir, err := d.findMirrored(ctx, args[0])
			if err != nil {
				return err
			}
			e, err := d.mirrors()
			if err != nil {
				return err
			}
			list, err := e.Status(ctx, gitDir, worker.MirrorOrders(d.cfg))
			if err != nil {
				return err
			}
			n := 0
			for _, s := range list {
				if only == "" && s.Retired == "" || only != "" && only != s.Target {
					continue
				}
				found, err := e.Forget(ctx, gitDir, s.URL)
				if err != nil {
					return err
				}
				if found {
					n++
					fmt.Fprintf(cmd.OutOrStdout(), "%s → %s forgotten\n", plain(event.RepoName(gitDir)), plain(s.Target))
				}
			}
			switch {
			case n > 0:
				return nil
			case only != "":
				return failedError{error: fmt.Errorf("%s has no mirror that is called %s; see: quire mirror status %s", args[0], only, args[0])}
			}
			return failedError{error: fmt.Errorf("every mirror of %s is asked for; to forget one all the same, name it with --mirror", args[0])}
		},
	}
	cmd.Flags().StringVar(&only, "mirror", "", "the mirror of this `NAME`, even if it is asked for")
	return cmd
}
