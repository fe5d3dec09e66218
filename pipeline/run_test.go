package pipeline

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/internal/event"
)

func TestHowAJobEnds(t *testing.T) {
	tests := []struct {
		name, body string
		state      event.JobState
		reason     string
	}{
		{"nil", "nil", event.JobSkipped, ""},
		{"nothing", "", event.JobSkipped, ""},
		{"false", "(and false {})", event.JobSkipped, ""},
		{"table", "{}", event.JobSucceeded, ""},
		{"exit zero", "{:exit 0}", event.JobSucceeded, ""},
		{"exit", "{:exit 2}", event.JobFailed, "exit 2"},
		{"exit of sh", `(runtime.sh "exit 3")`, event.JobFailed, "exit 3"},
		{"exit by signal", `(runtime.sh "kill -9 $$")`, event.JobFailed, "exit 137 (SIGKILL)"},
		{"exit is text", `{:exit "2"}`, event.JobSucceeded, ""},
		{"string", `"done"`, event.JobSucceeded, ""},
		{"number", `0`, event.JobSucceeded, ""},
		{"true", `true`, event.JobSucceeded, ""},
		{"function", `(fn [])`, event.JobFailed, "the run-fn of job 'x' returned a function; it must return a table of outputs, or nil to skip the job"},
		{"error", `(error "no room")`, event.JobFailed, ".quire/ci.fnl:4: no room"},
		{"error without place", `(error "no room" 0)`, event.JobFailed, ".quire/ci.fnl:4: no room"},
		{"error of many lines", `(error "a\nb")`, event.JobFailed, ".quire/ci.fnl:4: a\nb"},
		{"error table", `(error {:code 3 :why ["no" "room"]})`, event.JobFailed, `.quire/ci.fnl:4: raised {:code 3 :why ["no" "room"]}`},
		{"error nil", `(error nil)`, event.JobFailed, ".quire/ci.fnl:4: raised nil"},
		{"assert", `(assert false "must")`, event.JobFailed, ".quire/ci.fnl:4: must"},
		{"call of nil", `(let [t {}] (t.nope))`, event.JobFailed, ""},
		{"concatenation of nil", `(let [push (runtime.jobs :quire/push)] (.. "x" push.tag))`, event.JobFailed, ".quire/ci.fnl:4: attempt to concatenate field 'tag' (a nil value)"},
		{"concatenation of a local", `(let [{: tag} (runtime.jobs :quire/push)] (.. "x" tag "y"))`, event.JobFailed, ".quire/ci.fnl:4: attempt to concatenate local 'tag' (a nil value)"},
		{"stack", `(fn f [] (+ 1 (f))) (f)`, event.JobFailed, ""},
		{"outputs with a function", `{:ok 1 :list [1 {:f (fn [])}]}`, event.JobFailed, "outputs.list[2].f is a function; only tables, strings, numbers and booleans can leave a job"},
		{"outputs with a strange key", `{:a {{} 1}}`, event.JobFailed, "outputs.a has a table as a key; only strings, numbers and booleans can leave a job"},
		{"outputs with a cycle", `(let [t {}] (set t.a {:b [t]}) t)`, event.JobFailed, "outputs.a.b[1] is a table that contains itself; outputs must be a tree"},
		{"outputs with a coroutine", `[(coroutine.create (fn []))]`, event.JobFailed, "outputs[1] is a thread; only tables, strings, numbers and booleans can leave a job"},
		{"outputs too deep", `(do (var t {}) (for [i 1 500] (set t [t])) t)`, event.JobFailed, ""},
		{"registering", `(ci.job :y [:quire/push] (fn []))`, event.JobFailed, ".quire/ci.fnl:4: quire.ci registers while ci.fnl is evaluated, not while a job runs"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			j, _ := runOne(t, newWorkshop(t), test.body)
			switch test.name {
			case "call of nil":
				if j.State != event.JobFailed || !strings.HasPrefix(j.Reason.String(), ".quire/ci.fnl:4: ") || strings.Contains(j.Reason.String(), "traceback") {
					t.Errorf("%s, %q", j.State, j.Reason)
				}
			case "stack": // whether there is room left to find the line is luck
				if j.State != event.JobFailed || strings.TrimPrefix(j.Reason.String(), ".quire/ci.fnl:4: ") != "stack overflow" {
					t.Errorf("%s, %q", j.State, j.Reason)
				}
			case "outputs too deep":
				if j.State != event.JobFailed || !strings.HasSuffix(j.Reason.String(), "is nested deeper than 200 tables") {
					t.Errorf("%s, %q", j.State, j.Reason)
				}
			default:
				wantState(t, j, test.state, test.reason)
			}
		})
	}
}

// An error in a module names the module's line.
func TestErrorInAModule(t *testing.T) {
	out := runIn(t, newWorkshop(t), prelude+`
(local build (require :tools.build))
(ci.job :x [:quire/push] (fn [] (build.go)))`,
		"tools.build", "{:go (fn []\n  (error :broken))}")
	wantState(t, out.Jobs[0], event.JobFailed, ".quire/lib/tools/build.fnl:2: broken")
}

func TestOutputsGoToTheJobsBehind(t *testing.T) {
	w := newWorkshop(t)
	out := runIn(t, w, prelude+`
(ci.job :make [:quire/push]
  (fn [{: jobs}]
    (let [shared [1]]
      {:sha (. (jobs :quire/push) :sha) :flag true :n 1.5 2 :two true :yes
       :twice [shared shared] :empty {} :nested {:deep {:er "x"}}})))
(ci.job :skip [:quire/push] (fn [] nil))
(ci.job :middle [:make :skip] (fn [{: jobs : log}]
  (log (jobs :make))
  (log (jobs :skip))
  (let [m (jobs :make)]
    (log [(rawequal (. m.twice 1) (. m.twice 2)) (rawequal m (jobs :make))])
    (set m.sha "changed"))
  {}))
(ci.job :end [:middle] (fn [{: jobs : log}]
  (log (. (jobs :make) :sha))
  (log (. (jobs :quire/push) :ref))
  {}))
(ci.job :other [:quire/push] (fn [{: jobs}] (jobs :make)))`)
	if got, want := states(out), "make succeeded, skip skipped, middle succeeded, end succeeded, other failed"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	wantState(t, jobNamed(t, out, "other"), event.JobFailed,
		".quire/ci.fnl:20: Job 'other' cannot read outputs from 'make' — not in transitive inputs")
	want := []string{
		`middle: {2 "two" true "yes" :empty {} :flag true :n 1.5 :nested {:deep {:er "x"}} :sha "` + testPush.SHA + `" :twice [[1] [1]]}`,
		"middle: nil",
		"middle: [true true]",
		"end: " + testPush.SHA,
		"end: refs/heads/main",
	}
	if got := w.log(); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What a pipeline keeps at its top level is not shared between jobs.
func TestJobsDoNotShareState(t *testing.T) {
	out := runIn(t, newWorkshop(t), prelude+`
(var n 0)
(each [_ name (ipairs [:a :b :c])]
  (ci.job name [(if (= name :c) :b :quire/push)] (fn [] (set n (+ n 1)) {:exit (- n 1)})))`)
	if got := states(out); got != "a succeeded, b succeeded, c succeeded" {
		t.Error(got)
	}
}

func TestFailureBlocks(t *testing.T) {
	var events []string
	p := load(t, prelude+`
(ci.job :bad [:quire/push] (fn [] {:exit 1}))
(ci.job :behind [:bad] (fn [] {}))
(ci.job :far [:behind :fine] (fn [] {}))
(ci.job :fine [:quire/push] (fn [] {}))
(ci.job :may {:inputs [:quire/push] :allow-failure true :run (fn [] {:exit 7 :note "x"})})
(ci.job :raises {:inputs [:quire/push] :allow-failure true :run (fn [] (error :no))})
(ci.job :after [:may :raises] (fn [{: jobs}] {:exit (if (and (= 7 (. (jobs :may) :exit)) (= nil (jobs :raises))) 0 1)}))`)
	out := p.Run(context.Background(), newWorkshop(t), Options{MaxJobs: 1, Observe: func(e JobEvent) {
		events = append(events, fmt.Sprintf("%s %s %d %s", e.Job, e.State, e.Attempt, e.Reason))
	}})
	if got, want := states(out), "bad failed, behind blocked, fine succeeded, far blocked, may failed, raises failed, after succeeded"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if out.State != event.RunFailed || out.Reason.String() != "job 'bad' failed: exit 1" {
		t.Errorf("%s %q", out.State, out.Reason)
	}
	if !jobNamed(t, out, "may").Allowed || jobNamed(t, out, "bad").Allowed {
		t.Error("Allowed is wrong")
	}
	want := []string{
		"bad running 1 ", "bad failed 1 exit 1",
		"behind blocked 0 input 'bad' failed", "far blocked 0 input 'behind' was blocked",
		"fine running 1 ", "fine succeeded 1 ",
		"may running 1 ", "may failed 1 exit 7",
		"raises running 1 ", "raises failed 1 .quire/ci.fnl:8: no",
		"after running 1 ", "after succeeded 1 ",
	}
	if !reflect.DeepEqual(events, want) {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(events, "\n"), strings.Join(want, "\n"))
	}
}

func TestRetries(t *testing.T) {
	w := newWorkshop(t)
	var events []JobEvent
	p := load(t, prelude+`
(ci.job :flaky {:inputs [:quire/push] :retries 3
  :run (fn [{: sh : log}]
    (let [r (sh "echo x >> tries; wc -l < tries")]
      (log r.stdout)
      {:exit (if (= "3\n" (r.stdout:gsub " " "")) 0 9)}))})
(ci.job :hopeless {:inputs [:quire/push] :retries 1 :run (fn [] (error :no))})`)
	out := p.Run(context.Background(), w, Options{MaxJobs: 1, Observe: func(e JobEvent) { events = append(events, e) }})
	if got, want := states(out), "flaky succeeded, hopeless failed"; got != want {
		t.Fatalf("%s, %v", got, out.Jobs)
	}
	if a, b := out.Jobs[0].Attempt, out.Jobs[1].Attempt; a != 3 || b != 2 {
		t.Errorf("attempts %d and %d, want 3 and 2", a, b)
	}
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprintf("%s %d %s %v", e.Job, e.Attempt, e.State, e.Retry))
	}
	want := []string{
		"flaky 1 running false", "flaky 1 failed true", "flaky 2 running false", "flaky 2 failed true",
		"flaky 3 running false", "flaky 3 succeeded false",
		"hopeless 1 running false", "hopeless 1 failed true", "hopeless 2 running false", "hopeless 2 failed false",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("events\n%s", strings.Join(got, "\n"))
	}
	for i, c := range w.calls {
		if c.Job != "flaky" || c.Attempt != i+1 {
			t.Errorf("call %d is %+v", i, c)
		}
	}
}

func TestJobTimeout(t *testing.T) {
	out := runIn(t, newWorkshop(t), prelude+`
(ci.job :sleeps {:inputs [:quire/push] :timeout "100ms" :run (fn [{: run}] (run "sleep 600"))})
(ci.job :spins {:inputs [:quire/push] :timeout "100ms" :run (fn [] (while true nil))})
(ci.job :clings {:inputs [:quire/push] :timeout "100ms" :run (fn [{: sh}] (while true (pcall sh "sleep 600")))})
(ci.job :behind [:spins] (fn [] {}))`)
	if got, want := states(out), "sleeps failed, spins failed, clings failed, behind blocked"; got != want {
		t.Fatalf("%s\nwant %s", got, want)
	}
	for _, j := range out.Jobs[:3] {
		wantState(t, j, event.JobFailed, "timed out after 100ms")
	}
}

// gate is a Host whose Log waits until it may go on, so that a test can hold
// jobs where it wants them.
type gate struct {
	*workshop
	arrived chan string
	leave   chan struct{}
}

func (g *gate) Log(call Call, _ string) {
	g.arrived <- call.Job
	<-g.leave
}

func (g *gate) Sh(ctx context.Context, call Call, _ Command) (Result, error) {
	g.arrived <- call.Job
	<-ctx.Done()
	return Result{}, context.Cause(ctx)
}

func TestIndependentJobsRunAtTheSameTime(t *testing.T) {
	g := &gate{newWorkshop(t), make(chan string), make(chan struct{})}
	p := load(t, prelude+`
(each [_ n (ipairs [:a :b :c :d :e])]
  (ci.job n [:quire/push] (fn [] (runtime.log :here) {})))`)
	var mu sync.Mutex
	running, most := 0, 0
	done := make(chan Outcome)
	go func() {
		done <- p.Run(context.Background(), g, Options{MaxJobs: 3, Observe: func(e JobEvent) {
			mu.Lock()
			defer mu.Unlock()
			if e.State == event.JobRunning {
				running++
				most = max(most, running)
			} else {
				running--
			}
		}})
	}()
	// Three must arrive without one of them leaving.
	for range 3 {
		<-g.arrived
	}
	go func() {
		for range 2 {
			<-g.arrived
		}
	}()
	close(g.leave)
	if out := <-done; out.State != event.RunSucceeded {
		t.Error(states(out))
	}
	if most != 3 {
		t.Errorf("%d jobs ran at the same time, want 3", most)
	}
}

func TestCancel(t *testing.T) {
	g := &gate{newWorkshop(t), make(chan string), make(chan struct{})}
	p := load(t, prelude+`
(ci.job :done [:quire/push] (fn [] {}))
(ci.job :busy [:done] (fn [] (runtime.sh "x") (runtime.sh "y")))
(ci.job :later [:busy] (fn [] {}))
(ci.job :spins [:done] (fn [] (while true nil)))
(ci.job :never [:done] (fn [] {}))`)
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan Outcome)
	go func() { done <- p.Run(ctx, g, Options{MaxJobs: 2}) }()
	if job := <-g.arrived; job != "busy" {
		t.Fatalf("%s arrived", job)
	}
	cancel(errors.New("ada asked for it"))
	out := <-done
	if got, want := states(out), "done succeeded, busy canceled, later canceled, spins canceled, never canceled"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if out.State != event.RunCanceled || out.Reason.String() != "ada asked for it" {
		t.Errorf("%s %q", out.State, out.Reason)
	}
	for _, j := range out.Jobs[1:] {
		wantState(t, j, event.JobCanceled, "ada asked for it")
	}
}

func TestCanceledBeforeItStarts(t *testing.T) {
	p := load(t, prelude+`(ci.job :a [:quire/push] (fn [] {}))`)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	out := p.Run(ctx, newWorkshop(t), Options{})
	if out.State != event.RunCanceled || out.Jobs[0].Attempt != 0 {
		t.Errorf("%+v", out)
	}
}

func TestNoJobs(t *testing.T) {
	out := runIn(t, newWorkshop(t), prelude)
	if out.State != event.RunSucceeded || len(out.Jobs) != 0 {
		t.Errorf("%+v", out)
	}
}

func TestOptionsReachTheHost(t *testing.T) {
	w := newWorkshop(t)
	out := runIn(t, w, prelude+`
(ci.job :x {:inputs [:quire/push] :image "img" :env {:A "1"} :run (fn [] (runtime.run "test $A = 1"))})`)
	if out.State != event.RunSucceeded {
		t.Fatal(out.Reason)
	}
	if want := (Call{Job: "x", Attempt: 1, Image: image(t, "img"), Env: map[string]string{"A": "1"}}); !reflect.DeepEqual(w.calls[0], want) {
		t.Errorf("%+v", w.calls[0])
	}
}

func TestMirrorJob(t *testing.T) {
	const text = prelude + `
(ci.job :test [:quire/push] (fn [] {}))
(ci.mirror "https://example.org/a.git"
  {:secret :token :tag (fn [{: sha : branch}] (.. branch "-" (sha:sub 1 4)))
   :refs ["refs/heads/main" "refs/heads/release/*"] :after [:test]})
(ci.mirror "https://example.org/b.git" {:as :b :secret :token :tag (fn [] nil)})
(ci.mirror "/srv/copy.git" {:as :c :tag (fn [] 5)})
(ci.mirror "/srv/copy.git" {:as :d :tag (fn [push] (error (.. "no tag for " push.ref)))})`
	w := newWorkshop(t)
	out := runIn(t, w, text)
	if got, want := states(out), "test succeeded, quire/mirror succeeded, quire/mirror/b succeeded, quire/mirror/c failed, quire/mirror/d failed"; got != want {
		t.Fatalf("%s\nwant %s", got, want)
	}
	wantState(t, out.Jobs[3], event.JobFailed, "ci.mirror: :tag must return a string, got number")
	wantState(t, out.Jobs[4], event.JobFailed, ".quire/ci.fnl:9: no tag for refs/heads/main")
	byTarget := map[string]Mirror{}
	for _, m := range w.mirrors {
		byTarget[m.As] = m
	}
	want := map[string]Mirror{
		"":  {URL: "https://example.org/a.git", Secret: "token", Tag: "main-1111", Refs: []string{"refs/heads/main"}},
		"b": {As: "b", URL: "https://example.org/b.git", Secret: "token"},
	}
	if !reflect.DeepEqual(byTarget, want) {
		t.Errorf("mirrored %+v", byTarget)
	}

	push := testPush
	push.Ref = "refs/heads/topic"
	out = load(t, text).Run(context.Background(), newWorkshop(t), Options{Push: push})
	if j := jobNamed(t, out, "quire/mirror"); j.State != event.JobSkipped {
		t.Errorf("a ref that is not in :refs: %s %s", j.State, j.Reason)
	}

	w = newWorkshop(t)
	w.mirror = func(Mirror) (MirrorResult, error) { return MirrorResult{}, errors.New("mirror example.org: refused") }
	out = runIn(t, w, text)
	wantState(t, jobNamed(t, out, "quire/mirror"), event.JobFailed, "mirror example.org: refused")
}

func TestMirroredRefs(t *testing.T) {
	tests := []struct {
		list   []string
		ref    string
		want   []string
		wanted bool
	}{
		{nil, "refs/heads/x", nil, true},
		{[]string{"refs/heads/main"}, "refs/heads/main", []string{"refs/heads/main"}, true},
		{[]string{"main"}, "refs/heads/main", []string{"refs/heads/main"}, true},
		{[]string{"refs/heads/main"}, "refs/heads/x", []string{"refs/heads/main"}, false},
		{[]string{"refs/heads/main", "refs/heads/next"}, "refs/heads/next", []string{"refs/heads/main", "refs/heads/next"}, true},
		{[]string{"refs/heads/*"}, "refs/heads/a/b", []string{"refs/heads/a/b"}, true},
		{[]string{"refs/tags/v*", "main"}, "refs/heads/main", []string{"refs/heads/main"}, true},
		{[]string{"refs/tags/v*", "main"}, "refs/tags/v1", []string{"refs/tags/v1", "refs/heads/main"}, true},
	}
	for _, test := range tests {
		got, wanted := mirroredRefs(test.list, test.ref)
		if wanted != test.wanted || wanted && !reflect.DeepEqual(got, test.want) {
			t.Errorf("mirroredRefs(%q, %q) = %q, %v", test.list, test.ref, got, wanted)
		}
	}
}

func TestPrintGoesToTheJobsLog(t *testing.T) {
	w := newWorkshop(t)
	out := runIn(t, w, prelude+`
(print "while it is evaluated")
(ci.job :x [:quire/push] (fn [] (print "a" 1) (print "two\nlines") {}))`)
	if out.State != event.RunSucceeded {
		t.Fatal(out.Reason)
	}
	if want := []string{"x: a\t1", "x: two\nlines"}; !reflect.DeepEqual(w.log(), want) {
		t.Errorf("%q", w.log())
	}
}

// What is printed at once is logged at once, or nobody could see that a secret
// stands across two lines of it.
func TestPrintIsLoggedWhole(t *testing.T) {
	w := newWorkshop(t)
	j, log := runOne(t, w, `(print (.. (string.rep "a" 70000) (string.rep "b" 70000) "\nc"))`)
	wantState(t, j, event.JobSkipped, "")
	if want := "x: " + strings.Repeat("a", 70000) + strings.Repeat("b", 70000) + "\nc"; len(log) != 1 || log[0] != want {
		t.Errorf("logged %d times", len(log))
	}
}

func TestDefrun(t *testing.T) {
	w := newWorkshop(t)
	out := runIn(t, w, prelude+`
(import-macros {: defrun} :quire.ci)
(ci.job :a [:quire/push] (defrun [sh log] (log "hi") (sh "exit 0")))
(ci.job :b [:a] (defrun [] nil))
(ci.job :c [:a] (defrun [read-file] (read-file "none")))`)
	if got, want := states(out), "a succeeded, b skipped, c failed"; got != want {
		t.Errorf("%s, want %s; %v", got, want, out.Jobs)
	}
}

// A run-fn may take the primitives from its argument, from quire.ci or from
// quire.runtime: it is one table.
func TestWaysToTheRuntime(t *testing.T) {
	w := newWorkshop(t)
	out := runIn(t, w, prelude+`
(local early (. (require :quire.ci) :runtime))
(local module (require :quire.runtime))
(ci.job :a [:quire/push] (fn [rt]
  (assert (rawequal rt early)) (assert (rawequal rt module)) (assert (rawequal rt runtime))
  (early.log "one") (let [{: log} rt] (log "two")) {}))`)
	if out.State != event.RunSucceeded {
		t.Fatal(out.Reason)
	}
	if want := []string{"a: one", "a: two"}; !reflect.DeepEqual(w.log(), want) {
		t.Errorf("%q", w.log())
	}
}

func TestRegistrationThatDependsOnChance(t *testing.T) {
	p := load(t, prelude+`
(ci.job (.. "j" (tostring {})) [:quire/push] (fn [] {}))`)
	if out := p.Run(context.Background(), newWorkshop(t), Options{}); out.State != event.RunSucceeded {
		t.Errorf("copied: %s %q", out.State, out.Reason)
	}
	p.template = nil
	out := p.Run(context.Background(), newWorkshop(t), Options{})
	if out.State != event.RunFailed || !strings.Contains(out.Reason.String(), "must not depend on time or chance") {
		t.Errorf("evaluated: %s %q", out.State, out.Reason)
	}
}

func TestFilesChangedIsAskedOnce(t *testing.T) {
	var mu sync.Mutex
	asked := 0
	push := testPush
	push.FilesChanged = func(context.Context) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return nil, nil
	}
	p := load(t, prelude+`
(for [i 1 5] (ci.job (.. "j" i) [:quire/push] (fn [] (runtime.jobs :quire/push))))
(ci.job :none [:quire/push] (fn [] {}))`)
	if out := p.Run(context.Background(), newWorkshop(t), Options{Push: push}); out.State != event.RunSucceeded || asked != 1 {
		t.Errorf("%s, asked %d times", out.Reason, asked)
	}
	push.FilesChanged = func(context.Context) ([]string, error) { return nil, errors.New("object missing") }
	out := p.Run(context.Background(), newWorkshop(t), Options{Push: push})
	wantState(t, jobNamed(t, out, "j1"), event.JobFailed, ".quire/ci.fnl:3: jobs: quire/push: list the changed files: object missing")
	wantState(t, jobNamed(t, out, "none"), event.JobSucceeded, "")
}

func TestRunsOfOnePipelineAtTheSameTime(t *testing.T) {
	p := load(t, prelude+`
(local lib (require :lib))
(for [i 1 8] (ci.job (.. "j" i) [(if (= i 1) :quire/push (.. "j" (- i 1)))] (fn [] {:n (lib.add i)})))`,
		"lib", "{:add (fn [n] (+ n 1))}")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if out := p.Run(context.Background(), newWorkshop(t), Options{}); out.State != event.RunSucceeded {
				t.Error(out.Reason)
			}
		})
	}
	wg.Wait()
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Second: "1m30s", 2*time.Hour + 5*time.Minute: "2h5m",
		time.Second: "1s", 1500 * time.Millisecond: "1.5s",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
