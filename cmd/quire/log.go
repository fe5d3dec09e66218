package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"quire/internal/checked"
	"quire/internal/event"
	"quire/internal/runlog"
)

func newLogCommand() *cobra.Command {
	var follow, asJSON bool
	cmd := &cobra.Command{
		Use:   "log RUN [JOB]",
		Short: "Print what a run's commands printed",
		Long: `Print the output of a run's commands, job by job, or of one job.
RUN is its number, the beginning of its id, or "last".

Without a terminal, and for one job, the bytes are the commands' own; with several
jobs a heading stands above each command's output. On a terminal colours pass, and
every other sequence that the terminal would obey is shown instead.`,
		Example: `  quire log 42
  quire log -f last test
  quire log 42 test | less -R
  quire log --json 42 | jq -r .text`,
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, to string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return completeJobs(cmd, args[0])
			}
			return completeRuns(cmd, args, to)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return onRun(ctx, args[0], func(d *desk, run event.Run) (err error) {
				l := logPrinter{desk: d, run: run, dir: runlog.RunDir(d.cfg.StateDir, run.ID), w: cmd.OutOrStdout(), json: asJSON, seen: map[string]bool{}}
				if len(args) == 2 {
					l.job = args[1]
					if err := l.checkJob(ctx); err != nil {
						return err
					}
				}
				l.palette, l.terminal = paletteFor(l.w), isTerminal(l.w)
				return l.print(ctx, follow)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run is over")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each line of output")
	return cmd
}

// logPrinter prints the logs of a run's commands in the order in which they
// started. The order comes from events.jsonl, which says when each started, so
// that following and printing afterwards give the same.
type logPrinter struct {
	desk    *desk
	run     event.Run
	dir     runlog.Dir
	job     string // "" is all
	w       io.Writer
	json    bool
	palette palette

	terminal bool              // of the output only lines and colours are passed on
	output   [2]checked.Output // stdout and stderr of the command at hand

	seen    map[string]bool
	midLine bool // the last output did not end its line
}

func (l *logPrinter) checkJob(ctx context.Context) error {
	jobs, err := l.desk.store.Jobs(ctx, l.run.ID)
	if err != nil {
		return err
	}
	var ids []string
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	if len(ids) > 0 && !slices.Contains(ids, l.job) {
		return usageError{fmt.Errorf("run %d has no job %q; it has %s", l.run.Number, l.job, listing(ids))}
	}
	return nil
}

func (l *logPrinter) print(ctx context.Context, follow bool) error {
	watch := runlog.NewWatcher()
	defer watch.Close()
	for {
		over := l.dir.Ended()
		watch.Add(l.dir.Events())
		records, err := l.dir.Records()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, r := range records {
			if r.Type != event.ShStarted || l.job != "" && r.Job != l.job {
				continue
			}
			if err := l.command(ctx, r, follow); err != nil {
				return err
			}
		}
		if over || !follow {
			return l.reason(ctx)
		}
		if err := watch.Wait(ctx); err != nil {
			return nil // whoever watches has seen enough
		}
	}
}

// reason prints what happened to a run that ran no command: its log would be
// empty and the person no wiser.
func (l *logPrinter) reason(ctx context.Context) error {
	if len(l.seen) > 0 || l.json {
		return nil
	}
	if l.job == "" {
		report, err := os.ReadFile(l.dir.PushLog())
		if err == nil {
			_, err = fmt.Fprintln(l.w, plainLines(string(report)))
			return err
		}
	}
	run, err := l.desk.store.Run(ctx, l.run.ID)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stderr, "no output: run %d is %s %s\n", run.Number, run.State, plain(run.Reason.String()))
	return err
}

func (l *logPrinter) command(ctx context.Context, r event.Record, follow bool) error {
	path := l.dir.CommandLog(r.Job, r.Sh)
	if l.seen[path] {
		return nil
	}
	l.seen[path] = true
	if !l.json && (l.job == "" || l.palette.on) {
		if err := l.aside(fmt.Sprintf("%s %d: %s", plain(r.Job), r.Sh, shorten(plain(r.Cmd.String()), 90))); err != nil {
			return err
		}
	}
	decoder := &runlog.Decoder{Entry: func(e runlog.Entry) error { return l.entry(r, e) }}
	if !follow {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it has printed nothing yet
		}
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(decoder, f)
		return errors.Join(err, l.endOutput())
	}
	_, err := runlog.Follow(ctx, decoder, path, 0, func() bool { return l.dir.Ended() || l.finished(r) })
	return errors.Join(err, l.endOutput())
}

// finished reports whether the command's end is among the events.
func (l *logPrinter) finished(started event.Record) bool {
	records, err := l.dir.Records()
	return err == nil && slices.ContainsFunc(records, func(r event.Record) bool {
		return r.Type == event.ShFinished && r.Job == started.Job && r.Sh == started.Sh
	})
}

func (l *logPrinter) entry(r event.Record, e runlog.Entry) error {
	switch {
	case l.json:
		return json.NewEncoder(l.w).Encode(logLine{r.Job, r.Sh, e.At, string(e.Stream), e.Whole, e.Note, string(e.Text)})
	case e.Note:
		return l.aside(plain(string(e.Text)))
	}
	l.midLine = !e.Whole
	out := e.AppendOutput(nil)
	if l.terminal {
		out = l.shown(e.Stream).Append(nil, out)
	}
	_, err := l.w.Write(out)
	return err
}

// shown is what makes a stream of the command at hand fit for a terminal.
func (l *logPrinter) shown(s runlog.Stream) *checked.Output {
	if s == runlog.Stderr {
		return &l.output[1]
	}
	return &l.output[0]
}

// endOutput prints what was held back of a command's output, and ends its colours.
func (l *logPrinter) endOutput() error {
	var rest []byte
	for i := range l.output {
		rest = l.output[i].End(rest)
	}
	_, err := l.w.Write(rest)
	return err
}

// aside prints a line of quire's own among the output.
func (l *logPrinter) aside(text string) error {
	start := ""
	if l.midLine {
		start, l.midLine = "\n", false
	}
	_, err := fmt.Fprintln(l.w, start+l.palette.paint(faint, "— "+text))
	return err
}

// logLine is what --json prints for a line of output. Bytes that are no UTF-8
// come out as U+FFFD; the plain form has them exactly.
type logLine struct {
	Job    string    `json:"job"`
	Sh     int       `json:"sh"`
	At     time.Time `json:"at"`
	Stream string    `json:"stream"`
	Whole  bool      `json:"whole"` // the text ends a line
	Note   bool      `json:"note,omitempty"`
	Text   string    `json:"text"`
}
