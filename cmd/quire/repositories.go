package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"quire/hooks/install"
)

// repositoryListing is a repository as `repositories --json` prints it.
type repositoryListing struct {
	Path   string `json:"path"`
	State  string `json:"state"` // see install.Look
	Runner string `json:"runner,omitempty"`
	Error  string `json:"error,omitempty"`
}

func newRepositoriesCommand() *cobra.Command {
	var asJSON, inUse bool
	cmd := &cobra.Command{
		Use:   "repositories",
		Short: "List the repositories that quire was installed in",
		Long: `Lists the repositories that quire was installed in with these programs, who
runs their pipelines, and whether a look confirms it.

With --in-use, only those whose pushes call quire; exit status 1 if there is one.`,
		Example: "  quire repositories\n  quire repositories forget /srv/git/deleted.git",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := registered()
			if err != nil {
				return err
			}
			if inUse {
				list = slices.DeleteFunc(list, func(l repositoryListing) bool {
					return l.State != install.StateInstalled && l.State != install.StateUnknown
				})
			}
			out := cmd.OutOrStdout()
			var c columns
			for _, l := range list {
				if asJSON {
					if err := printJSON(out, l); err != nil {
						return err
					}
					continue
				}
				c.add(l.State, plain(l.Runner), plain(l.Path), plain(l.Error))
			}
			if err := c.print(out); err != nil {
				return err
			}
			if inUse && len(list) > 0 {
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each repository")
	cmd.Flags().BoolVar(&inUse, "in-use", false, "only those whose pushes call quire")
	cmd.AddCommand(newRepositoriesForgetCommand())
	return cmd
}

func newRepositoriesForgetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "forget [REPO…]",
		Short: "Take repositories off the list",
		Long: `Takes repositories off the list; without a name, all that are gone or do not call
quire any more. Nothing in a repository is changed; its runs and logs stay.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := registered()
			if err != nil {
				return err
			}
			libexec, err := install.Libexec()
			if err != nil {
				return err
			}
			named := map[string]bool{}
			for _, arg := range args {
				path, err := filepath.Abs(arg)
				if err != nil {
					return err
				}
				if !slices.ContainsFunc(list, func(l repositoryListing) bool { return l.Path == path }) {
					return usageError{fmt.Errorf("%s is not on the list; quire repositories shows it", path)}
				}
				named[path] = true
			}
			for _, l := range list {
				if len(args) > 0 && !named[l.Path] || len(args) == 0 && (l.State == install.StateInstalled || l.State == install.StateUnknown) {
					continue
				}
				if err := install.RegistryOf(libexec).Forget(l.Path); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "forgotten: %s\n", plain(l.Path))
			}
			return nil
		},
	}
}

// registered looks at every repository on the list.
func registered() ([]repositoryListing, error) {
	libexec, err := install.Libexec()
	if err != nil {
		return nil, err
	}
	notes, err := install.RegistryOf(libexec).Notes()
	if err != nil {
		return nil, err
	}
	var list []repositoryListing
	var looker install.Looker
	for _, note := range notes {
		l := repositoryListing{Path: note.Path}
		state, who, err := looker.Look(note)
		l.State = state
		if err != nil {
			l.Error = err.Error()
		} else if state != install.StateGone {
			l.Runner = nameOf(who)
		}
		list = append(list, l)
	}
	return list, nil
}
