package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"quire/hooks"
	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/worker"
)

func newShowCommand() *cobra.Command {
	var asJSON, push bool
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run: its jobs, their commands, what was kept",
		Long: `Show a run: its jobs, their commands and exit statuses, and the files kept
with it. RUN is its number, the beginning of its id, or "last".

With --push, the argument is a push's id (or a run of it), and what is shown is
the report that the pusher saw, live if the push is still at work.`,
		Example: `  quire show 42
  quire show last --json
  quire show --push 42`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			d, err := openDesk(ctx)
			if err != nil {
				return err
			}
			defer d.Close()
			out := cmd.OutOrStdout()
			if push {
				id := args[0]
				if known, err := d.store.Knows(ctx, id); err != nil {
					return err
				} else if !known {
					run, err := d.resolve(ctx, id)
					if err != nil {
						return err
					}
					id = run.PushID
				}
				_, err := hooks.Report{StateDir: d.cfg.StateDir, PushID: id}.Follow(ctx, out, 0)
				return err
			}
			run, err := d.resolve(ctx, args[0])
			if err != nil {
				return err
			}
			v := runView{Run: run.AsText()}
			if v.Jobs, err = d.store.Jobs(ctx, run.ID); err != nil {
				return err
			}
			if v.Commands, err = d.store.Commands(ctx, run.ID, ""); err != nil {
				return err
			}
			if run.Interrupted {
				if v.After, err = worker.AfterInterruption(ctx, d.cfg, d.store, run); err != nil {
					return err
				}
			}
			dir := runlog.RunDir(d.cfg.StateDir, run.ID)
			v.Artifacts, v.Removed = artifacts(dir, v.Jobs), dir.Removed()
			if asJSON {
				return printJSON(out, v)
			}
			return v.print(out, time.Now())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&push, "push", false, "show the report of a push")
	return cmd
}

// runView is everything the store knows of a run.
type runView struct {
	event.Run
	After     string          `json:"after,omitempty"` // what became of it, if it was interrupted
	Jobs      []event.Job     `json:"jobs"`
	Commands  []event.Command `json:"commands"`
	Artifacts []artifact      `json:"artifacts,omitempty"`
	Removed   string          `json:"removed,omitempty"` // why logs and artifacts are gone
}

func (v runView) print(w io.Writer, now time.Time) error {
	p := paletteFor(w)
	var head columns
	head.add("run", strconv.FormatInt(v.Number, 10)+"  "+v.ID)
	head.add("state", p.state(string(v.State)))
	if !v.Reason.IsZero() {
		head.add("reason", plain(v.Reason.String()))
	}
	head.add("repository", plain(v.GitDir))
	head.add("ref", plain(v.Ref))
	head.add("commit", v.New)
	head.add("pushed", fmt.Sprintf("%s by %s", v.PushedAt.Local().Format(time.DateTime), plain(v.Pusher)))
	head.add("took", runTook(v.Run, now))
	if v.Removed != "" {
		head.add("logs", plain(v.Removed))
	}
	switch {
	case v.Rerun:
		head.add("again", "quire repeats "+v.RetryOf+", which was interrupted")
	case v.RetryOf != "":
		head.add("retry of", v.RetryOf)
	}
	if v.After != "" {
		head.add("afterwards", v.After)
	}
	if v.ReplacedBy != "" {
		head.add("replaced by", v.ReplacedBy)
	}
	if err := head.print(w); err != nil {
		return err
	}
	var c columns
	c.colour = func(_, col int, cell string) string {
		if col == 1 {
			return p.state(cell)
		}
		return cell
	}
	for _, j := range v.Jobs {
		reason := plain(j.Reason.String())
		if j.Attempt > 1 {
			reason = fmt.Sprintf("attempt %d  %s", j.Attempt, reason)
		}
		c.add("", string(j.State), plain(j.ID), took(j.Duration), reason)
		for _, cmd := range v.Commands {
			if cmd.Job == j.ID {
				c.add("", exitOf(cmd), "  "+strconv.Itoa(cmd.N)+". "+shorten(plain(cmd.Line.String()), 60), took(cmd.Duration), "")
			}
		}
		for _, a := range v.Artifacts {
			if a.Job == j.ID {
				c.add("", "kept", "  "+plain(a.Path), fmt.Sprintf("%d B", a.Bytes), "")
			}
		}
	}
	if len(c.rows) > 0 {
		fmt.Fprintln(w)
	}
	return c.print(w)
}

func exitOf(c event.Command) string {
	switch {
	case c.FinishedAt.IsZero():
		return "…"
	case c.Signal != "":
		return c.Signal
	}
	return "exit " + strconv.Itoa(c.Exit)
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// artifact is a file that a job kept.
type artifact struct {
	Job   string `json:"job"`
	Path  string `json:"path"` // as it was called in the workspace
	Bytes int64  `json:"bytes"`
	file  string
}

func artifacts(dir runlog.Dir, jobs []event.Job) []artifact {
	var found []artifact
	for _, j := range jobs {
		root := dir.Artifacts(j.ID)
		walkFiles(root, func(path, file string, st os.FileInfo) {
			found = append(found, artifact{j.ID, path, st.Size(), file})
		})
	}
	slices.SortFunc(found, func(a, b artifact) int { return strings.Compare(a.Job+"\x00"+a.Path, b.Job+"\x00"+b.Path) })
	return found
}
