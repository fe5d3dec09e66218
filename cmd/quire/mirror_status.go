package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/store"
	"quire/internal/worker"
	"quire/mirror"
)

func newMirrorStatusCommand() *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "status [REPO]",
		Short: "Show what is wanted at each mirror, what is there, and what is owed",
		Long: `Show what is wanted at each mirror, what is there, and what is owed, from what
quire has recorded: no remote is asked (the worker looks at each once a day).

Exit status 1 if anything is not as it is wanted.`,
		Example:           "  quire mirror status\n  quire mirror status --all project\n  quire mirror status --json | jq -r 'select(.refs[].drift) | .url'",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRepositories,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDesk(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			gitDir := ""
			if len(args) > 0 {
				if gitDir, err = d.findMirrored(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			e, err := d.mirrors()
			if err != nil {
				return err
			}
			list, err := e.Status(cmd.Context(), gitDir, worker.MirrorOrders(d.cfg))
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			for _, s := range list {
				if asJSON {
					err = printJSON(out, s)
				} else {
					err = printMirror(out, s, all, time.Now())
				}
				if err != nil {
					return err
				}
			}
			if len(list) == 0 && !asJSON {
				fmt.Fprintln(out, "nothing has been mirrored yet, and no [[mirror]] is for a repository that quire knows")
			}
			if slices.ContainsFunc(list, mirror.TargetStatus.Drift) {
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a mirror")
	cmd.Flags().BoolVar(&all, "all", false, "list also the refs that are as they should be")
	return cmd
}

// printMirror shows one mirror: a line for itself, and one for each ref that is
// not in step (with all, for every ref).
func printMirror(w io.Writer, s mirror.TargetStatus, all bool, now time.Time) error {
	p := paletteFor(w)
	behind := 0
	var c columns
	c.colour = func(_, col int, cell string) string {
		if col == 1 {
			return p.state(cell)
		}
		return cell
	}
	for _, r := range s.Refs {
		if r.Drift {
			behind++
		} else if !all {
			continue
		}
		want, there := event.ShortOID(r.Want), event.ShortOID(r.There)
		if event.IsZero(r.Want) {
			want = "deleted"
		}
		lag, next := "-", ""
		if r.Drift {
			lag = took(r.Lag)
		}
		if !r.NextAt.IsZero() {
			next = "next try " + timeOrDate(r.NextAt.Local(), now)
		}
		why := plain(r.Error)
		if r.Class != "" && r.State != store.DeliveryDiverged {
			why = string(r.Class) + ": " + why
		}
		c.add("  "+plain(event.ShortRef(r.Ref)), string(r.State), "want "+want, "there "+orNone(there), lag, next, why)
	}
	state := "in step"
	switch {
	case s.Retired != "" && gitrepo.Gone(s.GitDir):
		state = plain(s.Retired) + "; what it owes is delivered when it is back; if it was deleted: quire mirror forget"
	case s.Retired != "":
		state = plain(s.Retired) + "; take it off this list with: quire mirror forget"
	case s.New:
		state = p.paint(yellow, "nothing delivered yet; the worker sees to it when it next starts, or: quire mirror sync")
	case behind > 0:
		state = p.paint(red, fmt.Sprintf("%d of %s not in step", behind, refs(len(s.Refs))))
	case s.LookClass != "":
		state = p.paint(red, refs(len(s.Refs))+" in step for all that is known")
	case len(s.Refs) > 0:
		state = p.paint(green, refs(len(s.Refs))+" in step")
	}
	fmt.Fprintf(w, "%s → %s  %s", plain(event.RepoName(s.GitDir)), plain(s.Target), state)
	if !s.Checked.IsZero() {
		fmt.Fprintf(w, ", looked at %s", ago(s.Checked, now))
	}
	fmt.Fprintln(w)
	if s.LookClass != "" && s.Retired == "" {
		fmt.Fprintf(w, "  could not be looked at %s: %s: %s\n", ago(s.Unseen, now), s.LookClass, plain(s.LookError))
	}
	if !s.Expires.IsZero() {
		word := "ends"
		if s.Expires.Before(now) {
			word = "ended"
		}
		line := fmt.Sprintf("  secret %s %s on %s", plain(s.Secret), word, s.Expires.Format(time.DateOnly))
		if s.EndsSoon(now) {
			line = p.paint(yellow, line)
		}
		fmt.Fprintln(w, line)
	}
	if s.Statuses > 0 {
		fmt.Fprintf(w, "  %d commit statuses wait", s.Statuses)
		if s.StatusError != "" {
			fmt.Fprintf(w, ": %s", plain(s.StatusError))
		}
		fmt.Fprintln(w)
	}
	if err := c.print(w); err != nil {
		return err
	}
	for _, text := range s.Advice() {
		fmt.Fprintf(w, "  → %s\n", plain(text))
	}
	return nil
}

func refs(n int) string {
	if n == 1 {
		return "1 ref"
	}
	return fmt.Sprintf("%d refs", n)
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// timeOrDate is a time of today, or one with its date: a clock may have been set.
func timeOrDate(at, now time.Time) string {
	if at.Format(time.DateOnly) == now.Local().Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format(time.DateTime)
}
