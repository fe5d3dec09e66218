package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/spool"
	"quire/internal/store"
)

func newRunsCommand() *cobra.Command {
	var (
		repo, ref, state string
		limit            int
		before           int64
		asJSON           bool
	)
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List runs, newest first",
		Example: `  quire runs
  quire runs --repo project --state failed
  quire runs --json | jq -r 'select(.state == "failed") | .ref'`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			d, err := openDesk(ctx)
			if err != nil {
				return err
			}
			defer d.Close()
			f := store.Filter{Ref: fullRef(ref), State: event.RunState(state), Before: before, Limit: limit}
			if repo != "" {
				if f.GitDir, err = d.findRepository(ctx, repo); err != nil {
					return err
				}
			}
			runs, err := d.store.Runs(ctx, f)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				for _, r := range runs {
					if err := printJSON(out, r.AsText()); err != nil {
						return err
					}
				}
				return nil
			}
			if err := printRuns(out, runs, time.Now()); err != nil {
				return err
			}
			return printAside(out, d.cfg, f.GitDir)
		},
	}
	f := cmd.Flags()
	f.StringVar(&repo, "repo", "", "only runs of this repository: its `NAME` or path")
	f.StringVar(&ref, "ref", "", "only runs of this `REF` (a name without refs/ is a branch)")
	f.StringVar(&state, "state", "", "only runs in this `STATE`: queued, running, succeeded, failed, canceled, replaced, orphaned")
	f.IntVar(&limit, "limit", 20, "at most this many; 0 for all")
	f.Int64Var(&before, "before", 0, "only runs with a smaller `NUMBER`: the next page")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// printAside names the pushes that were set aside, to all repositories or one.
func printAside(w io.Writer, cfg *config.Config, gitDir string) error {
	aside, err := spool.Dir(cfg.StateDir).Aside()
	for _, a := range aside {
		if gitDir != "" && a.GitDir != gitDir {
			continue
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "set aside: push %s to %s: %s; try it again with: quire retry %s\n",
				plain(a.ID), plain(event.RepoName(a.GitDir)), plain(a.Why), plain(a.ID))
		}
	}
	return err
}

// fullRef is a ref as git names it; a person may leave out refs/heads/.
func fullRef(ref string) string {
	ref = event.UnescapeRef(ref)
	if ref == "" || strings.HasPrefix(ref, "refs/") {
		return ref
	}
	return "refs/heads/" + ref
}

func printRuns(w io.Writer, runs []event.Run, now time.Time) error {
	if len(runs) == 0 {
		_, err := fmt.Fprintln(w, "no runs")
		return err
	}
	p := paletteFor(w)
	var c columns
	c.colour = func(row, col int, cell string) string {
		if col == 1 {
			return p.state(cell)
		}
		return cell
	}
	for _, r := range runs {
		c.add(strconv.FormatInt(r.Number, 10), string(r.State), plain(event.RepoName(r.GitDir)), plain(event.ShortRef(r.Ref)), event.ShortOID(r.New),
			runTook(r, now), ago(r.QueuedAt, now), plain(r.Pusher), plain(r.Reason.String()))
	}
	return c.print(w)
}

// runTook is how long the run took, or has been going for.
func runTook(r event.Run, now time.Time) string {
	if r.State == event.RunRunning {
		return took(now.Sub(r.StartedAt))
	}
	return took(r.Duration)
}
