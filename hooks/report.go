package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"quire/internal/event"
	"quire/internal/runlog"
)

// Report is what a push has to tell: which runs it made, then what each of them
// said, in the order in which the worker listed them, and last what became of it
// at the mirrors that the configuration orders. Every follower of a push sees
// the same bytes, so one that broke off can go on at its offset.
type Report struct {
	StateDir string
	PushID   string
}

// Taken waits until the worker has taken the push, and returns its answer.
// The error is ctx's cause, or that the answer cannot be read.
func (r Report) Taken(ctx context.Context) (t runlog.Taken, err error) {
	err = r.await(ctx, func() error {
		t, err = runlog.ReadTaken(r.StateDir, r.PushID)
		return err
	})
	return t, err
}

// mirrors waits until there is a report of the mirrors, and returns it.
func (r Report) mirrors(ctx context.Context) (text []byte, err error) {
	err = r.await(ctx, func() error {
		text, err = os.ReadFile(runlog.MirrorReportFile(r.StateDir, r.PushID))
		return err
	})
	return text, err
}

// await calls read until the file that it wants is there.
func (r Report) await(ctx context.Context, read func() error) error {
	watch := runlog.NewWatcher()
	defer watch.Close()
	dir := runlog.PushesDir(r.StateDir)
	os.MkdirAll(dir, 0o700) // so that it can be watched; if not, the watcher polls
	watch.Add(dir)
	for {
		if err := read(); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := watch.Wait(ctx); err != nil {
			return err
		}
	}
}

// Follow writes the report to w from the given offset until all the runs are
// over and the mirrors have been told of, and returns the offset it reached. The error is w's, ctx's cause, or
// that a file cannot be read.
func (r Report) Follow(ctx context.Context, w io.Writer, offset int64) (int64, error) {
	t, err := r.Taken(ctx)
	if err != nil {
		return offset, err
	}
	rest := &skipping{w: w, skip: offset}
	_, err = io.WriteString(rest, Head(t))
	for _, run := range t.Runs {
		if err != nil {
			break
		}
		d := runlog.RunDir(r.StateDir, run.ID)
		_, err = runlog.Follow(ctx, rest, d.PushLog(), 0, d.Ended)
	}
	if err == nil && len(t.Mirrors) > 0 {
		var text []byte
		if text, err = r.mirrors(ctx); err == nil {
			_, err = rest.Write(text)
		}
	}
	return offset + rest.written, err
}

// Head is the report's beginning: the runs, if there are several, and what the
// worker had to say besides.
func Head(t runlog.Taken) string {
	var b strings.Builder
	if len(t.Runs) > 1 {
		b.WriteString(list(t.Runs))
	}
	for _, note := range t.Notes {
		b.WriteString(runlog.Plain(note) + "\n")
	}
	return b.String()
}

// list names runs, one a line, aligned.
func list(runs []runlog.TakenRun) string {
	numbers, refs := 0, 0
	for _, run := range runs {
		numbers = max(numbers, len(fmt.Sprint(run.Number)))
		refs = max(refs, utf8.RuneCountInString(runlog.Plain(event.ShortRef(run.Ref))))
	}
	var b strings.Builder
	for _, run := range runs {
		fmt.Fprintf(&b, "run %*d  %-*s  %s\n", numbers, run.Number, refs, runlog.Plain(event.ShortRef(run.Ref)), event.ShortOID(run.New))
	}
	return b.String()
}

// skipping leaves out the first bytes that are written to it.
type skipping struct {
	w       io.Writer
	skip    int64 // bytes still to be left out
	written int64 // bytes passed on
}

func (s *skipping) Write(p []byte) (int, error) {
	out := min(s.skip, int64(len(p)))
	s.skip -= out
	if out == int64(len(p)) {
		return len(p), nil
	}
	n, err := s.w.Write(p[out:])
	s.written += int64(n)
	return int(out) + n, err
}
