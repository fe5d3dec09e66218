package worker

import (
	"context"
	"database/sql"
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

const rerunning = "[recover]\nunreported = \"run\"\ninterrupted = \"rerun\"\n"

// atFirst is a job's body that says it has begun and then stays, unless it is run a second
// time.
func (w *world) atFirst() string {
	return fmt.Sprintf(`(runtime.run "if [ -e %[1]s/first ]; then touch %[1]s/second; else touch %[1]s/first; (setsid sleep 300 >/dev/null 2>&1 &); sleep 300; fi")`, w.dir)
}

// killAll ends every process of the world as a power cut does.
func (w *world) killAll() {
	w.t.Helper()
	w.until("no process is left", func() bool {
		left := w.processes()
		for _, pid := range left { // one that was just being started is met the next time
			syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0
	})
}

// A SIGKILL of a supervisor, or of a worker, at any step: the commit is run to its end
// with the next invocation of anything, in one run or in two, and never in three.
func TestInterruptedAtEveryStepItIsRunToItsEnd(t *testing.T) {
	for _, step := range event.Steps {
		if hookSteps[step] || step == event.StepJobRunning || step == event.StepDisplacing || step == event.StepOrphanFound {
			continue // these have their own tests
		}
		t.Run(string(step), func(t *testing.T) {
			w := newWorld(t, rerunning)
			r := w.repo("project")
			commit := r.commit(`(runtime.run "echo done")`)
			r.pushUnattended(step)
			t.Setenv("QUIRE_CRASH_ONCE", filepath.Join(w.dir, "killed"))
			w.workUntilKilled(step)
			w.workOff()
			w.workOff()
			w.checkInvariants()
			runs := w.runs()
			last := runs[len(runs)-1]
			if len(runs) > 2 || last.New != commit || last.State != event.RunSucceeded {
				t.Fatalf("%d runs, the last is %+v", len(runs), last)
			}
			if len(runs) == 2 && (!runs[0].Interrupted || runs[0].State != event.RunOrphaned || !last.Rerun || last.RetryOf != runs[0].ID || last.PushID != runs[0].PushID) {
				t.Errorf("%+v\n%+v", runs[0], last)
			}
			if len(runs) == 1 && diesInSupervisor(step) && (step == event.StepStarted || step == event.StepWorkspace || step == event.StepClosed) {
				t.Error("it was interrupted, and not run again")
			}
		})
	}
}

// The machine is killed while a job runs; the next boot goes on.
func TestAKilledMachineGoesOnAfterTheBoot(t *testing.T) {
	w := newWorld(t, rerunning)
	r := w.repo("project")
	r.commit(w.atFirst())
	r.pushDetached()
	w.begun("first")
	w.killAll()
	// Another boot: the same pids may be others' by now.
	db, err := sql.Open("sqlite", store.Path(w.root))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE runs SET boot = '00000000-0000-0000-0000-000000000000', pid = ?", os.Getpid()); err != nil {
		t.Fatal(err)
	}
	db.Close()
	w.workOff()
	w.begun("second")
	runs := w.runs()
	if len(runs) != 2 || runs[0].State != event.RunOrphaned || !runs[0].Interrupted || runs[1].State != event.RunSucceeded || !runs[1].Rerun {
		t.Fatalf("%+v", runs)
	}
	if !strings.Contains(w.report(runs[1]), "run 1 was interrupted: its commit is run once more") {
		t.Errorf("report\n%s", w.report(runs[1]))
	}
	w.workOff()
	if n := len(w.runs()); n != 2 {
		t.Errorf("%d runs", n)
	}
	w.checkInvariants()
}

// A shutdown asks the supervisor to end (SIGTERM), and nobody asked for that run's end.
func TestARunThatAShutdownEndsIsRunAgain(t *testing.T) {
	w := newWorld(t, rerunning)
	r := w.repo("project")
	r.commit(w.atFirst())
	r.pushDetached()
	w.begun("first")
	s := w.store()
	defer s.Close()
	running, err := s.Running(context.Background())
	if err != nil || len(running) != 1 {
		t.Fatalf("%v, %v", running, err)
	}
	if err := running[0].Holder.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	runs := w.waitOver(2)
	if len(runs) != 2 || runs[0].State != event.RunCanceled || !runs[0].Interrupted || runs[1].State != event.RunSucceeded {
		t.Fatalf("%+v", runs)
	}
	w.begun("second")
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
	w.checkInvariants()
}

// What is not run again, and why.
func TestInterruptedRunsThatAreNotRunAgain(t *testing.T) {
	once := func(w *world) string {
		return head + "(ci.job :deploy {:inputs [:quire/push] :once true :run (fn [] " + w.atFirst() + ")})\n"
	}
	plain := func(w *world) string { return head + "(ci.job :test [:quire/push] (fn [] " + w.atFirst() + "))\n" }
	for name, c := range map[string]struct {
		settings string
		pipeline func(*world) string
		before   func(*repo) // of the kill
		after    func(*repo)
		runs     int
		why      string
	}{
		"once":     {rerunning, once, nil, nil, 1, "a job of it is declared :once"},
		"report":   {"[recover]\ninterrupted = \"report\"\n", plain, nil, nil, 1, "[recover] interrupted is report"},
		"canceled": {rerunning, plain, func(r *repo) { r.askCancel() }, nil, 1, ""},
		"later": {rerunning, plain, nil, func(r *repo) {
			r.commit(`(runtime.run "true")`)
			r.pushUnattended("")
		}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.settings)
			r := w.repo("project")
			r.commitPipeline(c.pipeline(w))
			r.pushDetached()
			w.begun("first")
			if c.before != nil {
				c.before(r)
			}
			w.killAll()
			if c.after != nil {
				c.after(r)
			}
			w.workOff()
			w.workOff()
			runs := w.runs()
			if _, err := os.Stat(filepath.Join(w.dir, "second")); err == nil && name != "later" {
				t.Error("it was done twice")
			}
			if name == "later" { // either the interrupted run was repeated and displaced, or it was not
				last := runs[len(runs)-1]
				if last.State != event.RunSucceeded || last.Rerun {
					t.Errorf("%+v", runs)
				}
				return
			}
			if len(runs) != c.runs || runs[0].Interrupted != (name != "canceled") {
				t.Fatalf("%+v", runs)
			}
			if name == "canceled" && runs[0].State != event.RunCanceled {
				t.Errorf("%+v", runs[0])
			}
			s := w.store()
			defer s.Close()
			if said, err := AfterInterruption(context.Background(), w.cfg, s, runs[0]); c.why != "" && (err != nil || !strings.Contains(said, "not run again ("+c.why+")")) {
				t.Errorf("%q, %v", said, err)
			}
			w.checkInvariants()
		})
	}
}

// A power cut took the start of a run with a :once job back from the database, and not
// the note that a job may have begun.
func TestAOnceJobIsNotBegunTwiceAfterAPowerCut(t *testing.T) {
	w := newWorld(t, rerunning)
	r := w.repo("project")
	r.commitPipeline(head + "(ci.job :deploy {:inputs [:quire/push] :once true :run (fn [] (runtime.run \"echo x >>" + w.dir + "/done; sleep 300\"))})\n")
	r.pushDetached()
	w.begun("done")
	w.killAll()
	db, err := sql.Open("sqlite", store.Path(w.root))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE runs SET state = 'queued', pid = 0, started_at = 0"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	w.workOff()
	runs := w.runs()
	if len(runs) != 1 || runs[0].State != event.RunOrphaned || !runs[0].Interrupted {
		t.Errorf("%+v", runs)
	}
	if done, err := os.ReadFile(filepath.Join(w.dir, "done")); string(done) != "x\n" {
		t.Errorf("done %q, %v", done, err)
	}
	if !runlog.RunDir(w.root, runs[0].ID).Ended() {
		t.Error("it has no outcome")
	}
}

// A run whose repetition is interrupted too is not run a third time.
func TestAnInterruptedRunIsRepeatedOnce(t *testing.T) {
	w := newWorld(t, rerunning)
	r := w.repo("project")
	r.commit(fmt.Sprintf(`(runtime.run "touch %s/begun-$QUIRE_RUN; sleep 300")`, w.dir))
	r.pushDetached()
	w.begun("begun-" + w.waitRuns(1)[0].ID)
	w.killAll()
	cmd := exec.Command(os.Getenv("QUIRE_BIN"), "worker")
	cmd.Env = os.Environ()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.begun("begun-" + w.waitRuns(2)[1].ID)
	w.killAll()
	cmd.Wait()
	w.workOff()
	if runs := w.runs(); len(runs) != 2 || !runs[1].Interrupted || !runs[1].Rerun {
		t.Errorf("%+v", runs)
	}
	w.checkInvariants()
}

func (w *world) waitRuns(n int) (runs []event.Run) {
	w.t.Helper()
	w.until(fmt.Sprintf("there are %d runs", n), func() bool { runs = w.runs(); return len(runs) >= n })
	return runs
}

// askCancel records that a person wants the newest run canceled, as Cancel does before
// it signals the supervisor.
func (r *repo) askCancel() {
	r.t.Helper()
	s := r.store()
	defer s.Close()
	runs := r.runs()
	if _, err := s.AskStop(context.Background(), runs[len(runs)-1].ID, store.Stop{State: event.RunCanceled, Reason: outside.Mask("canceled by ann")}, time.Now()); err != nil {
		r.t.Fatal(err)
	}
}
