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
	"quire/internal/executor"
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

// runOn commits files on top of main to another ref, and performs its run.
func (b *bench) runOn(ref string, files map[string]string) ran {
	b.t.Helper()
	commit := commitTo(b.t, b.gitDir, b.work, ref, files)
	return b.perform(ref, commit)
}

// perform runs a commit that a ref names.
func (b *bench) perform(ref, commit string) ran {
	b.t.Helper()
	now := time.Now()
	u := event.Update{Old: strings.Repeat("0", len(commit)), New: commit, Ref: ref}
	p := event.Push{ID: event.NewID(now), At: now, GitDir: b.gitDir, Pusher: "bob", Updates: []event.Update{u}}
	taken, err := b.store.TakePush(b.t.Context(), p, []store.Planned{{ID: event.NewID(now), Update: u}}, nil, now)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := Run(b.t.Context(), b.cfg, taken.Runs[0].ID); err != nil {
		b.t.Fatal(err)
	}
	return b.result(taken.Runs[0].ID)
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
	if err != nil || len(cmds) != 1 || cmds[0].Exit != 0 || cmds[0].FinishedAt.IsZero() || !strings.HasPrefix(cmds[0].Line.String(), "echo hello") {
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

const token = "s3cr3t-t0ken-value-4711"

// A secret's value reaches the pipeline and its commands, and nothing that
// outlives them.
func TestASecretLeavesTheRunInNoForm(t *testing.T) {
	b := newBench(t)
	b.cfg.Secrets = map[string]config.Secret{"tok": {Name: "tok", Value: token}}
	r := b.run(head+`
(ci.job :use [:quire/push]
  (fn []
    (let [s (runtime.secret :tok)
          r (runtime.sh ["sh" "-c" "printf %s \"$1\"; printf '%s' \"$1\" | base64 >&2; printf %s \"$1\" > kept.txt" "x" s])]
      (when (not= r.stdout s) (error "the real value did not come back"))
      (runtime.log (.. "log " s))
      (runtime.artifact "kept.txt")
      (runtime.sh (.. "echo arg " s "; exit 3") {:env {:T s}})
      (error (.. "reason " s)))))`, nil)
	if r.State != event.RunFailed || !strings.Contains(r.Reason.String(), "{{ tok }}") {
		t.Errorf("%s: %s\n%s", r.State, r.Reason, r.report)
	}
	leaks := 0
	err := filepath.WalkDir(b.cfg.StateDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, form := range []string{token, "czNjcjN0LXQwa2VuLXZhbHVlLTQ3MT"} {
			if strings.Contains(string(data), form) {
				leaks++
				t.Errorf("%s holds the secret as %s", path, form)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.log(t, "use", 1); !strings.Contains(got, "{{ tok }}") {
		t.Errorf("log %q", got)
	}
	cmds, _ := b.store.Commands(t.Context(), r.ID, "use")
	if len(cmds) != 2 || !strings.Contains(cmds[0].Line.String(), "{{ tok }}") || !strings.Contains(cmds[1].Line.String(), "{{ tok }}") {
		t.Errorf("commands %+v", cmds)
	}
	kept, err := os.ReadFile(filepath.Join(r.dir.Artifacts("use"), "kept.txt"))
	if err != nil || string(kept) != "{{ tok }}" {
		t.Errorf("artifact %q, %v", kept, err)
	}
}

func TestTheEnvironmentIsWhatWasSaidAndNothingElse(t *testing.T) {
	t.Setenv("QUIRE_TEST_SECRET", "of the server")
	t.Setenv("GIT_DIR", "/elsewhere")
	b := newBench(t)
	b.cfg.Env.Pass = []string{"PATH", "NOT_SET"}
	b.cfg.Env.Set = map[string]string{"FROM_OPERATOR": "1"}
	r := b.run(head+`
(ci.job :env {:inputs [:quire/push] :env {:FROM_JOB "2" :BOTH "job"}
  :run (fn []
    (runtime.run "env | cut -d= -f1 | grep -v -e ^_$ -e ^PWD$ -e ^SHLVL$ -e ^OLDPWD$ -e ^QUIRE_EXEC$ | sort | tr '\\n' ' '; echo $BOTH $QUIRE_JOB $QUIRE_REPO $QUIRE_REF $QUIRE_BRANCH"
                 {:env {:BOTH "call"}})
    (when (runtime.env "QUIRE_TEST_SECRET") (error "not on the list"))
    (runtime.env "FROM_OPERATOR")
    nil)})`, nil)
	want := "BOTH CI FROM_JOB FROM_OPERATOR PATH QUIRE QUIRE_BRANCH QUIRE_JOB QUIRE_REF QUIRE_REPO QUIRE_RUN QUIRE_SHA call env project refs/heads/main main\n"
	if got := r.log(t, "env", 1); got != want {
		t.Errorf("environment\n%s\nwant\n%s\n%s", got, want, r.report)
	}
}

// The log grows while the command runs, holds what it wrote to the byte, and
// is cut at its limit with a word about it.
func TestOutputIsKeptAsItComesAndBounded(t *testing.T) {
	b := newBench(t)
	b.cfg.Log.MaxBytes = 4096
	fifo := filepath.Join(t.TempDir(), "go-on")
	r := b.queue(head+fmt.Sprintf(`
(ci.job :slow [:quire/push] (fn [] (runtime.run "printf 'a\\000\\377b\\r\\n'; printf half; until [ -e %s ]; do sleep 0.01; done; echo")))
(ci.job :much [:quire/push] (fn [] (let [r (runtime.run "yes 123456789 | head -n 100000")] {:n (length r.stdout)})))
`, fifo), nil)
	done := make(chan error, 1)
	go func() { done <- Run(context.Background(), b.cfg, r.ID) }()
	dir := runlog.RunDir(b.cfg.StateDir, r.ID)
	seen := func() string {
		f, err := os.Open(dir.CommandLog("slow", 1))
		if err != nil {
			return ""
		}
		defer f.Close()
		var out strings.Builder
		runlog.WriteOutput(&out, f)
		return out.String()
	}
	deadline := time.Now().Add(time.Minute)
	for seen() != "a\x00\xffb\r\nhalf" {
		if time.Now().After(deadline) {
			t.Fatalf("while it runs the log is %q", seen())
		}
		time.Sleep(time.Millisecond)
	}
	if err := os.WriteFile(fifo, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := seen(); got != "a\x00\xffb\r\nhalf\n" {
		t.Errorf("log %q", got)
	}
	much, err := os.ReadFile(dir.CommandLog("much", 1))
	if err != nil || len(much) > 4096+256 || !strings.Contains(string(much), " bytes were dropped") {
		t.Errorf("%v: …%q", err, much[max(0, len(much)-200):])
	}
	if res := b.result(r.ID); res.State != event.RunSucceeded {
		t.Errorf("%s: %s", res.State, res.Reason)
	}
}

func TestFilesOutsideTheWorkspaceAreOutOfReach(t *testing.T) {
	b := newBench(t)
	outside := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := b.run(head+fmt.Sprintf(`
(fn refused [f ...] (let [(ok err) (pcall f ...)] (when ok (error "was let through")) (runtime.log (tostring err))))
(ci.job :files [:quire/push]
  (fn []
    (runtime.run "ln -s %[1]s out; ln -s / root; ln -s ../../../../../../.. up; mkfifo pipe; mkdir dir; ln -s loop loop; ln -s README link")
    (refused runtime.read-file "%[1]s")
    (refused runtime.read-file "out")
    (refused runtime.read-file "root/etc/passwd")
    (refused runtime.read-file "up/etc/passwd")
    (refused runtime.read-file "../../../../etc/passwd")
    (refused runtime.read-file "pipe")
    (refused runtime.read-file "dir")
    (refused runtime.read-file "loop")
    (refused runtime.read-file "none")
    (refused runtime.write-file "out" "x")
    (refused runtime.write-file "root/tmp/x" "x")
    (refused runtime.write-file "pipe" "x")
    (refused runtime.write-file "dir" "x")
    (refused runtime.artifact "out")
    (refused runtime.artifact "../x")
    (runtime.write-file "new/deep/file.txt" "written")
    (runtime.run "test \"$(cat new/deep/file.txt)\" = written")
    (when (not= (runtime.read-file "link") "hello\n") (error "a link inside"))
    (runtime.write-file "README" "x")
    {:len (length (runtime.read-file "README"))}))`, outside), nil)
	if r.State != event.RunSucceeded {
		t.Errorf("%s: %s\n%s", r.State, r.Reason, r.report)
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "outside" {
		t.Errorf("outside: %q, %v", data, err)
	}
}

func TestTheBareRepositoryIsUntouchedByAnyJob(t *testing.T) {
	b := newBench(t)
	r := b.queue(head+`
(ci.job :busy [:quire/push]
  (fn []
    (runtime.run "git -c user.name=x -c user.email=x@y commit -q --allow-empty -m mine && git tag mine && git branch mine && git gc -q --prune=now && git fetch -q origin && git repack -adq")
    (runtime.sh "git push -q origin HEAD:refs/heads/mine; git push -q origin mine")
    nil))`, nil)
	before := hashTree(t, b.gitDir)
	if err := Run(t.Context(), b.cfg, r.ID); err != nil {
		t.Fatal(err)
	}
	if res := b.result(r.ID); res.State != event.RunSucceeded {
		t.Errorf("%s: %s\n%s", res.State, res.Reason, res.report)
	}
	if hashTree(t, b.gitDir) != before {
		t.Error("the bare repository has changed")
	}
}

// recording is an executor that tells when it is closed.
type recording struct {
	executor.Executor
	spec   executor.Spec
	closed func()
}

func (r recording) Close(ctx context.Context) error {
	r.closed()
	err := r.Executor.Close(ctx)
	r.spec.Container(false, "box")
	return err
}

// The guard is released before the executor is closed, and the container's end
// stands before the run's.
func TestTheOrderOfTheEnd(t *testing.T) {
	for name, body := range map[string]string{
		"success": `(runtime.run "true")`, "failure": `(error "x")`, "early": `nil`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r := b.queue(head+`(ci.job :a [:quire/push] (fn [] `+body+`))`, nil)
			run, err := b.store.Start(t.Context(), r.ID, store.Holder{}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			s := newSupervision(b.cfg, run, runlog.RunDir(b.cfg.StateDir, r.ID))
			s.store, s.workspace = b.store, s.dir.Workspace()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			s.stop = newStopper(cancel)
			s.newExecutor = func(ctx context.Context, use string, spec executor.Spec) (executor.Executor, error) {
				x, err := chooseExecutor(ctx, use, spec)
				spec.Container(true, "box")
				return recording{x, spec, func() {
					if s.dir.Ended() {
						t.Error("the outcome was there before the executor was closed")
					}
					if now, err := b.store.Run(context.Background(), r.ID); err != nil || now.State != event.RunRunning {
						t.Errorf("in the store it was %s, %v", now.State, err)
					}
				}}, err
			}
			s.supervise(ctx)
			got := b.result(r.ID).order()
			if !strings.HasPrefix(got, "run_started container_started job_started") || !strings.HasSuffix(got, "guard_released container_stopped run_finished") {
				t.Errorf("events %s", got)
			}
		})
	}
}

func TestARunTimesOut(t *testing.T) {
	b := newBench(t)
	b.cfg.RunTimeout = config.Duration(300 * time.Millisecond)
	r := b.run(head+`(ci.job :a [:quire/push] (fn [] (runtime.run "echo begun; sleep 300")))`, nil)
	if r.State != event.RunFailed || !strings.Contains(r.Reason.String(), "took longer than run_timeout, 300ms") {
		t.Errorf("%s: %s\n%s", r.State, r.Reason, r.report)
	}
	if got := r.log(t, "a", 1); got != "begun\n" {
		t.Errorf("log %q", got)
	}
	if r.jobs["a"].State != event.JobCanceled {
		t.Errorf("job %+v", r.jobs["a"])
	}
}

func TestALocalRun(t *testing.T) {
	b := newBench(t)
	b.queue(head+`
(ci.job :test [:quire/push] (fn [] (runtime.run "cat extra.txt; test -d .git")))
(ci.mirror "https://example.org/x.git" {:secret :x :tag (fn [] nil) :after [:test]})`, nil)
	// A change that is in no commit takes part.
	if err := os.WriteFile(filepath.Join(b.work, "extra.txt"), []byte("here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	end, logs, err := Local(t.Context(), b.cfg, LocalOptions{Dir: filepath.Join(b.work, ".quire"), Out: &out, Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(logs)
	if end.State != event.RunSucceeded || !strings.Contains(out.String(), "success: run succeeded") || !strings.Contains(out.String(), "not pushed: a local run") {
		t.Errorf("%s: %s\n%s", end.State, end.Reason, out.String())
	}
	if _, err := os.Stat(filepath.Join(b.work, "extra.txt")); err != nil {
		t.Errorf("the checkout was harmed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	end, logs, err = Local(ctx, b.cfg, LocalOptions{Dir: b.work, Out: &out})
	if err != nil || end.State != event.RunCanceled {
		t.Errorf("interrupted: %s, %v", end.State, err)
	}
	os.RemoveAll(logs)
	if _, _, err := Local(t.Context(), b.cfg, LocalOptions{Dir: t.TempDir(), Out: &out}); err == nil || !strings.Contains(err.Error(), "in no checkout") {
		t.Errorf("outside of a checkout: %v", err)
	}
}

func TestACacheIsKeptBetweenRunsAndOutOfTheCommit(t *testing.T) {
	b := newBench(t)
	for n := range 2 {
		r := b.run(head+`
(ci.cache :mine ["deep/kept"])
(ci.job :a [:quire/push] (fn [] (runtime.run "echo x >> deep/kept/f; wc -l < deep/kept/f; git status --porcelain")))`, nil)
		if r.State != event.RunSucceeded {
			t.Fatalf("%s: %s\n%s", r.State, r.Reason, r.report)
		}
		if got, want := r.log(t, "a", 1), fmt.Sprintf("%d\n", n+1); got != want {
			t.Errorf("log %q, want %q", got, want)
		}
	}
	r := b.run(head+`(ci.cache :mine ["../../out"]) (ci.job :a [:quire/push] (fn [] nil))`, nil)
	if r.State != event.RunFailed || !strings.Contains(r.Reason.String(), "leads out of the workspace") {
		t.Errorf("%s: %s", r.State, r.Reason)
	}
}
