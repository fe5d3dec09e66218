package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/jobfile"
	"quire/internal/runlog"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// adopt looks after running runs whose supervisors an earlier worker started:
// those that live are waited for, those that died are settled.
func (w *worker) adopt(ctx context.Context) error {
	running, err := w.store.Running(ctx)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	seen := map[string]bool{}
	for _, r := range running {
		if w.children[r.ID] != nil {
			continue
		}
		seen[r.ID] = true
		w.foreign[r.ID] = r.Run
	}
	for id := range w.foreign {
		what := "settle run " + id
		if w.waiting(what) {
			continue
		}
		if _, err := w.settle(ctx, id); errors.Is(err, store.ErrHeld) {
			continue // its supervisor lives
		} else if err != nil {
			w.failed(what)
			w.tell(what, err)
			continue
		}
		delete(w.backoff, what)
		delete(w.foreign, id)
	}
	return nil
}

// settle sees to a run whose supervisor is no more. Whatever the moment of its
// death, afterwards the run is queued as it was, or over in the store, in its
// files, and in the process table. The error is store.ErrHeld when the
// supervisor lives.
func (w *worker) settle(ctx context.Context, id string) (queued bool, err error) {
	lock, err := store.LockRun(w.cfg.StateDir, id)
	if err != nil {
		return false, err
	}
	defer lock.Release()
	r, err := w.store.Run(ctx, id)
	if errors.Is(err, store.ErrNone) {
		lock.Remove()
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.State == event.RunQueued {
		return true, nil
	}
	w.attempts.forget(workStart, id)
	deaths := w.attempts.deaths(workSettle, id)
	note, err := w.attempts.begin(workSettle, id)
	if err != nil {
		return false, err
	}
	switch {
	case deaths >= maxDeaths:
		err = w.settleUnread(ctx, r, deaths)
	case r.State == event.RunRunning:
		err = w.settleRunning(ctx, r)
	default:
		err = Conclude(ctx, w.cfg, w.store, r)
	}
	if err != nil {
		note.again()
		return false, err
	}
	w.removeWorkspace(r)
	if deaths < maxDeaths {
		w.showJobs(ctx, id)
		if now, err := w.store.Run(ctx, id); err == nil && !now.Interrupted { // else when it is known what comes of it
			w.notify(ctx, id)
		}
	}
	lock.Remove()
	note.done()
	return false, nil
}

// settleRunning ends a run that its supervisor has not: as the supervisor had
// already written, or else as orphaned.
func (w *worker) settleRunning(ctx context.Context, r event.Run) error {
	d := runlog.RunDir(w.cfg.StateDir, r.ID)
	if w.Kill != nil {
		if err := w.Kill(ctx, r.ID); err != nil {
			return err
		}
	}
	event.Reached(event.StepOrphanFound)
	out, err := d.Outcome()
	if errors.Is(err, fs.ErrNotExist) {
		out, err = w.lastWord(d, r)
	}
	if err != nil {
		return err
	}
	if out.State == event.RunOrphaned {
		if err := w.asked(ctx, &out); err != nil {
			return err
		}
	}
	if out.State == event.RunOrphaned {
		w.Log.Error("a run's supervisor died", "run", r.Number)
	}
	if !d.Ended() {
		if err := publish(d, r, out); err != nil {
			return err
		}
	}
	_, err = w.store.Finish(ctx, r.ID, store.Final{State: out.State, Reason: out.Reason, FinishedAt: out.FinishedAt,
		Duration: out.Duration, ReplacedBy: out.ReplacedBy, Jobs: jobsOf(r.ID, out), Interrupted: out.Interrupted})
	return err
}

// asked makes of the outcome of a run that died what somebody had asked for, if
// that was canceling it; else nobody asked for its end.
func (w *worker) asked(ctx context.Context, out *runlog.Outcome) error {
	stop, err := w.store.StopAsked(ctx, out.Run)
	switch {
	case err != nil:
		return err
	case stop.State == event.RunCanceled:
		out.State, out.Reason = stop.State, stop.Reason
	default:
		out.Interrupted = true
	}
	return nil
}

// lastWord is the outcome of a run that has no outcome file: what its last event
// says, if the supervisor died after that, else that it is orphaned.
func (w *worker) lastWord(d runlog.Dir, r event.Run) (runlog.Outcome, error) {
	out := runlog.Outcome{Run: r.ID, Number: r.Number, State: event.RunOrphaned,
		Reason: masked.Const("its supervisor died; what it had started was ended"), FinishedAt: time.Now().UTC()}
	first, last, err := d.Ends()
	if err != nil {
		return out, err
	}
	jobs, err := w.store.Jobs(context.Background(), r.ID)
	if err != nil {
		return out, err
	}
	for _, j := range jobs {
		if !j.State.Final() {
			j.State = event.JobCanceled
		}
		out.Jobs = append(out.Jobs, runlog.JobOutcome{ID: j.ID, State: j.State, Attempt: j.Attempt, Reason: j.Reason, Duration: j.Duration})
	}
	if last.Type != "" {
		// How long it took until it was last heard of.
		out.Duration = time.Duration(max(0, last.AtMS-first.AtMS)) * time.Millisecond
		if last.Type == event.RunFinished {
			out.State, out.Reason, out.Duration = event.RunState(last.State), last.Reason, time.Duration(last.DurationMS)*time.Millisecond
			out.FinishedAt, out.Interrupted = time.UnixMilli(last.AtMS).UTC(), last.Interrupted
		}
	}
	return out, nil
}

// publish completes a run's files: the last line of the report, the last event,
// the outcome; each if it is not there yet.
func publish(d runlog.Dir, r event.Run, out runlog.Outcome) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("end run %d: %w", r.Number, err)
	}
	said, err := endOf(d.PushLog())
	if err != nil {
		return fmt.Errorf("end run %d: %w", r.Number, err)
	}
	if !endSaid(said, r.Number) {
		a, err := runlog.Append(d.PushLog())
		if err != nil {
			return fmt.Errorf("end run %d: %w", r.Number, err)
		}
		err = a.LastLine(report(r).End(out.State, out.Duration, out.Reason, nil))
		if cerr := a.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("end run %d: %w", r.Number, err)
		}
	}
	_, last, err := d.Ends()
	if err != nil {
		return err
	}
	if last.Type != event.RunFinished {
		if err := recordEnd(d, out); err != nil {
			return fmt.Errorf("end run %d: %w", r.Number, err)
		}
	}
	return d.WriteOutcome(out)
}

// recordEnd adds the event that ends a run's list, with nothing of the list read.
func recordEnd(d runlog.Dir, out runlog.Outcome) error {
	a, err := runlog.Append(d.Events())
	if err != nil {
		return err
	}
	err = a.Record(event.Record{AtMS: out.FinishedAt.UnixMilli(), Type: event.RunFinished, State: string(out.State),
		Reason: out.Reason, DurationMS: out.Duration.Milliseconds(), Interrupted: out.Interrupted})
	if cerr := a.Close(); err == nil {
		err = cerr
	}
	return err
}

// endOf is the end of a file, as much as a last line takes; "" if there is none.
func endOf(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	const most = 64 << 10
	end, err := io.ReadAll(io.NewSectionReader(f, max(0, st.Size()-most), most))
	return string(end), err
}

// endSaid reports whether a report has its last line.
func endSaid(text string, number int64) bool {
	line := text[strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')+1:]
	for _, word := range []string{"success", "error", "warning"} {
		if strings.HasPrefix(line, fmt.Sprintf("%s: run %d ", word, number)) {
			return true
		}
	}
	return false
}

func jobsOf(runID string, out runlog.Outcome) []event.Job {
	var jobs []event.Job
	for _, j := range out.Jobs {
		jobs = append(jobs, event.Job{RunID: runID, ID: j.ID, State: j.State, Attempt: j.Attempt, Reason: j.Reason, Duration: j.Duration})
	}
	return jobs
}

// Conclude completes the files of a run that is over in the store and never had
// a supervisor, or one that could not write: canceled or replaced while it was
// queued. It does nothing to a run whose files are complete.
func Conclude(ctx context.Context, cfg *config.Config, st *store.Store, r event.Run) error {
	d := runlog.RunDir(cfg.StateDir, r.ID)
	if !r.State.Final() || d.Ended() {
		return nil
	}
	jobs, err := st.Jobs(ctx, r.ID)
	if err != nil {
		return err
	}
	out := runlog.Outcome{Run: r.ID, Number: r.Number, State: r.State, Reason: r.Reason, FinishedAt: r.FinishedAt,
		Duration: r.Duration, ReplacedBy: r.ReplacedBy, Interrupted: r.Interrupted}
	for _, j := range jobs {
		out.Jobs = append(out.Jobs, runlog.JobOutcome{ID: j.ID, State: j.State, Attempt: j.Attempt, Reason: j.Reason, Duration: j.Duration})
	}
	return publish(d, r, out)
}

func (w *worker) removeWorkspace(r event.Run) {
	d := runlog.RunDir(w.cfg.StateDir, r.ID)
	remove := func(ctx context.Context) error { return removeWorkspace(ctx, d) }
	if keepsWorkspace(w.cfg, r) {
		remove = func(ctx context.Context) error { return jobfile.Remove(ctx, d.Scratch()) }
	}
	w.tidier.add("remove the workspace of run "+r.ID, remove)
}

// keepsWorkspace reports whether the configuration keeps what the run worked in.
func keepsWorkspace(cfg *config.Config, r event.Run) bool {
	return cfg.KeepWorkspace == "always" || cfg.KeepWorkspace == "failed" && r.State != event.RunSucceeded
}
