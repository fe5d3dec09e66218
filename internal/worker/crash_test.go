package worker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/event"
	"quire/internal/runlog"
)

// hookSteps are reached in the hook; the others in processes that a worker is,
// or starts.
var hookSteps = map[event.Step]bool{event.StepRefLines: true, event.StepSpooled: true}

// A SIGKILL at any step between the ref lines and the final state: afterwards,
// with the next invocation of anything, the push has exactly one run, the run
// has an outcome, its processes are gone, and what its log had is still there.
func TestKilledAtEveryStep(t *testing.T) {
	for _, step := range event.Steps {
		t.Run(string(step), func(t *testing.T) {
			w := newWorld(t, "")
			r := w.repo("project")
			// Known from a push before, so that unreported moves are seen.
			r.commit(`(runtime.run "true")`)
			r.push()
			w.until("the worker has left", func() bool { return len(w.processes()) == 0 })
			w.workOff()
			before := 1
			if step == event.StepDisplacing {
				before = w.queueBehindABusyRun(r)
			}
			commit := r.commit(`(runtime.run "echo begun; setsid sleep 300 >/dev/null 2>&1 & echo done")`)
			if step == event.StepJobRunning {
				// The supervisor is killed when it has written what the command said:
				// what still stands in the pipe then is lost, and may be.
				commit = r.commit(fmt.Sprintf(`(runtime.run "echo begun; (setsid sleep 300 &); until grep -q begun %s/runs/$QUIRE_RUN/jobs/test/sh-1.log; do sleep 0.01; done; kill -KILL $PPID; sleep 300")`, w.root))
			}
			// Pushed without a worker, so that only what is named is killed.
			r.pushUnattended(step)
			if !hookSteps[step] && step != event.StepJobRunning {
				if step == event.StepOrphanFound {
					w.quire([]string{"worker", "--once"}, "QUIRE_CRASH_AT=closed")
				}
				w.workUntilKilled(step)
			}
			w.workOff()
			w.workOff() // a second time changes nothing
			w.checkInvariants()
			runs := w.runs()
			if len(runs) != before+1 {
				t.Fatalf("%d runs, want %d", len(runs), before+1)
			}
			last := runs[len(runs)-1]
			if last.New != commit {
				t.Errorf("the run is of %s, not %s", last.New, commit)
			}
			d := runlog.RunDir(w.root, last.ID)
			switch {
			case last.State == event.RunSucceeded:
			case last.State == event.RunOrphaned && diesInSupervisor(step):
				if log, err := os.ReadFile(d.CommandLog("test", 1)); step == event.StepJobRunning && (err != nil || !strings.Contains(string(log), "begun")) {
					t.Errorf("the log's beginning is lost: %q, %v", log, err)
				}
				if !strings.Contains(w.report(last), "was orphaned: its supervisor died") {
					t.Errorf("report\n%s", w.report(last))
				}
			default:
				t.Errorf("the run %s: %s\n%s", last.State, last.Reason, w.report(last))
			}
		})
	}
}

func diesInSupervisor(s event.Step) bool {
	switch s {
	case event.StepHeld, event.StepStarted, event.StepWorkspace, event.StepJobRunning, event.StepJobsOver, event.StepClosed,
		event.StepEventsOver, event.StepOutcome, event.StepFinished:
		return true
	}
	return s == event.StepOrphanFound
}

// pushUnattended pushes with a worker that does nothing, and a hook that is
// killed at step, if it is one of the hook's.
func (r *repo) pushUnattended(step event.Step, options ...string) {
	r.t.Helper()
	args := append([]string{"push", "-q", "-o", "ci.wait=none"}, options...)
	cmd := exec.Command("git", append(args, "origin", "HEAD:refs/heads/main")...)
	cmd.Dir = r.work
	cmd.Env = append(gitEnv(), "QUIRE_BIN=/bin/true", "QUIRE_CRASH_AT="+string(step))
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git accepted no push: %v\n%s", err, out)
	}
}

// queueBehindABusyRun leaves a queued run of main behind, which a later push
// displaces.
func (w *world) queueBehindABusyRun(r *repo) int {
	w.t.Helper()
	r.commit(`(runtime.run "true")`)
	r.pushUnattended("")
	w.quire([]string{"worker", "--once"}, "QUIRE_CRASH_AT="+string(event.StepTaken))
	return len(w.runs())
}

// workUntilKilled has a worker work until it, or the supervisor that it started, is
// killed at step.
func (w *world) workUntilKilled(step event.Step) {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(self, "worker", "--once")
	cmd.Env = append(os.Environ(), "QUIRE_CRASH_AT="+string(step))
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if step == event.StepHeld {
		// Its supervisors die before they begin, and it would try for ever.
		w.until("a supervisor was killed", func() bool {
			locks, _ := filepath.Glob(filepath.Join(w.root, "locks", "run-*.lock"))
			return len(locks) > 0 && len(w.processes()) == 1
		})
		cmd.Process.Kill()
	}
	err = cmd.Wait()
	if !diesInSupervisor(step) && (err == nil || !strings.Contains(err.Error(), "killed")) {
		w.t.Fatalf("the worker was to be killed at %s: %v", step, err)
	}
}

// checkInvariants checks what must hold whenever nothing is under way.
func (w *world) checkInvariants() {
	w.t.Helper()
	w.until("every process has ended", func() bool { return len(w.processes()) == 0 })
	if names, err := w.spoolDir().List(); err != nil || len(names) > 0 {
		w.t.Errorf("left in the spool: %v, %v", names, err)
	}
	s := w.store()
	defer s.Close()
	seen := map[string]bool{}
	for _, r := range w.runs() {
		if !r.State.Final() {
			w.t.Errorf("run %d is %s", r.Number, r.State)
		}
		key := r.PushID + r.Ref
		if r.RetryOf == "" && seen[key] {
			w.t.Errorf("run %d: a second run of %s for push %s", r.Number, r.Ref, r.PushID)
		}
		seen[key] = seen[key] || r.RetryOf == ""
		d := runlog.RunDir(w.root, r.ID)
		out, err := d.Outcome()
		if err != nil || out.State != r.State {
			w.t.Errorf("run %d: the store says %s, the outcome %s, %v", r.Number, r.State, out.State, err)
		}
		records, err := d.Records()
		if n := len(records); err != nil || n == 0 || records[n-1].Type != event.RunFinished || records[n-1].State != string(r.State) {
			w.t.Errorf("run %d: its last event is not its end, %s: %v", r.Number, r.State, err)
		}
		report, err := os.ReadFile(d.PushLog())
		if err != nil || strings.Count(string(report), fmt.Sprintf(": run %d ", r.Number)) != 1 || !endSaid(string(report), r.Number) {
			w.t.Errorf("run %d: its report has not one last line: %v\n%s", r.Number, err, report)
		}
		if _, err := os.Lstat(d.Workspace()); err == nil && w.cfg.KeepWorkspace == "never" {
			w.t.Errorf("run %d: its workspace is still there", r.Number)
		}
		jobs, err := s.Jobs(context.Background(), r.ID)
		for _, j := range jobs {
			if !j.State.Final() {
				w.t.Errorf("run %d: job %s is %s, %v", r.Number, j.ID, j.State, err)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(w.root, "locks", "run-*.lock")); len(left) > 0 {
		w.t.Errorf("locks are left: %v", left)
	}
}
