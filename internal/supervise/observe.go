package supervise

import (
	"time"

	"quire/internal/event"
	"quire/internal/secret/masked"
	"quire/pipeline"
)

// observer turns the changes of jobs' states into rows, events, and lines of
// the report. pipeline.Run calls it from one goroutine at a time.
type observer struct {
	s     *supervision
	jobs  map[string]*pipeline.Job
	began map[string]time.Time // of the first attempt
}

func newObserver(s *supervision, p *pipeline.Pipeline) *observer {
	o := &observer{s: s, jobs: map[string]*pipeline.Job{}, began: map[string]time.Time{}}
	for _, j := range p.Jobs {
		o.jobs[j.ID] = j
	}
	return o
}

func (o *observer) observe(e pipeline.JobEvent) {
	if e.State == event.JobRunning {
		o.started(e)
		return
	}
	o.ended(e)
}

func (o *observer) started(e pipeline.JobEvent) {
	if _, again := o.began[e.Job]; !again {
		o.began[e.Job] = e.At
	}
	if !o.jobs[e.Job].Interruptible {
		o.s.stop.began(e.Job)
	}
	j := o.s.journal
	j.job(event.Job{RunID: o.s.run.ID, ID: e.Job, State: e.State, Attempt: e.Attempt, StartedAt: o.began[e.Job]})
	j.record(event.Record{Type: event.JobStarted, Job: e.Job, Attempt: e.Attempt})
}

func (o *observer) ended(e pipeline.JobEvent) {
	j, job := o.s.journal, o.jobs[e.Job]
	reason := e.Reason
	if !e.Retry {
		if !job.Interruptible {
			o.s.stop.ended(e.Job)
		}
		row := event.Job{RunID: o.s.run.ID, ID: e.Job, State: e.State, Attempt: e.Attempt, Reason: reason,
			StartedAt: o.began[e.Job], Duration: e.Duration}
		if !row.StartedAt.IsZero() {
			row.FinishedAt = e.At
		}
		j.job(row)
		o.s.over(pipeline.JobResult{ID: e.Job, State: e.State, Attempt: e.Attempt, Reason: e.Reason, Allowed: job.AllowFailure,
			StartedAt: row.StartedAt, Duration: e.Duration})
	}
	j.record(event.Record{Type: event.JobFinished, Job: e.Job, Attempt: e.Attempt, State: string(e.State), Reason: reason,
		DurationMS: e.Duration.Milliseconds()})
	tail := o.s.world.failedOutput(e.Job)
	if e.State != event.JobFailed {
		tail = masked.Text{}
	}
	if e.State == event.JobCanceled && e.Attempt == 0 {
		return // a long graph's pending jobs would bury the line that says why
	}
	j.say(j.report.JobEnd(j.mask(e.Job), e.State, e.Duration, o.remark(e, job, reason), tail))
}

// over remembers how a job ended, for a run that ends suddenly.
func (s *supervision) over(r pipeline.JobResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = map[string]pipeline.JobResult{}
	}
	s.ended[r.ID] = r
}

// remark is what stands behind a job's time in the report.
func (o *observer) remark(e pipeline.JobEvent, job *pipeline.Job, reason masked.Text) masked.Text {
	if e.State == event.JobCanceled {
		reason = masked.Text{} // the run's last line says it
	}
	if done := o.s.world.takeRemark(e.Job); !done.IsZero() && reason.IsZero() {
		reason = done
	}
	var extra []masked.Text
	if e.Retry || e.Attempt > 1 {
		extra = append(extra, masked.Format("attempt %d of %d", masked.Int(e.Attempt), masked.Int(job.Retries+1)))
	}
	if e.State == event.JobFailed && job.AllowFailure && !e.Retry {
		extra = append(extra, masked.Const("allowed to fail"))
	}
	switch {
	case len(extra) == 0:
		return reason
	case reason.IsZero():
		return masked.Join(extra, ", ")
	}
	return masked.Format("%s: %s", masked.Join(extra, ", "), reason)
}
