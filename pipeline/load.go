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
	switch {
	case l.faults == nil:
		return l.pipeline, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	for i := range l.faults {
		if l.faults[i].File == "" {
			l.faults[i].File = src.Name
		}
	}
	faults := l.faults.inOrder(src.Name).legible()
	return nil, faults[:min(len(faults), maxDiagnostics)]
}

// loading is one call of Load.
type loading struct {
	src    Source
	limits Limits
	clock  *clock

	template *template // of the state that evaluate used
	pipeline *Pipeline
	faults   Diagnostics
}

func (l *loading) run() {
	defer func() {
		// The pipeline's code runs protected; this is a fault of the compiler's
		// or of this package, and a broken run is better than a dead process.
		if fault := recover(); fault != nil {
			l.faults = l.overLimitOr(Diagnostics{{File: l.src.Name, Message: fmt.Sprintf("internal error: %v", fault)}})
		}
	}()
	prog, err := compileProgram(l.clock.ctx, l.src)
	if unread := prog.lib.unread(); err != nil && unread != nil {
		// The compiler knows only that it got no text.
		l.faults = Diagnostics{{File: l.src.Name, Message: unread.Error()}}
		return
	}
	if err != nil {
		l.faults = l.overLimitOr(ofCompiler(err, prog.textOf))
		return
	}
	rec, whole := l.evaluate(prog)
	l.check(prog, rec, whole)
}

// evaluate runs the program and records what it registers. whole is false when
// the program stopped half way.
func (l *loading) evaluate(prog *program) (rec *recorder, whole bool) {
	rec = newRecorder()
	L, ci := prog.open(l.clock.ctx, rec.forms(), nil)
	defer closeState(L)
	rec.module = ci
	l.template = newTemplate(L)
	err := prog.evaluate(L)
	if err != nil && !rec.full {
		l.faults = l.overLimitOr(prog.diagnose(err))
	}
	return rec, err == nil
}

// check turns what was recorded into a pipeline, or into diagnostics.
func (l *loading) check(prog *program, rec *recorder, whole bool) {
	where := newPlaces(prog.textOf)
	for _, f := range rec.faults {
		l.faults = append(l.faults, where.diagnostic(f.at, f.part, f.message, f.advice))
	}
	var jobs []*Job
	var g *graph
	var odd Diagnostics
	if whole { // else the graph is not the one that was meant
		var findings []finding
		jobs, g, findings = arrange(rec.jobs)
		for _, f := range findings {
			d := where.diagnostic(f.job.at, part{element: f.element}, f.message, f.advice)
			if d.Warning = f.odd; f.odd {
				odd = append(odd, d)
			} else {
				l.faults = append(l.faults, d)
			}
		}
	}
	if l.faults != nil {
		return
	}
	for _, r := range rec.jobs {
		r.job.Col = where.column(r.at)
		l.template.runs[r.job.ID] = r.run
	}
	l.pipeline = &Pipeline{
		Image: rec.imageName(), Caches: rec.caches, Services: rec.services, Jobs: jobs,
		program: prog, template: l.template, graph: g, limits: l.limits, odd: odd,
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
