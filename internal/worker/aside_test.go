package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

// A push that two workers died over is set aside, its pusher is told, and later
// pushes have their runs. By hand it is tried again, and has its run too.
func TestAPushThatTwoWorkersDiedOverIsSetAside(t *testing.T) {
	for _, step := range []event.Step{event.StepReading, event.StepTaken, event.StepAnswered} {
		t.Run(string(step), func(t *testing.T) {
			w := newWorld(t, "")
			r := w.repo("project")
			r.commit(`(runtime.run "true")`)
			r.push()
			w.until("the worker has left", func() bool { return len(w.processes()) == 0 })
			w.workOff()
			commit := r.commit(`(runtime.run "true")`)
			r.pushUnattended("")
			names, err := w.spoolDir().List()
			if err != nil || len(names) != 1 {
				t.Fatalf("in the spool: %v, %v", names, err)
			}
			id := names[0]
			for range maxDeaths {
				if aside, _ := w.spoolDir().Aside(); len(aside) > 0 {
					t.Fatal("it is set aside too early")
				}
				w.workUntilKilled(step)
			}
			later := r.repoBeside("other")
			w.workOff()
			w.workOff()
			aside, err := w.spoolDir().Aside()
			if err != nil || len(aside) != 1 || aside[0].ID != id || aside[0].GitDir != r.bare || !strings.Contains(aside[0].Why, "2 workers died") {
				t.Fatalf("set aside: %+v, %v", aside, err)
			}
			answer, err := runlog.ReadTaken(w.root, id)
			if err != nil || len(answer.Notes) == 0 || !strings.Contains(answer.Notes[len(answer.Notes)-1], "quire retry "+id) {
				t.Errorf("its pusher is told %+v, %v", answer, err)
			}
			if log := w.workerSaid; !strings.Contains(log, "set aside") {
				t.Errorf("the worker's log: %q", log)
			}
			w.checkInvariants()
			have := map[string]int{}
			for _, run := range w.runs() {
				have[run.New]++
				if run.State != event.RunSucceeded {
					t.Errorf("run %d of %s %s", run.Number, run.New, run.State)
				}
			}
			want := 0
			if step != event.StepReading {
				want = 1 // the run was made before they died
			}
			if have[commit] != want || have[later] != 1 {
				t.Errorf("runs by commit: %v; %s was set aside, %s came later", have, commit, later)
			}
			if left, _ := filepath.Glob(filepath.Join(w.root, "work", "*")); len(left) > 0 {
				t.Errorf("notes are left: %v", left)
			}

			if _, err := RetryPush(w.cfg, "../"+id); err != nil { // no way out of the directory
				t.Fatal(err)
			}
			w.workOff()
			w.checkInvariants()
			have = map[string]int{}
			for _, run := range w.runs() {
				have[run.New]++
			}
			if have[commit] != want+1 {
				t.Errorf("after the retry, runs by commit: %v", have)
			}
			if aside, _ := w.spoolDir().Aside(); len(aside) > 0 {
				t.Errorf("it is still set aside: %+v", aside)
			}
			if _, err := RetryPush(w.cfg, id); err == nil {
				t.Error("it can be tried again twice")
			}
		})
	}
}

// repoBeside pushes to another repository, unattended, and returns the commit.
func (r *repo) repoBeside(name string) string {
	other := r.world.repo(name)
	commit := other.commit(`(runtime.run ["echo" "beside"])`) // of the same second as another's, and not the same
	other.pushUnattended("")
	return commit
}

// Deaths before the last boot are a power cut's.
func TestDeathsBeforeTheLastBootDoNotCount(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	commit := r.commit(`(runtime.run "true")`)
	r.pushUnattended("")
	names, _ := w.spoolDir().List()
	for range 3 {
		w.workUntilKilled(event.StepReading)
		// As if it had been another boot.
		file := filepath.Join(w.root, "work", workPush+"-"+names[0])
		self, err := store.Self()
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), self.Boot) {
			t.Fatalf("the note: %q, %v", text, err)
		}
		w.write(file, strings.ReplaceAll(string(text), self.Boot, "another-boot"))
	}
	w.workOff()
	if runs := w.runs(); len(runs) != 1 || runs[0].New != commit || runs[0].State != event.RunSucceeded {
		t.Errorf("runs %+v", runs)
	}
	w.checkInvariants()
}

// A run whose supervisors die before it is running is ended, not started for
// ever.
func TestARunWhoseSupervisorsDieEnds(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commit(`(runtime.run "true")`)
	r.pushUnattended("")
	// The worker lives; each supervisor is killed when it holds the run's lock.
	out, err := w.quire([]string{"worker", "--once"}, "QUIRE_CRASH_AT="+string(event.StepHeld))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	runs := w.runs()
	if len(runs) != 1 || runs[0].State != event.RunOrphaned || !strings.Contains(runs[0].Reason.String(), "its supervisor died 2 times") {
		t.Errorf("runs %+v", runs)
	}
	if report := w.report(runs[0]); !strings.Contains(report, fmt.Sprintf("quire retry %d", runs[0].Number)) {
		t.Errorf("report %q", report)
	}
	w.checkInvariants()
	s := w.store()
	defer s.Close()
	if _, err := Retry(context.Background(), w.cfg, s, runs[0].ID); err != nil {
		t.Fatal(err)
	}
	w.workOff()
	if runs = w.runs(); len(runs) != 2 || runs[1].State != event.RunSucceeded {
		t.Errorf("after the retry: %+v", runs)
	}
	w.checkInvariants()
}

// A run that workers die over while they complete it is completed without its
// records being read.
func TestARunThatTwoWorkersDiedOverEnds(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commit(`(runtime.run ["sleep" "600"])`)
	r.pushUnattended("")
	crash := "QUIRE_CRASH_AT=" + string(event.StepOrphanFound)
	var working sync.WaitGroup
	working.Go(func() { w.quire([]string{"worker", "--once"}, crash) })
	var supervisor store.Holder
	w.until("the run is running", func() bool {
		if len(w.runs()) == 0 {
			return false
		}
		s := w.store()
		defer s.Close()
		running, err := s.Running(context.Background())
		if err != nil || len(running) == 0 {
			return false
		}
		supervisor = running[0].Holder
		return true
	})
	if err := supervisor.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	working.Wait() // the first dies over what its supervisor left
	state := func() event.Run {
		t.Helper()
		runs := w.runs()
		if len(runs) == 0 {
			t.Fatal("there is no run")
		}
		return runs[0]
	}
	for n := 1; n < maxDeaths; n++ {
		if r := state(); r.State != event.RunRunning {
			t.Fatalf("after %d deaths the run is %s", n, r.State)
		}
		if out, err := w.quire([]string{"worker", "--once"}, crash); err == nil {
			t.Fatalf("the worker did not die:\n%s", out)
		}
	}
	w.workOff()
	run := state()
	if run.State != event.RunOrphaned || !strings.Contains(run.Reason.String(), "2 workers died while they read what it left") {
		t.Errorf("the run is %s: %s", run.State, run.Reason)
	}
	if report := w.report(run); !strings.Contains(report, fmt.Sprintf("quire retry %d", run.Number)) {
		t.Errorf("report %q", report)
	}
	if left, _ := filepath.Glob(filepath.Join(w.root, "work", "*")); len(left) > 0 {
		t.Errorf("notes are left: %v", left)
	}
	// What comes later is done, and so is this again.
	later := r.commit(`(runtime.run "true")`)
	r.pushUnattended("")
	w.workOff()
	if runs := w.runs(); len(runs) != 2 || runs[1].New != later || runs[1].State != event.RunSucceeded {
		t.Errorf("runs %+v", runs)
	}
	w.checkInvariants()
}

// A worker that died with several things in hand blames none of them before it is
// known which: what is done without harm is cleared, and the other is set aside.
func TestAnInnocentIsNotSetAside(t *testing.T) {
	a := attemptsIn(t.TempDir(), "boot")
	died := func(pid int, what ...string) {
		t.Helper()
		for _, kind := range what {
			n, err := a.begin(kind, "x")
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(n.file)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(string(text), "\n")
			last := &lines[len(lines)-2]
			*last = strings.Replace(*last, fmt.Sprint(" ", os.Getpid(), " "), fmt.Sprint(" ", pid, " "), 1)
			if err := os.WriteFile(n.file, []byte(strings.Join(lines, "")), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(push, mirror int) {
		t.Helper()
		if p, m := a.deaths(workPush, "x"), a.deaths(workMirror, "x"); p != push || m != mirror {
			t.Errorf("the push has %d deaths and the mirror %d, want %d and %d", p, m, push, mirror)
		}
	}
	died(901, workPush, workMirror)
	want(0, 0)
	died(902, workPush, workMirror)
	want(1, 1)
	a.forget(workPush, "x") // it was taken
	want(0, 2)
	a.forget(workMirror, "x")
	died(903, workPush, workStart)
	want(1, 0)
	if n := a.deaths(workStart, "x"); n != 0 {
		t.Errorf("a run that was about to begin has %d deaths", n)
	}
	// If they are always together, both are set aside in the end.
	for pid := range 2 * maxDeaths {
		died(910+pid, workRecover, workMirror)
	}
	if n, m := a.deaths(workRecover, "x"), a.deaths(workMirror, "x"); n != maxDeaths || m != maxDeaths {
		t.Errorf("after %d deaths over both they have %d and %d", 2*maxDeaths, n, m)
	}
}

func TestNotesCountDeathsOnly(t *testing.T) {
	a := attemptsIn(t.TempDir(), "boot")
	begin := func() *attempt {
		t.Helper()
		n, err := a.begin(workPush, "x")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	begin() // dies
	if n := a.deaths(workPush, "x"); n != 1 {
		t.Errorf("%d deaths, want 1", n)
	}
	begin().again()
	if n := a.deaths(workPush, "x"); n != 1 {
		t.Errorf("%d deaths after an attempt that failed, want 1", n)
	}
	if n := attemptsIn(filepath.Dir(a.dir), "later").deaths(workPush, "x"); n != 0 {
		t.Errorf("%d deaths after a boot", n)
	}
	begin().done()
	if n := a.deaths(workPush, "x"); n != 0 {
		t.Errorf("%d deaths after it was done", n)
	}
	begin().again()
	if left, _ := os.ReadDir(a.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	begin()
	was := time.Now().Add(-2 * old)
	if err := os.Chtimes(a.file(workPush, "x"), was, was); err != nil {
		t.Fatal(err)
	}
	a.sweep()
	if left, _ := os.ReadDir(a.dir); len(left) > 0 {
		t.Errorf("old notes are left: %v", left)
	}
}

// A mirror that two workers died over is left alone, and is tried again by hand;
// what else is to be done is done.
func TestAMirrorThatTwoWorkersDiedOverIsLeftAlone(t *testing.T) {
	forge := forgetest.New(t)
	dst := forge.Repo("copy.git")
	w := newWorld(t, mirrorConfig(forge.RepoURL("copy.git")))
	r := w.repo("project")
	commit := r.commit(`(runtime.run "true")`)
	r.pushUnattended("")
	for range maxDeaths {
		w.workUntilKilled(event.StepMirrorSending)
	}
	w.workOff()
	if out, err := w.tryGit(dst, "rev-parse", "--verify", "-q", "refs/heads/main"); err == nil {
		t.Fatalf("it was delivered: %s", out)
	}
	aside := SetAside(w.cfg)
	if len(aside) != 1 || aside[0].Kind != workMirror || aside[0].Deaths != maxDeaths || !strings.Contains(aside[0].What, r.bare+" → "+forge.RepoURL("copy.git")) {
		t.Errorf("set aside: %+v", aside)
	}
	if !strings.Contains(w.workerSaid, "workers died over it") {
		t.Errorf("the worker said %q", w.workerSaid)
	}
	if runs := w.waitOver(1); runs[0].State != event.RunSucceeded {
		t.Errorf("its run %s", runs[0].State)
	}
	RetryMirror(w.cfg, r.bare, forge.RepoURL("copy.git"))
	w.workOff()
	if got := w.git(dst, "rev-parse", "refs/heads/main"); got != commit {
		t.Errorf("main there is %s, want %s", got, commit)
	}
	if left := SetAside(w.cfg); len(left) > 0 {
		t.Errorf("still set aside: %+v", left)
	}
}
