package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"quire/internal/checked"
	"quire/internal/event"
	"quire/internal/runlog"
)

func newLogCommand() *cobra.Command {
	var follow, asJSON bool
	cmd := &cobra.Command{
		Use:   "log RUN [JOB | SERVICE]",
		Short: "Print what a run's jobs and services printed",
		Long: `Print the output of a run: of its jobs' commands, of print and (runtime.log …)
in the pipeline, and of its services; or of one job or service.
RUN is its number, the beginning of its id, or "last".

Without a terminal, and for one job, the bytes are the job's own; with several
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

	records int             // of events.jsonl, that have been looked at
	seen    map[string]bool // logs that have been printed, by path
	midLine bool            // the last output did not end its line
	heading string          // the last one

	split [2][]byte // with json: of each stream, the beginning of a character that goes on
}

// stdoutOf and stderrOf index what is kept for each stream.
const (
	stdoutOf = iota
	stderrOf
)

func indexOf(s runlog.Stream) int {
	if s == runlog.Stderr {
		return stderrOf
	}
	return stdoutOf
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
	services := l.dir.Services()
	if len(ids) > 0 && !slices.Contains(ids, l.job) && !slices.Contains(services, l.job) {
		return usageError{fmt.Errorf("run %d has no job %q; it has %s", l.run.Number, l.job, listing(append(ids, services...)))}
	}
	return nil
}

func (l *logPrinter) print(ctx context.Context, follow bool) error {
	if why := l.dir.Removed(); why != "" {
		fmt.Fprintf(os.Stderr, "run %d: %s\n", l.run.Number, plain(why))
	}
	watch := runlog.NewWatcher()
	defer watch.Close()
	for {
		over := l.dir.Ended()
		watch.Add(l.dir.Events())
		records, err := l.dir.Records()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for ; l.records < len(records); l.records++ {
			if err := l.record(ctx, records[l.records], follow); err != nil {
				return err
			}
		}
		if over || !follow {
			return errors.Join(l.services(), l.reason(ctx))
		}
		if err := watch.Wait(ctx); err != nil {
			return nil // whoever watches has seen enough
		}
	}
}

// record prints what an event tells of.
func (l *logPrinter) record(ctx context.Context, r event.Record, follow bool) error {
	if l.job != "" && r.Job != l.job {
		return nil
	}
	switch r.Type {
	case event.ShStarted:
		return l.command(ctx, r, follow)
	case event.Logged:
		return l.logged(r)
	}
	return nil
}

// logged prints what the pipeline itself said. Of a text that is too long for an
// event the rest stands in a file.
func (l *logPrinter) logged(r event.Record) error {
	l.seen[l.dir.JobLog(r.Job)] = true
	text := []byte(r.Text.String() + "\n")
	at := time.UnixMilli(r.AtMS).UTC()
	if l.json {
		for line := range bytes.Lines(text) {
			if err := l.encode(logLine{Job: r.Job, At: at, Stream: "log", Whole: true, Text: string(bytes.TrimSuffix(line, []byte("\n")))}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := l.head(plain(r.Job)); err != nil {
		return err
	}
	if l.terminal {
		var shown checked.Output
		text = shown.End(shown.Append(nil, text))
	}
	if l.midLine {
		l.midLine = false
		text = append([]byte("\n"), text...)
	}
	if _, err := l.w.Write(text); err != nil {
		return err
	}
	if r.TextCut() {
		return l.aside("the whole text: " + plain(l.dir.JobLog(r.Job)))
	}
	return nil
}

// services prints the logs of the run's services, or of the one that was asked for.
func (l *logPrinter) services() error {
	for _, name := range l.dir.Services() {
		if l.job != "" && name != l.job {
			continue
		}
		if err := l.file(event.Record{Job: name}, l.dir.ServiceLog(name), plain(name)+" (service)"); err != nil {
			return err
		}
	}
	return nil
}

// head prints a heading, if there is to be one and it is not the last one again.
func (l *logPrinter) head(text string) error {
	if l.json || l.job != "" && !l.palette.on || text == l.heading {
		return nil
	}
	l.heading = text
	return l.aside(text)
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
	heading := fmt.Sprintf("%s %d: %s", plain(r.Job), r.Sh, shorten(plain(r.Cmd.String()), 90))
	if !follow {
		return l.file(r, path, heading)
	}
	if err := l.head(heading); err != nil {
		return err
	}
	_, err := runlog.Follow(ctx, l.decoder(r), path, 0, func() bool { return l.dir.Ended() || l.finished(r) })
	return errors.Join(err, l.endOutput(r))
}

func (l *logPrinter) decoder(r event.Record) *runlog.Decoder {
	return &runlog.Decoder{Entry: func(e runlog.Entry) error { return l.entry(r, e) }}
}

// file prints a log as far as it is there.
func (l *logPrinter) file(r event.Record, path, heading string) error {
	l.seen[path] = true
	if err := l.head(heading); err != nil {
		return err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has printed nothing yet
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(l.decoder(r), f)
	return errors.Join(err, l.endOutput(r))
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
		text := l.characters(e)
		if text == "" && !e.Whole {
			return nil // all of it goes with the next
		}
		return l.encode(logLine{r.Job, r.Sh, e.At, string(e.Stream), e.Whole, e.Note, text})
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

func (l *logPrinter) encode(line logLine) error { return json.NewEncoder(l.w).Encode(line) }

// characters is the text of an entry in whole characters: the beginning of one at
// its end, whose rest a program has still to write, goes with the next entry.
func (l *logPrinter) characters(e runlog.Entry) string {
	if e.Note {
		return string(e.Text)
	}
	split := &l.split[indexOf(e.Stream)]
	text := append(*split, e.Text...)
	*split = nil
	if !e.Whole {
		for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
			if end := text[len(text)-n:]; utf8.RuneStart(end[0]) {
				if !utf8.FullRune(end) {
					text, *split = text[:len(text)-n], bytes.Clone(end)
				}
				break
			}
		}
	}
	return string(text)
}

// shown is what makes a stream of the command at hand fit for a terminal.
func (l *logPrinter) shown(s runlog.Stream) *checked.Output { return &l.output[indexOf(s)] }

// endOutput prints what was held back of a log, and ends its colours.
func (l *logPrinter) endOutput(r event.Record) error {
	for i, name := range []runlog.Stream{stdoutOf: runlog.Stdout, stderrOf: runlog.Stderr} {
		if half := l.split[i]; half != nil {
			l.split[i] = nil
			if err := l.encode(logLine{Job: r.Job, Sh: r.Sh, At: time.UnixMilli(r.AtMS).UTC(), Stream: string(name), Text: string(half)}); err != nil {
				return err
			}
		}
	}
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
	Job    string    `json:"job"` // or service
	Sh     int       `json:"sh"`  // 0: no command's
	At     time.Time `json:"at"`
	Stream string    `json:"stream"` // stdout, stderr, or log: what the pipeline itself said
	Whole  bool      `json:"whole"`  // the text ends a line
	Note   bool      `json:"note,omitempty"`
	Text   string    `json:"text"`
}
