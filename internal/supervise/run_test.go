package supervise

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/store"
)

// bench is a state directory with a repository whose pushes it takes, without
// hook or worker.
type bench struct {
	t      testing.TB
	cfg    *config.Config
	store  *store.Store
	gitDir string
	work   string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	c := config.Defaults()
	c.StateDir = filepath.Join(t.TempDir(), "state")
	c.KillGrace = config.Duration(200 * time.Millisecond)
	b := &bench{t: t, cfg: &c}
	gitDir, _ := bareRepo(t, map[string]string{"README": "hello\n"})
	real, err := filepath.EvalSymlinks(gitDir)
	if err != nil {
		t.Fatal(err)
	}
	b.gitDir, b.work = real, filepath.Join(filepath.Dir(real), "work")
	b.store, err = store.Open(t.Context(), c.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.store.Close() })
	return b
}

// queue commits a pipeline, and what else there is, and queues its run.
func (b *bench) queue(pipeline string, more map[string]string) event.Run {
	b.t.Helper()
	files := map[string]string{PipelineFile: pipeline}
	for name, text := range more {
		files[name] = text
	}
	old := git(b.t, b.gitDir, "rev-parse", "refs/heads/main")
	commit := pushCommit(b.t, b.gitDir, b.work, files)
	now := time.Now()
	u := event.Update{Old: old, New: commit, Ref: "refs/heads/main"}
	p := event.Push{ID: event.NewID(now), At: now, GitDir: b.gitDir, Pusher: "ann", Updates: []event.Update{u}}
	taken, err := b.store.TakePush(b.t.Context(), p, []store.Planned{{ID: event.NewID(now), Update: u}}, nil, now)
	if err != nil {
		b.t.Fatal(err)
	}
	return taken.Runs[0]
}

// ran is what a run left.
type ran struct {
	event.Run
	dir     runlog.Dir
	report  string // durations as TIME
	outcome runlog.Outcome
	records []event.Record
	jobs    map[string]event.Job
}

// Reports are compared without their times and the padding before them.
var durations = regexp.MustCompile(` +\d+(\.\d+s|m\d\ds)`)

// run runs a pipeline to its end.
func (b *bench) run(pipeline string, more map[string]string) ran {
	b.t.Helper()
	r := b.queue(pipeline, more)
	if err := Run(b.t.Context(), b.cfg, r.ID); err != nil {
		b.t.Fatal(err)
	}
	return b.result(r.ID)
}

func (b *bench) result(id string) ran {
	b.t.Helper()
	var out ran
	var err error
	if out.Run, err = b.store.Run(context.Background(), id); err != nil {
		b.t.Fatal(err)
	}
	out.dir = runlog.RunDir(b.cfg.StateDir, id)
	report, err := os.ReadFile(out.dir.PushLog())
	if err != nil {
		b.t.Fatal(err)
	}
	out.report = durations.ReplaceAllString(string(report), " TIME")
	if out.outcome, err = out.dir.Outcome(); err != nil {
		b.t.Fatal(err)
	}
	if out.records, err = out.dir.Records(); err != nil {
		b.t.Fatal(err)
	}
	jobs, err := b.store.Jobs(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	out.jobs = map[string]event.Job{}
	for _, j := range jobs {
		out.jobs[j.ID] = j
	}
	return out
}

// order is the types of the events, in order, without repetitions.
func (r ran) order() string {
	var out []string
	for _, rec := range r.records {
		if len(out) == 0 || out[len(out)-1] != string(rec.Type) {
			out = append(out, string(rec.Type))
		}
	}
	return strings.Join(out, " ")
}

func (r ran) log(t testing.TB, job string, n int) string {
	t.Helper()
	f, err := os.Open(r.dir.CommandLog(job, n))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b strings.Builder
	if err := runlog.WriteOutput(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const head = "(local ci (require :quire.ci))\n(local {: runtime} ci)\n"

func TestARunThatSucceeds(t *testing.T) {
	b := newBench(t)
	r := b.run(head+`
(ci.job :test [:quire/push] (fn [] (runtime.run "echo hello; echo oops >&2; cat README")))
(ci.job :quiet [:test] (fn [] nil))`, nil)
	if r.State != event.RunSucceeded || r.outcome.State != event.RunSucceeded {
		t.Fatalf("%s: %s\n%s", r.State, r.Reason, r.report)
	}
	want := fmt.Sprintf("run 1  main %s  2 jobs\n  ok     test TIME\n  skip   quiet TIME\nsuccess: run 1 succeeded in TIME\n", event.ShortOID(r.New))
	if r.report != want {
		t.Errorf("report\n%s\nwant\n%s", r.report, want)
	}
	if got := r.log(t, "test", 1); got != "hello\noops\nhello\n" && got != "hello\nhello\noops\n" && got != "oops\nhello\nhello\n" {
		t.Errorf("log %q", got)
	}
	if want := "run_started job_started sh_started sh_finished job_finished job_started job_finished guard_released run_finished"; r.order() != want {
		t.Errorf("events %s", r.order())
	}
	if _, err := os.Stat(r.dir.Workspace()); !os.IsNotExist(err) {
		t.Errorf("the workspace is still there: %v", err)
	}
	if j := r.jobs["test"]; j.State != event.JobSucceeded || j.Attempt != 1 || j.Duration <= 0 {
		t.Errorf("job %+v", j)
	}
	cmds, err := b.store.Commands(t.Context(), r.ID, "test")
	if err != nil || len(cmds) != 1 || cmds[0].Exit != 0 || cmds[0].FinishedAt.IsZero() || !strings.HasPrefix(cmds[0].Line, "echo hello") {
		t.Errorf("commands %+v, %v", cmds, err)
	}
}

func TestARunThatFails(t *testing.T) {
	b := newBench(t)
	r := b.run(head+`
(ci.job :lint {:inputs [:quire/push] :retries 1 :run (fn [] (runtime.run "echo 'lint.go:3: unused'; exit 3"))})
(ci.job :fine [:quire/push] (fn [] (runtime.sh "true")))
(ci.job :loose {:inputs [:quire/push] :allow-failure true :run (fn [] (error "no matter"))})
(ci.job :behind [:lint] (fn [] nil))`, nil)
	if r.State != event.RunFailed || r.jobs["behind"].State != event.JobBlocked || r.jobs["fine"].State != event.JobSucceeded {
		t.Errorf("%s: %s", r.State, r.Reason)
	}
	for _, want := range []string{
		"run 1  main ", "  4 jobs\n",
		"  FAIL   lint TIME  attempt 1 of 2: .quire/ci.fnl:4: echo 'lint.go:3: unused'; exit 3: exit 3\n         | lint.go:3: unused\n",
		"  FAIL   lint TIME  attempt 2 of 2: ",
		"  ok     fine TIME\n",
		"  FAIL   loose TIME  allowed to fail: .quire/ci.fnl:6: no matter\n",
		"  block  behind", "input 'lint' failed\n",
		"error: run 1 failed in TIME: lint; see it with: quire log 1 lint\n",
	} {
		if !strings.Contains(r.report, want) {
			t.Errorf("the report lacks %q:\n%s", want, r.report)
		}
	}
	if r.jobs["lint"].Attempt != 2 {
		t.Errorf("lint: %+v", r.jobs["lint"])
	}
}

func TestABrokenPipelineIsAFailedRunWithTheErrorInTheReport(t *testing.T) {
	b := newBench(t)
	r := b.run("(local ci (require :quire.ci))\n(ci.job :a/b [] (fn [] nil))\n", nil)
	if r.State != event.RunFailed {
		t.Errorf("%s", r.State)
	}
	for _, want := range []string{".quire/ci.fnl:2:", "^", "error: run 1 failed in TIME: .quire/ci.fnl:2:"} {
		if !strings.Contains(r.report, want) {
			t.Errorf("the report lacks %q:\n%s", want, r.report)
		}
	}
	if r.order() != "run_started guard_released run_finished" {
		t.Errorf("events %s", r.order())
	}
}
