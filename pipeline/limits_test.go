package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
)

// short is a limit that a test waits for.
var short = Limits{Stretch: 50 * time.Millisecond, Grace: time.Minute}

const spun = ".quire/ci.fnl:2:0: the pipeline's own code ran for more than 50ms"

func TestEvaluationThatDoesNotEnd(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"loop", "\n(while true nil)", ".quire/ci.fnl:2:0: the pipeline's own code ran for more than 50ms without giving way to a primitive"},
		{"caught loop", "(while true (pcall (fn [] (while true nil))))", ".quire/ci.fnl:1:"},
		{"recursion", "(fn f [] (f)) (f)", ".quire/ci.fnl:1:"},
		{"coroutines", "(while true ((coroutine.wrap (fn [] (while true nil)))))", ".quire/ci.fnl"},
		{"pattern", `(string.find (string.rep "a" 60) (.. (string.rep "a*" 30) "b"))`, ""},
		{"module", `(require :spin)`, ".quire/lib/spin.fnl:1:"},
		{"macro", "(macro spin [] (while true nil))\n(spin)", ""},
		{"text of a macro's error", "(macro spin [] (error (setmetatable {} {:__tostring (fn [] (while true nil))})))\n(spin)", spun},
		{"text of an error", "(error (setmetatable {} {:__tostring (fn [] (while true nil))}))", ""},
		{"error in a macro's error", "(macro spin [] (error (setmetatable {} {:__tostring (fn [] (error :no))})))\n(spin)", ".quire/ci.fnl:2:"},
		{"no text in a macro's error", "(macro spin [] (error (setmetatable {} {:__tostring (fn [] {})})))\n(spin)", ".quire/ci.fnl:2:"},
		{"registering for ever", "(local ci (require :quire.ci))\n(var i 0)\n(while true (set i (+ i 1)) (ci.job (.. \"a\" i) [:quire/push] (fn [])))",
			".quire/ci.fnl:3:28: A pipeline may have 10000 jobs at most."},
		{"failing for ever", "(local ci (require :quire.ci))\n(while true (ci.job :a [] (fn [])))", ".quire/ci.fnl:2:20: Job 'a' is registered more than once."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			src := source(test.text, "spin", "(while true nil)")
			limits := short
			if strings.HasSuffix(test.name, "for ever") {
				limits.Stretch = time.Minute // their own bound ends them
			}
			_, err := Load(context.Background(), src, limits)
			var ds Diagnostics
			if !errors.As(err, &ds) {
				t.Fatalf("got %v", err)
			}
			if len(ds) > maxDiagnostics {
				t.Errorf("%d diagnostics", len(ds))
			}
			if !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "internal error") || strings.Contains(err.Error(), "context canceled") {
				t.Errorf("got %s", ds.Summary())
			}
		})
	}
}

func TestLoadIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("changed my mind"))
	if _, err := Load(ctx, source("(while true nil)"), Limits{}); err == nil || err.Error() != "changed my mind" {
		t.Error(err)
	}
}

func TestRunFnThatDoesNotGiveWay(t *testing.T) {
	p, err := Load(context.Background(), source(prelude+`
(ci.job :loop [:quire/push] (fn [] (while true nil)))
(ci.job :caught [:quire/push] (fn [] (while true (pcall (fn [] (while true nil))))))
(ci.job :thread [:quire/push] (fn [] ((coroutine.wrap (fn [] (while true nil))))))
(ci.job :view [:quire/push] (fn [] (runtime.log (setmetatable {} {:__fennelview (fn [] (while true nil))}))))
(ci.job :raised [:quire/push] (fn [] (error (setmetatable {} {:__fennelview (fn [] (while true nil))}))))
(ci.job :fine [:quire/push] (fn [] (for [i 1 20] (runtime.log "x") (for [j 1 1000] nil)) {}))`), short)
	if err != nil {
		t.Fatal(err)
	}
	out := p.Run(context.Background(), newWorkshop(t), Options{MaxJobs: 2})
	const reason = ": the pipeline's own code ran for more than 50ms without giving way to a primitive"
	for i, j := range out.Jobs[:4] {
		wantState(t, j, event.JobFailed, fmt.Sprintf(".quire/ci.fnl:%d%s", i+3, reason))
	}
	if j := jobNamed(t, out, "raised"); j.State != event.JobFailed {
		t.Errorf("%s %s", j.State, j.Reason)
	}
	wantState(t, jobNamed(t, out, "fine"), event.JobSucceeded, "")
}

// The clock stands still while a primitive works: what a command takes is not
// the pipeline's own time.
func TestPrimitivesAreNotOnTheClock(t *testing.T) {
	p, err := Load(context.Background(), source(prelude+`
(ci.job :x [:quire/push] (fn [] (for [i 1 3] (runtime.run "sleep 0.1")) (print "ends") {}))`), short)
	if err != nil {
		t.Fatal(err)
	}
	out := p.Run(context.Background(), newWorkshop(t), Options{})
	wantState(t, out.Jobs[0], event.JobSucceeded, "")
}

// stuck is a library function that does not come back: the text of a module
// that never arrives.
func stuck(t *testing.T, text string) (Source, Limits) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	src := source(text)
	src.Lib = func(string) ([]byte, string, error) {
		<-release
		return nil, "", ErrNoModule
	}
	return src, Limits{Stretch: 20 * time.Millisecond, Grace: 20 * time.Millisecond}
}

func TestRunawayLoad(t *testing.T) {
	src, limits := stuck(t, "(require :slow)")
	_, err := Load(context.Background(), src, limits)
	var runaway *Runaway
	if !errors.As(err, &runaway) || runaway.Job != "" || runaway.File != ".quire/ci.fnl" {
		t.Fatalf("got %v", err)
	}
	if want := ".quire/ci.fnl: evaluation did not end within 40ms and could not be stopped"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestRunawayJob(t *testing.T) {
	src, limits := stuck(t, prelude+`
(ci.job :stuck {:inputs [:quire/push] :retries 3 :allow-failure true :run (fn [] (require :slow))})
(ci.job :busy [:quire/push] (fn [] (runtime.sh "sleep 600")))
(ci.job :later [:busy] (fn []))`)
	p, err := Load(context.Background(), src, limits)
	if err != nil {
		t.Fatal(err)
	}
	out := p.Run(context.Background(), newWorkshop(t), Options{MaxJobs: 2})
	var runaway *Runaway
	if !errors.As(out.Err, &runaway) || runaway.Job != "stuck" || runaway.Line != 3 {
		t.Fatalf("got %v", out.Err)
	}
	if got, want := states(out), "stuck failed, busy canceled, later canceled"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if out.State != event.RunFailed || out.Jobs[0].Attempt != 1 || out.Jobs[0].Allowed {
		t.Errorf("%+v", out)
	}
}

// A job that is stopped inside a primitive is not a runaway, however long the
// host takes to end it.
func TestSlowPrimitiveIsNoRunaway(t *testing.T) {
	p, err := Load(context.Background(), source(prelude+`
(ci.job :x {:inputs [:quire/push] :timeout "20ms" :run (fn [] (runtime.sh "x"))})`),
		Limits{Stretch: time.Minute, Grace: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	out := p.Run(context.Background(), &reluctant{newWorkshop(t)}, Options{})
	if out.Err != nil {
		t.Fatal(out.Err)
	}
	wantState(t, out.Jobs[0], event.JobFailed, "timed out after 20ms")
}

// reluctant takes longer to stop a command than the grace of Lua code.
type reluctant struct{ *workshop }

func (r *reluctant) Sh(ctx context.Context, _ Call, _ Command) (Result, error) {
	<-ctx.Done()
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
	return Result{}, context.Cause(ctx)
}
