package pipeline

import (
	"container/heap"
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/secret/masked"
)

// Options are what Run needs besides the pipeline and the host.
type Options struct {
	Push    Push
	MaxJobs int // at the same time; 0 is one for each processor

	// Observe is told of every change of a job's state, as it happens and by one
	// goroutine at a time. The jobs wait for it. nil: nobody is told.
	Observe func(JobEvent)
}

// JobEvent is a change of a job's state.
type JobEvent struct {
	Job     string
	State   event.JobState
	Attempt int           // from 1; 0 for a job that never started
	Reason  secret.Masked // why failed, blocked or canceled
	Retry   bool          // State is failed, and another attempt follows
	At      time.Time

	// Duration is that of the attempt that ended, on the monotonic clock.
	Duration time.Duration
}

// Outcome is how a run of a pipeline ended.
type Outcome struct {
	State  event.RunState // succeeded, failed or canceled
	Reason secret.Masked  // one line; empty when it succeeded
	Jobs   []JobResult    // in the order of Pipeline.Jobs

	// Err is a *Runaway when a job's code could not be stopped, nil otherwise.
	// Its goroutine still runs; see Runaway.
	Err error
}

// JobResult is how a job ended.
type JobResult struct {
	ID      string
	State   event.JobState
	Attempt int           // the last one; 0 for a job that never started
	Reason  secret.Masked // why it did not succeed; may have several lines

	// Allowed is set on a failed job whose failure does not count.
	Allowed bool

	StartedAt time.Time     // of the first attempt
	Duration  time.Duration // of all attempts, on the monotonic clock
}

// Run runs the jobs: each when its inputs are over, those that do not depend on
// one another at the same time, in the order of Jobs where there are more ready
// than may run. When it returns no job of it runs any more, unless Outcome.Err
// says otherwise.
//
// When ctx ends, running jobs are stopped and all that have not finished are
// canceled, for the reason that is ctx's cause.
func (p *Pipeline) Run(ctx context.Context, host Host, opts Options) Outcome {
	x := &execution{
		pipeline: p,
		host:     host,
		observer: opts.Observe,
		push:     &pushOutputs{push: opts.Push},
		waiting:  make([]int, len(p.Jobs)),
		results:  make([]JobResult, len(p.Jobs)),
		outputs:  make([]plain, len(p.Jobs)),
		ended:    make(chan ending),
	}
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	defer x.cancel(context.Canceled)
	maxJobs := opts.MaxJobs
	if maxJobs <= 0 {
		maxJobs = runtime.GOMAXPROCS(0)
	}
	return x.run(maxJobs)
}

// execution is one call of Run. Its fields belong to the goroutine of that
// call; a job's goroutine reads of them only what was settled before it began.
type execution struct {
	pipeline *Pipeline
	host     Host
	push     *pushOutputs
	ctx      context.Context
	cancel   context.CancelCauseFunc

	waiting []int // inputs that are not over, by job
	ready   intHeap
	results []JobResult
	outputs []plain // nil for a job that was skipped or gave none
	ended   chan ending
	runaway *Runaway

	observing sync.Mutex
	observer  func(JobEvent)
}

// ending is a job's last verdict.
type ending struct {
	job int
	verdict
	attempts int
	duration time.Duration
}

func (x *execution) run(maxJobs int) Outcome {
	for i, j := range x.pipeline.Jobs {
		x.results[i] = JobResult{ID: j.ID, State: event.JobPending}
		if x.waiting[i] = len(x.pipeline.graph.inputs[i]); x.waiting[i] == 0 {
			heap.Push(&x.ready, i)
		}
	}
	for running := 0; ; running-- {
		for running < maxJobs && x.ready.Len() > 0 && x.ctx.Err() == nil {
			i := heap.Pop(&x.ready).(int)
			x.results[i].State, x.results[i].StartedAt = event.JobRunning, time.Now()
			running++
			go func() { x.ended <- x.perform(i) }()
		}
		if running == 0 {
			break
		}
		x.settle(<-x.ended)
	}
	return x.outcome()
}

// perform runs a job to its last attempt.
func (x *execution) perform(i int) ending {
	job := x.pipeline.Jobs[i]
	e := ending{job: i}
	began := time.Now()
	for {
		e.attempts++
		start := time.Now()
		x.observe(JobEvent{Job: job.ID, State: event.JobRunning, Attempt: e.attempts, At: start})
		e.verdict = x.attempt(x.ctx, job, e.attempts)
		again := e.state == event.JobFailed && e.runaway == nil && e.attempts <= job.Retries && x.ctx.Err() == nil
		x.observe(JobEvent{Job: job.ID, State: e.state, Attempt: e.attempts, Reason: e.reason, Retry: again,
			At: time.Now(), Duration: time.Since(start)})
		if !again {
			e.duration = time.Since(began)
			return e
		}
	}
}

// settle records how a job ended and what that means for those behind it.
func (x *execution) settle(e ending) {
	job := x.pipeline.Jobs[e.job]
	r := &x.results[e.job]
	r.State, r.Reason, r.Attempt, r.Duration = e.state, e.reason, e.attempts, e.duration
	x.outputs[e.job] = e.outputs
	if e.runaway != nil && x.runaway == nil {
		x.runaway = e.runaway
		x.cancel(e.runaway)
	}
	r.Allowed = e.state == event.JobFailed && job.AllowFailure && e.runaway == nil
	switch {
	case e.state == event.JobSucceeded, e.state == event.JobSkipped, r.Allowed:
		for _, d := range x.pipeline.graph.dependents[e.job] {
			if x.waiting[d]--; x.waiting[d] == 0 && x.results[d].State == event.JobPending {
				heap.Push(&x.ready, d)
			}
		}
	case e.state == event.JobFailed:
		x.block(e.job, "failed")
	}
}

// block marks every job behind one that failed.
func (x *execution) block(i int, how string) {
	for _, d := range x.pipeline.graph.dependents[i] {
		r := &x.results[d]
		if r.State != event.JobPending {
			continue
		}
		r.State, r.Reason = event.JobBlocked, x.host.Mask(fmt.Sprintf("input '%s' %s", x.pipeline.Jobs[i].ID, how))
		x.observe(JobEvent{Job: r.ID, State: r.State, Reason: r.Reason, At: time.Now()})
		x.block(d, "was blocked")
	}
}

// outcome ends the run: what has not started by now never will.
func (x *execution) outcome() Outcome {
	res := Outcome{State: event.RunSucceeded}
	failed := 0
	canceled := false
	for i := range x.results {
		r := &x.results[i]
		if !r.State.Final() {
			r.State, r.Reason = event.JobCanceled, x.reason(context.Cause(x.ctx))
			x.observe(JobEvent{Job: r.ID, State: r.State, Reason: r.Reason, At: time.Now()})
		}
		switch {
		case r.State == event.JobCanceled:
			canceled = true
		case r.State == event.JobFailed && !r.Allowed:
			if failed++; failed == 1 {
				res.Reason = masked.Format("job '%s' failed: %s", x.host.Mask(r.ID), firstLine(r.Reason))
			}
		}
	}
	res.Jobs = x.results
	switch {
	case x.runaway != nil:
		res.State, res.Reason, res.Err = event.RunFailed, x.reason(x.runaway), x.runaway
	case canceled:
		res.State, res.Reason = event.RunCanceled, x.reason(context.Cause(x.ctx))
	case failed > 0:
		res.State = event.RunFailed
		if failed > 1 {
			res.Reason = masked.Format("%s (and %d more)", res.Reason, masked.Int(failed-1))
		}
	}
	return res
}

// maxReason bounds what is kept of the reason of an end, in bytes: a pipeline can
// make it as long as it likes.
const maxReason = 4 << 10

// reason is what is recorded of an error: masked, and then cut.
func (x *execution) reason(err error) secret.Masked { return x.host.Mask(err.Error()).Cut(maxReason) }

// firstLine cuts a text for a place that has room for one line.
func firstLine(t secret.Masked) secret.Masked {
	const most = 200
	first, rest := t.FirstLine()
	if cut := first.Cut(most); cut != first || rest.Trim().IsZero() {
		return cut
	}
	return masked.Format("%s …", first)
}

func (x *execution) observe(e JobEvent) {
	if x.observer == nil {
		return
	}
	x.observing.Lock()
	defer x.observing.Unlock()
	x.observer(e)
}

// outputsOf is what a job that has ended gave.
func (x *execution) outputsOf(i int) plain { return x.outputs[i] }
