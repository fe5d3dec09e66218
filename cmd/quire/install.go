package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"quire/hooks"
	"quire/hooks/install"
)

func newInstallCommand() *cobra.Command {
	var asJSON, hooksOnly bool
	in := installer{}
	cmd := &cobra.Command{
		Use:   "install REPO…",
		Short: "Put quire's hooks into repositories",
		Long: `Puts quire's post-receive hook into repositories, so that each push to them
runs its pipeline, and lets pushes carry options (git push -o ci.skip).

One user runs a repository's pipelines, whoever pushes: its owner, or the user
that --runner names, which only root can do. Each user who may push is tried: the
installed hook program is called as that user, in a way that leaves nothing behind,
and looks whether the repository's hook leads to it. Root tries the
owner, the members of a shared repository's group, and those that --pusher names;
everybody else tries themselves.

A hook that is there already is kept, under its name, in hooks.before-quire, and
runs first. "quire uninstall" puts everything back as it was.`,
		Example: `  quire install /srv/git/project.git
  quire install --write-ahead /srv/git/*.git
  quire install --runner ci --pusher www-data /srv/git/site.git`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := in.prepare(); err != nil {
				return err
			}
			if hooksOnly { // root's process does the rest
				res, err := install.Install(args[0], in.options)
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), res)
			}
			return eachRepository(args, func(path string) error {
				res, err := in.install(path)
				if res.GitDir == "" {
					return err
				}
				if asJSON {
					return errors.Join(err, printJSON(cmd.OutOrStdout(), res))
				}
				return errors.Join(err, printInstalled(cmd.OutOrStdout(), res))
			})
		},
	}
	cmd.Flags().BoolVar(&in.options.WriteAhead, "write-ahead", false, "also install pre-receive, which records each push before git moves a ref")
	cmd.Flags().StringVar(&in.runner, "runner", "", "the `USER` whose worker runs the pipelines (default: the one recorded, else the repository's owner)")
	cmd.Flags().StringVar(&in.reason, "reason", "", "with --runner root: why root runs what others push (recorded)")
	cmd.Flags().StringSliceVar(&in.pushers, "pusher", nil, "a `USER` who pushes too, to be tried")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each repository")
	cmd.Flags().BoolVar(&hooksOnly, "hooks-only", false, "")
	_ = cmd.Flags().MarkHidden("hooks-only")
	return cmd
}

func newUninstallCommand() *cobra.Command {
	var asJSON, hooksOnly bool
	cmd := &cobra.Command{
		Use:   "uninstall REPO…",
		Short: "Take quire's hooks out of repositories",
		Long: `Takes quire's hooks out of repositories and puts back what was there before:
the earlier hook, and the repository's config. Runs and logs stay.

Hooks that other repositories call too (hooks is a link to one directory, or
core.hooksPath names it) stay there for them, and do nothing more for this one.`,
		Example: "  quire uninstall /srv/git/project.git",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := installer{}
			if err := in.prepare(); err != nil {
				return err
			}
			return eachRepository(args, func(path string) error {
				uninstall := in.uninstall
				if hooksOnly {
					uninstall = install.Uninstall
				}
				res, err := uninstall(path)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), res)
				}
				return printUninstalled(cmd.OutOrStdout(), res)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each repository")
	cmd.Flags().BoolVar(&hooksOnly, "hooks-only", false, "")
	_ = cmd.Flags().MarkHidden("hooks-only")
	return cmd
}

// eachRepository does all of them, whatever becomes of one, and returns all
// that went wrong.
func eachRepository(paths []string, do func(path string) error) error {
	var failed []error
	for _, path := range paths {
		failed = append(failed, do(path))
	}
	return errors.Join(failed...)
}

func printInstalled(w io.Writer, res installed) error {
	var b strings.Builder
	state := "installed in"
	if !res.Changed {
		state = "already in"
	}
	fmt.Fprintf(&b, "%s %s: %s\n", state, plain(res.GitDir), strings.Join(res.Hooks, ", "))
	for _, name := range res.Chained {
		kept := filepath.Join(filepath.Base(hooks.EarlierDir(res.HooksDir)), name)
		fmt.Fprintf(&b, "  the hook that was there runs first; it is now %s\n", plain(kept))
	}
	if res.PushOptions {
		b.WriteString("  push options are allowed (receive.advertisePushOptions)\n")
	}
	if res.Runner != "" {
		fmt.Fprintf(&b, "  its pipelines run as %s\n", plain(res.Runner))
	}
	for _, p := range res.Proofs {
		switch {
		case p.OK:
			fmt.Fprintf(&b, "  tried as %s: a push is recorded\n", plain(p.User))
			if p.Note != "" && !slices.Contains(res.Notes, p.Note) {
				res.Notes = append(res.Notes, p.Note)
			}
		case p.Untried && p.Note != "":
			fmt.Fprintf(&b, "  not tried as %s: %s\n", plain(p.User), plain(p.Note))
		case p.Untried:
			fmt.Fprintf(&b, "  not tried as %s, which only root can do\n", plain(p.User))
		}
	}
	for _, note := range res.Notes {
		fmt.Fprintf(&b, "  note: %s\n", plain(note))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printUninstalled(w io.Writer, res install.Result) error {
	if !res.Changed {
		_, err := fmt.Fprintf(w, "not in %s\n", plain(res.GitDir))
		return err
	}
	var b strings.Builder
	if res.Left {
		fmt.Fprintf(&b, "switched off for %s; its hook stays in %s, for %s\n", plain(res.GitDir), plain(res.HooksDir), plain(servedBy(res)))
	} else {
		fmt.Fprintf(&b, "taken out of %s: %s\n", plain(res.GitDir), strings.Join(res.Hooks, ", "))
	}
	for _, name := range res.Chained {
		fmt.Fprintf(&b, "  the hook that was there before is back: %s\n", name)
	}
	if res.PushOptions && (res.Left || slices.Contains(res.Hooks, install.PostReceive)) {
		b.WriteString("  the repository's config is as it was\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func servedBy(res install.Result) string {
	if len(res.SharedWith) == 0 {
		return "other repositories that may call it"
	}
	return listing(res.SharedWith)
}
