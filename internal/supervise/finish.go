package supervise

import (
	"context"
	"path/filepath"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/executor"
	"quire/internal/jobfile"
	"quire/internal/runlog"
	"quire/internal/secret/masked"
	"quire/internal/store"
	"quire/pipeline"
)

// closing is how long the executor may take to end what is left of the run.
const closing = 2 * time.Minute

// end tears the run down and records how it ended: once, whoever calls first,
// the run itself or the watchdog. The others wait until it is done.
func (s *supervision) end(c conclusion) { s.ending.Do(func() { s.tearDown(c) }) }

func (s *supervision) tearDown(c conclusion) {
	s.mu.Lock()
	ground, exec, h, repo, p := s.ground, s.exec, s.world, s.repo, s.pipeline
	s.mu.Unlock()
	j := s.journal
	// By now every job's runtime guard is released: pipeline.Run has returned, or
	// this process will not run another instruction of Lua for it.
	j.record(event.Record{Type: event.GuardReleased})
	if h != nil {
		j.note(h.close())
	}
	if exec != nil {
		s.closeExecutor(exec)
	}
	if ground != nil {
		j.note(ground.Close()) // which an executor has done
	}
	s.reportOwnMoves()
	event.Reached(event.StepClosed)
	if repo != nil {
		repo.Close()
	}
	s.conclude(c, p)
}

func (s *supervision) closeExecutor(exec executor.Executor) {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	_, err := jobfile.Within(ctx, func() (struct{}, error) { return struct{}{}, exec.Close(ctx) }, nil)
	if err != nil {
		s.journal.say(s.journal.report.Warning(masked.Format("cleaning up: %s", s.journal.mask(err.Error()))))
		s.journal.note(err)
	}
}

// conclude records the end: the last event, the store, the outcome.
func (s *supervision) conclude(c conclusion, p *pipeline.Pipeline) {
	j := s.journal
	reason := j.red.Again(c.reason)
	took := time.Since(s.began)
	out := runlog.Outcome{Run: s.run.ID, Number: s.run.Number, State: c.state, Reason: reason, ReplacedBy: c.by,
		FinishedAt: time.Now().UTC(), Duration: took, Interrupted: c.interrupted}
	final := store.Final{State: c.state, Reason: reason, FinishedAt: out.FinishedAt, Duration: took, ReplacedBy: c.by, Interrupted: c.interrupted}
	var blame []masked.Text // jobs that failed and count
	for _, r := range s.jobResults(c, p) {
		why := j.red.Again(r.Reason)
		out.Jobs = append(out.Jobs, runlog.JobOutcome{ID: r.ID, State: r.State, Attempt: r.Attempt, Reason: why, Duration: r.Duration})
		row := event.Job{RunID: s.run.ID, ID: r.ID, State: r.State, Attempt: r.Attempt, Reason: why, StartedAt: r.StartedAt, Duration: r.Duration}
		if !r.StartedAt.IsZero() {
			row.FinishedAt = r.StartedAt.Add(r.Duration)
		}
		final.Jobs = append(final.Jobs, row)
		if r.State == event.JobFailed && !r.Allowed {
			blame = append(blame, j.mask(r.ID))
		}
	}
	if j.rows != nil {
		j.rows.flush()
	}
	line := reason
	if len(blame) > 0 && c.state == event.RunFailed {
		line = someOf(blame)
	}
	if err := j.loss(); err != nil {
		j.say(j.report.Warning(masked.Format("not everything could be recorded: %s", j.mask(err.Error()))))
	}
	j.note(j.end(j.report.End(c.state, took, line, blame),
		event.Record{Type: event.RunFinished, State: string(c.state), Reason: reason, DurationMS: took.Milliseconds(), Interrupted: c.interrupted}))
	event.Reached(event.StepEventsOver)
	if s.store != nil {
		_, err := s.store.Finish(context.Background(), s.run.ID, final)
		j.note(err) // the worker makes up for it from the outcome
	}
	event.Reached(event.StepFinished)
	// Last, since it is what followers wait for: who looks at the run then finds
	// its final state everywhere.
	j.note(s.dir.WriteOutcome(out))
	s.final = out
	event.Reached(event.StepOutcome)
}

// jobResults is how the jobs ended; after a sudden end, that those were canceled
// which were not over.
func (s *supervision) jobResults(c conclusion, p *pipeline.Pipeline) []pipeline.JobResult {
	if c.jobs != nil || p == nil {
		return c.jobs
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]pipeline.JobResult, len(p.Jobs))
	for i, j := range p.Jobs {
		if r, over := s.ended[j.ID]; over {
			out[i] = r
			continue
		}
		out[i] = pipeline.JobResult{ID: j.ID, State: event.JobCanceled, Reason: c.reason}
	}
	return out
}

// someOf names the first few of many.
func someOf(names []masked.Text) masked.Text {
	const few = 4
	if more := len(names) - few; more > 0 {
		return masked.Format("%s and %d more", masked.Join(names[:few], ", "), masked.Int(more))
	}
	return masked.Join(names, ", ")
}

// finishUnwritten ends a run whose files cannot be written: the store at least
// shall know, and the worker writes the outcome when there is room.
func (s *supervision) finishUnwritten(err error) {
	out := runlog.Outcome{Run: s.run.ID, Number: s.run.Number, State: event.RunFailed,
		Reason: masked.Format("its files cannot be written: %s", s.vault.Redactor().Mask(err.Error())), FinishedAt: time.Now().UTC(), Duration: time.Since(s.began)}
	s.final = out
	s.dir.WriteOutcome(out) // the disk that failed may have room for this
	if s.store != nil {
		s.store.Finish(context.Background(), s.run.ID, store.Final{State: out.State, Reason: out.Reason,
			FinishedAt: out.FinishedAt, Duration: out.Duration})
	}
}

// removing is how long a supervisor stays to delete what the jobs left. A job can
// leave as many files as it has time to make.
const removing = 10 * time.Minute

// removeWorkspace deletes what commands could write to; the workspace only if the
// configuration does not keep it. The run is over by then, and nobody waits.
// What cannot be deleted stays for `quire gc`, and `quire doctor` names it.
func (s *supervision) removeWorkspace() {
	ctx, cancel := context.WithTimeout(context.Background(), removing)
	defer cancel()
	jobfile.Remove(ctx, s.dir.Scratch())
	switch keep := s.cfg.KeepWorkspace; {
	case s.overDisk.Load(): // it would be in everybody's way
	case keep == "always", keep == "failed" && s.final.State != event.RunSucceeded:
		return
	}
	jobfile.Remove(ctx, s.dir.Workspace())
}

func lockDir(cfg *config.Config) string { return filepath.Join(cfg.StateDir, "locks") }
