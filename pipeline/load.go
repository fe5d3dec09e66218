package pipeline

import (
	"context"
	"fmt"
)

// Load compiles a pipeline, evaluates it, and checks what it registers.
//
// What is wrong with the pipeline comes back as [Diagnostics], all of it at
// once. A [*Runaway] means that its evaluation could not be stopped at the
// limit. When ctx ends first, the error is its cause.
func Load(ctx context.Context, src Source, limits Limits) (*Pipeline, error) {
	l := &loading{src: src, limits: limits.withDefaults()}
	l.clock = newClock(ctx, l.limits)
	defer l.clock.stop()
	// When watch gives up, l belongs to the goroutine it leaves behind.
	if !l.clock.watch(l.run) {
		return nil, &Runaway{File: src.Name, Limit: l.limits.Stretch + l.limits.Grace}
	}
	if l.err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return l.pipeline, l.err
}

// loading is one call of Load.
type loading struct {
	src    Source
	limits Limits
	clock  *clock

	pipeline *Pipeline
	err      error
}

func (l *loading) run() {
	defer func() {
		// The pipeline's code runs protected; this is a fault of the compiler's
		// or of this package, and a broken run is better than a dead process.
		if fault := recover(); fault != nil {
			l.err = Diagnostics{{File: l.src.Name, Message: fmt.Sprintf("internal error: %v", fault)}}
		}
	}()
	prog, err := compileProgram(l.clock.ctx, l.src)
	if err != nil {
		l.err = l.overLimitOr(ofCompiler(err, prog.textOf))
		return
	}
	rec := newRecorder(l.src.Name)
	L, ci := prog.open(l.clock.ctx, rec.forms(), nil)
	defer closeState(L)
	rec.module = ci
	where := newPlaces(prog.textOf)

	var faults Diagnostics
	evaluated := prog.evaluate(L)
	if evaluated != nil && !rec.full {
		faults = l.overLimitOr(prog.diagnose(evaluated))
	}
	for _, f := range rec.faults {
		faults = append(faults, where.diagnostic(f.at, f.part, f.message, f.advice))
	}
	// The graph of a program that stopped half way is not the one it means.
	if evaluated == nil {
		jobs, g, findings := arrange(rec.jobs)
		for _, f := range findings {
			faults = append(faults, where.diagnostic(f.job.at, part{element: f.element}, f.message, f.advice))
		}
		l.pipeline = &Pipeline{
			Caches: rec.caches, Services: rec.services, Jobs: jobs,
			program: prog, graph: g, limits: l.limits,
		}
	}
	if len(faults) > 0 {
		l.pipeline, l.err = nil, faults.inOrder(l.src.Name)
		return
	}
	if rec.image != nil {
		l.pipeline.Image = rec.image.name
	}
	for _, r := range rec.jobs {
		r.job.Col = where.column(r.at)
	}
}

// overLimitOr is the diagnostics, unless what they report is that the time was
// over.
func (l *loading) overLimitOr(ds Diagnostics) Diagnostics {
	cause := l.clock.cause()
	if cause == nil {
		return ds
	}
	d := Diagnostic{File: l.src.Name, Message: cause.Error()}
	if len(ds) > 0 && ds[0].Line > 0 {
		d = ds[0]
		d.Message, d.Advice = cause.Error(), ""
	}
	return Diagnostics{d}
}
