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
	var asJSON, writeAhead bool
	cmd := &cobra.Command{
		Use:   "install REPO…",
		Short: "Put quire's hooks into repositories",
		Long: `Puts quire's post-receive hook into repositories, so that each push to them
runs its pipeline, and lets pushes carry options (git push -o ci.skip).

A hook that is there already is kept beside it and runs first. "quire uninstall"
puts everything back as it was.`,
		Example: "  quire install /srv/git/project.git\n  quire install --write-ahead /srv/git/*.git",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			libexec, err := install.Libexec()
			if err != nil {
				return err
			}
			options := install.Options{Libexec: libexec, WriteAhead: writeAhead}
			return eachRepository(args, func(path string) error {
				res, err := install.Install(path, options)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), res)
				}
				return printInstalled(cmd.OutOrStdout(), res)
			})
		},
	}
	cmd.Flags().BoolVar(&writeAhead, "write-ahead", false, "also install pre-receive, which records each push before git moves a ref")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each repository")
	return cmd
}

func newUninstallCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "uninstall REPO…",
		Short: "Take quire's hooks out of repositories",
		Long: `Takes quire's hooks out of repositories and puts back what was there before:
the earlier hook, and the repository's config. Runs and logs stay.`,
		Example: "  quire uninstall /srv/git/project.git",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachRepository(args, func(path string) error {
				res, err := install.Uninstall(path)
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

func printInstalled(w io.Writer, res install.Result) error {
	var b strings.Builder
	state := "installed in"
	if !res.Changed {
		state = "already in"
	}
	fmt.Fprintf(&b, "%s %s: %s\n", state, plain(res.GitDir), strings.Join(res.Hooks, ", "))
	for _, name := range res.Chained {
		kept := filepath.Join(filepath.Base(res.HooksDir), name+hooks.ChainSuffix)
		fmt.Fprintf(&b, "  the hook that was there runs first; it is now %s\n", plain(kept))
	}
	if res.PushOptions {
		b.WriteString("  push options are allowed (receive.advertisePushOptions)\n")
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
	fmt.Fprintf(&b, "taken out of %s: %s\n", plain(res.GitDir), strings.Join(res.Hooks, ", "))
	for _, name := range res.Chained {
		fmt.Fprintf(&b, "  the hook that was there before is back: %s\n", name)
	}
	if slices.Contains(res.Hooks, install.PostReceive) && res.PushOptions {
		b.WriteString("  the repository's config is as it was\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
