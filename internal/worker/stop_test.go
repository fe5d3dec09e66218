package worker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/store"
)

// begun waits until a file appears that a job makes.
func (w *world) begun(name string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	w.until(name+" is there", func() bool { _, err := os.Stat(path); return err == nil })
	return path
}

// signal is a shell command that makes such a file.
func (w *world) signal(name string) string { return "touch " + filepath.Join(w.dir, name) }

// wait is a shell command that waits for one.
func (w *world) wait(name string) string {
	return "until [ -e " + filepath.Join(w.dir, name) + " ]; do sleep 0.01; done"
}

func (w *world) make(name string) { w.write(filepath.Join(w.dir, name), "") }

func (r *repo) pushDetached(args ...string) {
	r.t.Helper()
	if len(args) == 0 {
		args = []string{"HEAD:refs/heads/main"}
	}
	r.push(append([]string{"-q", "-o", "ci.wait=none"}, args...)...)
}

// descendants are the processes of a run, by the mark in their environment.
func (w *world) ofRun(id string) (pids []int) {
	for _, pid := range w.processes() {
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if strings.Contains(string(env), "QUIRE_RUN="+id) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (w *world) state(id string) event.RunState {
	w.t.Helper()
	s := w.store()
	defer s.Close()
	r, err := s.Run(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.State
}

func TestCancelEndsTheWholeTreeBeforeItIsRecorded(t *testing.T) {
	w := newWorld(t, "linger = \"0s\"\n")
	r := w.repo("project")
	r.commit(`(runtime.run "trap '' TERM; ` + strings.Repeat("(trap '' TERM; setsid sh -c 'trap \\\"\\\" TERM; sleep 300' &) ; ", 20) + w.signal("begun") + `; sleep 300")`)
	r.pushDetached()
	w.begun("begun")
	run := w.runs()[0]
	if len(w.ofRun(run.ID)) < 20 {
		t.Fatalf("only %d processes", len(w.ofRun(run.ID)))
	}
	s := w.store()
	defer s.Close()
	if _, err := Cancel(t.Context(), w.cfg, s, run.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	var left int
	w.until("the run is canceled", func() bool {
		state := w.state(run.ID)
		left = len(w.ofRun(run.ID))
		return state == event.RunCanceled
	})
	if left > 0 {
		t.Errorf("%d processes were left when it was recorded", left)
	}
	w.workOff()
	w.checkInvariants()
	got, _ := s.Run(t.Context(), run.ID)
	if got.Reason.String() != "canceled by bob" || !strings.Contains(w.report(run), "warning: run 1 was canceled in ") {
		t.Errorf("%q\n%s", got.Reason, w.report(run))
	}
	if _, err := Cancel(t.Context(), w.cfg, s, run.ID, "bob"); err == nil || !strings.Contains(err.Error(), "run 1 is over: it was canceled") {
		t.Errorf("canceling again: %v", err)
	}
}

func TestAQueuedRunIsCanceledAtOnce(t *testing.T) {
	w := newWorld(t, "max_runs = 1\n")
	r := w.repo("project")
	r.commit(`(runtime.run "` + w.wait("go-on") + `")`)
	r.pushDetached("HEAD:refs/heads/a")
	r.pushDetached("HEAD:refs/heads/b")
	w.until("two runs are there", func() bool { return len(w.runs()) == 2 })
	second := w.runs()[1]
	w.until("the second says that it waits", func() bool { return strings.Contains(w.report(second), "waits: another run is at work") })
	s := w.store()
	defer s.Close()
	got, err := Cancel(t.Context(), w.cfg, s, second.ID, "bob")
	if err != nil || got.State != event.RunCanceled {
		t.Fatalf("%+v, %v", got, err)
	}
	if out, err := runlog.RunDir(w.root, second.ID).Outcome(); err != nil || out.State != event.RunCanceled {
		t.Errorf("outcome %+v, %v", out, err)
	}
	w.make("go-on")
	w.waitOver(2)
	w.workOff()
	w.checkInvariants()
}

func TestANewerPushReplacesTheOlderRunOfItsRefAlone(t *testing.T) {
	w := newWorld(t, "max_runs = 4\n")
	r := w.repo("project")
	r.commit(`(runtime.run "` + w.signal("begun-$QUIRE_TAG$QUIRE_BRANCH") + `; ` + w.wait("go-on") + `")`)
	r.git(r.work, "tag", "main") // a tag of the branch's name
	r.pushDetached("HEAD:refs/heads/main")
	w.begun("begun-main")
	os.Remove(filepath.Join(w.dir, "begun-main"))
	r.pushDetached("refs/tags/main")
	w.begun("begun-main")
	newer := r.commit(`(runtime.run "true")`)
	r.pushDetached("HEAD:refs/heads/main")
	runs := w.waitOver(2)
	if len(runs) != 3 || runs[0].State != event.RunReplaced || runs[0].ReplacedBy != runs[2].ID {
		t.Errorf("the older run: %+v", runs[0])
	}
	if !strings.Contains(runs[0].Reason.String(), "run 3 is of a newer push to main") {
		t.Errorf("reason %q", runs[0].Reason)
	}
	w.until("the newer run is over", func() bool { return w.state(runs[2].ID) == event.RunSucceeded })
	if got := w.state(runs[1].ID); got != event.RunRunning {
		t.Errorf("the tag's run is %s", got)
	}
	w.make("go-on")
	runs = w.waitOver(3)
	if runs[1].State != event.RunSucceeded || runs[2].New != newer {
		t.Errorf("runs %+v", runs)
	}
	w.workOff()
	w.checkInvariants()
}

func TestAnUninterruptibleJobIsWaitedFor(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commitPipeline(head + `
(ci.job :deploy {:inputs [:quire/push] :interruptible false
  :run (fn [] (runtime.run "` + w.signal("deploying") + `; ` + w.wait("go-on") + `; ` + w.signal("deployed") + `"))})
(ci.job :after [:deploy] (fn [] (runtime.run "sleep 300")))
`)
	r.pushDetached()
	w.begun("deploying")
	r.commit(`(runtime.run "true")`)
	r.pushDetached()
	w.until("the new run waits", func() bool { return len(w.runs()) == 2 })
	first := w.runs()[0]
	s := w.store()
	defer s.Close()
	w.until("the old one was asked", func() bool {
		stop, err := s.StopAsked(context.Background(), first.ID)
		return err == nil && stop.State == event.RunReplaced
	})
	if got := w.state(first.ID); got != event.RunRunning {
		t.Errorf("the old run is %s", got)
	}
	w.make("go-on")
	runs := w.waitOver(2)
	if runs[0].State != event.RunReplaced || runs[1].State != event.RunSucceeded {
		t.Errorf("runs %+v", runs)
	}
	jobs, _ := s.Jobs(t.Context(), first.ID)
	if len(jobs) != 2 || jobs[0].State != event.JobSucceeded || jobs[1].State != event.JobCanceled {
		t.Errorf("jobs %+v", jobs)
	}
	w.begun("deployed")
	w.workOff()
	w.checkInvariants()
}

func TestRetry(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commit(`(let [push (runtime.jobs :quire/push)] (runtime.run (.. "echo " push.pusher " " push.sha " " push.pushed-at "; exit 1")))`)
	r.push()
	s := w.store()
	defer s.Close()
	first := w.runs()[0]
	second, err := Retry(t.Context(), w.cfg, s, first.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.workOff()
	w.until("both are over", func() bool { return w.state(second.ID).Final() })
	outputs := map[string]bool{}
	for _, id := range []string{first.ID, second.ID} {
		f, err := os.Open(runlog.RunDir(w.root, id).CommandLog("test", 1))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := runlog.WriteOutput(&b, f); err != nil {
			t.Fatal(err)
		}
		f.Close()
		outputs[b.String()] = true
	}
	if len(outputs) != 1 || second.RetryOf != first.ID {
		t.Errorf("outputs %v, %+v", outputs, second)
	}
	w.workOff()
	w.checkInvariants()
}

// A run goes on when its worker dies, and the next worker takes it over.
func TestARunOutlivesItsWorker(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commit(`(runtime.run "` + w.signal("begun") + `; ` + w.wait("go-on") + `; echo survived")`)
	r.pushDetached()
	w.begun("begun")
	killed := 0
	for _, pid := range w.processes() {
		cmd, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(cmd), "\x00worker\x00") {
			syscall.Kill(pid, syscall.SIGKILL)
			killed++
		}
	}
	if killed != 1 {
		t.Fatalf("%d workers", killed)
	}
	w.until("the lock is free", func() bool { return !Running(w.cfg) })
	self, _ := os.Executable()
	next := exec.Command(self, "worker", "--once")
	next.Env = os.Environ()
	if err := next.Start(); err != nil {
		t.Fatal(err)
	}
	w.until("the next worker is there", func() bool { return Running(w.cfg) })
	w.make("go-on")
	if err := next.Wait(); err != nil {
		t.Errorf("the next worker: %v", err)
	}
	if runs := w.runs(); runs[0].State != event.RunSucceeded {
		t.Errorf("%s: %s", runs[0].State, runs[0].Reason)
	}
	w.checkInvariants()
}

func TestASupervisorThatDiesUnderAWorkerIsSettledAtOnce(t *testing.T) {
	w := newWorld(t, "linger = \"1m\"\n")
	r := w.repo("project")
	r.commit(`(runtime.run "echo prefix; (setsid sleep 300 &); ` + w.signal("begun") + `; sleep 300")`)
	r.pushDetached()
	w.begun("begun")
	run := w.runs()[0]
	s := w.store()
	defer s.Close()
	running, err := s.Running(t.Context())
	if err != nil || len(running) != 1 {
		t.Fatalf("%+v, %v", running, err)
	}
	if err := running[0].Holder.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.until("the run is orphaned", func() bool { return w.state(run.ID) == event.RunOrphaned })
	if left := w.ofRun(run.ID); len(left) > 0 {
		t.Errorf("left:\n%s", describe(left))
	}
	log, err := os.ReadFile(runlog.RunDir(w.root, run.ID).CommandLog("test", 1))
	if err != nil || !strings.Contains(string(log), "stdout F prefix") {
		t.Errorf("log %q, %v", log, err)
	}
	// The worker is well, and takes the next push.
	r.commit(`(runtime.run "true")`)
	if seen := r.push(); !strings.Contains(seen, "success: run 2") {
		t.Errorf("the pusher saw\n%s", seen)
	}
}

func TestAKilledClientHarmsNothing(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commit(`(runtime.run "` + w.signal("begun") + `; ` + w.wait("go-on") + `")`)
	push := exec.Command("git", "push", "origin", "HEAD:refs/heads/main")
	push.Dir, push.Env = r.work, gitEnv()
	push.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := push.Start(); err != nil {
		t.Fatal(err)
	}
	w.begun("begun")
	syscall.Kill(-push.Process.Pid, syscall.SIGKILL)
	push.Wait()
	w.make("go-on")
	if runs := w.waitOver(1); runs[0].State != event.RunSucceeded {
		t.Errorf("%s", runs[0].State)
	}
}

// A pipeline that loops for ever, or takes all memory, ends at its limit; the
// run fails with the limit named, and the worker is well.
func TestAPipelineOutOfControl(t *testing.T) {
	for name, c := range map[string]struct{ settings, pipeline, says string }{
		"loop while loading": {"[eval]\ntimeout = \"300ms\"\n", "(while true nil)", "300ms"},
		"loop in a job":      {"[eval]\ntimeout = \"300ms\"\n", head + "(ci.job :a [:quire/push] (fn [] (while true nil)))", "300ms"},
		"memory": {"[eval]\nmemory = \"96MiB\"\n", head + "(ci.job :a [:quire/push] (fn [] (let [t []] (while true (tset t (+ 1 (length t)) (string.rep \"x\" 100000))))))",
			"more memory than [eval] memory allows"},
		"memory while loading": {"[eval]\nmemory = \"96MiB\"\n", "(var s \"xxxxxxxx\") (while true (set s (.. s s)))", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.settings)
			r := w.repo("project")
			r.commitPipeline(c.pipeline)
			seen := r.push()
			run := w.runs()[0]
			if run.State != event.RunFailed || !strings.Contains(run.Reason.String(), c.says) {
				t.Errorf("%s: %s\n%s", run.State, run.Reason, seen)
			}
			r.commit(`(runtime.run "true")`)
			if seen := r.push(); !strings.Contains(seen, "success: run 2") {
				t.Errorf("the worker is not well:\n%s", seen)
			}
			w.workOff()
			w.checkInvariants()
		})
	}
}

func TestWorkspacesAreKeptAsConfigured(t *testing.T) {
	w := newWorld(t, "keep_workspace = \"failed\"\n")
	r := w.repo("project")
	r.commit(`(runtime.run "true")`)
	r.push()
	r.commit(`(runtime.run "mkdir d && touch d/f && chmod 0 d; ln -s / root; exit 1")`)
	r.push()
	runs := w.runs()
	for i, kept := range []bool{false, true} {
		_, err := os.Lstat(runlog.RunDir(w.root, runs[i].ID).Workspace())
		if (err == nil) != kept {
			t.Errorf("run %d, %s: %v", i+1, runs[i].State, err)
		}
	}
	// With another mind, gc removes it.
	w.cfg.KeepWorkspace = "never"
	s := w.store()
	defer s.Close()
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
	got, err := Collect(t.Context(), w.cfg, s)
	if err != nil || got.Workspaces != 1 || len(got.Errors) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	w.checkInvariants()
}

func TestRetentionRemovesAllOfARunAndNothingThatIsFollowed(t *testing.T) {
	w := newWorld(t, "[retention]\nruns = 100\n")
	r := w.repo("project")
	for range 4 {
		r.commit(`(runtime.run "true")`)
		r.push()
	}
	runs := w.waitOver(4)
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
	s := w.store()
	defer s.Close()
	w.cfg.Retention.Runs = 1
	followed, err := os.Open(runlog.RunDir(w.root, runs[1].ID).PushLog())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(followed.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	got, err := Collect(t.Context(), w.cfg, s)
	if err != nil || got.Runs != 2 || got.Pushes != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	followed.Close()
	left, _ := s.Runs(t.Context(), store.Filter{})
	if len(left) != 2 || left[0].ID != runs[3].ID || left[1].ID != runs[1].ID {
		t.Errorf("left %+v", left)
	}
	dirs, _ := os.ReadDir(filepath.Join(w.root, "runs"))
	answers, _ := os.ReadDir(filepath.Join(w.root, "pushes"))
	if len(dirs) != 2 || len(answers) != 2 {
		t.Errorf("%d directories, %d answers", len(dirs), len(answers))
	}
	// By age.
	w.cfg.Retention.Runs, w.cfg.Retention.Age = 0, 1
	time.Sleep(time.Millisecond) // the age that was configured
	if got, err = Collect(t.Context(), w.cfg, s); err != nil || got.Runs != 2 {
		t.Errorf("by age: %+v, %v", got, err)
	}
}

func TestATornFileInTheSpoolIsSetAside(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	if err := w.spoolDir().Make(); err != nil {
		t.Fatal(err)
	}
	w.write(filepath.Join(w.spoolDir().New(), event.NewID(time.Now())), "{\"id\":")
	r.commit(`(runtime.run "true")`)
	if seen := r.push(); !strings.Contains(seen, "success") {
		t.Errorf("%s", seen)
	}
	bad, err := w.spoolDir().BadFiles()
	if err != nil || len(bad) != 1 || !strings.Contains(bad[0].Why, "not a push") {
		t.Errorf("%+v, %v", bad, err)
	}
	w.workOff()
	w.checkInvariants()
}
