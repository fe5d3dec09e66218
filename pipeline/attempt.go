package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
	"quire/internal/event"
	"quire/internal/secret"
)

// verdict is how one attempt of a job ended.
type verdict struct {
	state   event.JobState // succeeded, skipped, failed or canceled
	reason  secret.Masked
	outputs plain
	runaway *Runaway
}

// timeoutError is the cause with which a job's context ends at its :timeout.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string { return "timed out after " + shortDuration(e.after) }

// attempt runs a job once, in a state of its own.
func (x *execution) attempt(ctx context.Context, job *Job, number int) verdict {
	if job.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, job.Timeout, &timeoutError{job.Timeout})
		defer cancel()
	}
	a := &attempt{
		execution: x,
		job:       job,
		call:      Call{Job: job.ID, Attempt: number, Env: job.Env, Image: job.Image},
		clock:     newClock(ctx, x.pipeline.limits),
	}
	defer a.clock.stop()
	// When watch gives up, a belongs to the goroutine it leaves behind.
	if !a.clock.watch(a.run) {
		limits := x.pipeline.limits
		r := &Runaway{Job: job.ID, File: job.File, Line: job.Line, Limit: limits.Stretch + limits.Grace}
		return verdict{state: event.JobFailed, reason: x.reason(r), runaway: r}
	}
	return a.verdict()
}

// attempt is one call of a job's run-fn with all that belongs to it.
type attempt struct {
	*execution
	job   *Job
	call  Call
	clock *clock

	outputs plain // nil when the run-fn returned nothing; mostly a table
	err     error
}

// verdict judges what run left. The end of a context is told by its cause: the
// error that the pipeline's code met on the way out says less.
func (a *attempt) verdict() verdict {
	if a.err == nil {
		if a.outputs == nil {
			return verdict{state: event.JobSkipped}
		}
		if t, ok := a.outputs.(*plainTable); ok {
			if reason := exitReason(t); reason != "" {
				return verdict{state: event.JobFailed, reason: a.reason(errors.New(reason)), outputs: t}
			}
		}
		return verdict{state: event.JobSucceeded, outputs: a.outputs}
	}
	o := verdict{state: event.JobFailed, reason: a.reason(a.err)}
	var timeout *timeoutError
	var stretch *stretchError
	switch cause := a.clock.cause(); {
	case cause == nil:
	case errors.As(cause, &timeout):
		o.reason = a.reason(timeout)
	case errors.As(cause, &stretch):
		o.reason = a.reason(stretch)
		var r raised
		if errors.As(a.err, &r) && r.file != "" {
			o.reason = a.reason(fmt.Errorf("%s:%d: %w", r.file, r.line, stretch))
		}
	default:
		o.state, o.reason = event.JobCanceled, a.reason(cause)
	}
	return o
}

// exitReason says why a table of outputs means failure: its :exit is a number
// other than zero. "" if it does not.
func exitReason(t *plainTable) string {
	exit, ok := t.field("exit").(float64)
	if !ok || exit == 0 {
		return ""
	}
	reason := "exit " + vm.FormatNumber(exit)
	if signal, ok := t.field("signal").(string); ok {
		reason += " (" + printableWhole(signal) + ")"
	}
	if t.field("timed-out") == true {
		reason += ", timed out"
	}
	return reason
}

// run makes the attempt in a new state.
func (a *attempt) run() {
	defer func() {
		if fault := recover(); fault != nil {
			a.err = fmt.Errorf("internal error: %v", fault)
		}
	}()
	find := &finder{id: a.job.ID}
	out := &printer{attempt: a}
	if a.copied(find, out) {
		return
	}
	L, _ := a.pipeline.program.open(a.clock.ctx, find.forms(), out)
	defer closeState(L)
	a.evaluated(L, find, out)
}

// copied runs the attempt in a copy of the state that Load evaluated the
// pipeline in; false if there is none.
func (a *attempt) copied(find *finder, out *printer) bool {
	t := a.pipeline.template
	if t == nil || t.useless.Load() {
		return false
	}
	L, _ := a.pipeline.program.open(a.clock.ctx, find.forms(), out)
	defer closeState(L)
	if find.run, find.found = t.copyInto(a.clock.ctx, L, a.job.ID); !find.found {
		return false
	}
	a.runIn(L, find, out)
	return true
}

// evaluated evaluates the pipeline in a new state, and runs the attempt there.
func (a *attempt) evaluated(L *lua.LState, find *finder, out *printer) {
	if a.err = a.pipeline.program.evaluate(L); a.err != nil {
		return
	}
	if !find.found {
		a.err = fmt.Errorf("job '%s' was not registered when the pipeline was evaluated again for it; what a pipeline registers must not depend on time or chance", a.job.ID)
		return
	}
	a.runIn(L, find, out)
}

// runIn installs the runtime in a state that is ready and calls the run-fn. The
// runtime is released on every way out, before the state is closed.
func (a *attempt) runIn(L *lua.LState, find *finder, out *printer) {
	find.over = true
	rt := &Runtime{
		job: a.job, call: a.call, host: a.host, clock: a.clock,
		read: a.outputsOf, push: a.push.get, graph: a.pipeline.graph,
	}
	guard, err := rt.Install(L)
	if err != nil {
		a.err = err
		return
	}
	defer guard.Release()
	out.live = true
	defer out.flush()
	// Making the state was one stretch; the run-fn begins another.
	a.clock.pause()
	a.clock.resume()

	value, err := a.callRunFn(L, rt, find)
	if err == nil {
		err = a.accept(value)
	}
	a.err = err
}

// callRunFn calls what ci.job or ci.mirror was given.
func (a *attempt) callRunFn(L *lua.LState, rt *Runtime, find *finder) (lua.LValue, error) {
	if options, ok := find.run.(*lua.LTable); ok && a.job.Mirror != nil {
		L.Push(L.NewFunction(func(L *lua.LState) int {
			v, err := rt.runMirrorJob(L, options)
			if err != nil {
				L.Error(lua.LString(err.Error()), 0)
			}
			L.Push(v)
			return 1
		}))
	} else {
		L.Push(find.run)
	}
	L.Push(L.G.Registry.RawGetString(tableKey))
	if err := a.pipeline.program.protect(L, 1, 1); err != nil {
		return nil, err
	}
	v := L.Get(-1)
	L.Pop(1)
	return v, nil
}

// accept takes what the run-fn returned: a table, or a string, a number or true,
// which is then the output. false skips the job as nil does, because it is what
// (and on-main? (sh …)) gives.
func (a *attempt) accept(v lua.LValue) error {
	switch v := v.(type) {
	case *lua.LNilType:
		return nil
	case lua.LBool:
		if !bool(v) {
			return nil
		}
	}
	switch v.(type) {
	case lua.LBool, lua.LString, lua.LNumber, *lua.LTable:
		var err error
		a.outputs, err = freeze(v)
		return err
	}
	return fmt.Errorf("the run-fn of job '%s' returned a %s; it must return a table of outputs, or nil to skip the job", a.job.ID, v.Type())
}
