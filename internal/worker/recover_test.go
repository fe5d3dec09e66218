package worker

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/spool"
)

// With write-ahead not even a kill between git's two hooks loses what the push
// was; and what git refused makes no run.
func TestAnAnnouncedPushIsSettledByWhatTheRefsSay(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	commit := r.commit(`(runtime.run "true")`)
	zero := "0000000000000000000000000000000000000000"
	moved := event.Push{ID: event.NewID(time.Now()), At: time.Now(), GitDir: r.bare, Pusher: "ann", Options: []string{"ci.var=A=1"},
		Updates: []event.Update{{Old: zero, New: commit, Ref: "refs/heads/main"}, {Old: zero, New: commit, Ref: "refs/heads/refused"}}}
	refused := event.Push{ID: event.NewID(time.Now()), At: time.Now(), GitDir: r.bare, Pusher: "ann",
		Updates: []event.Update{{Old: zero, New: commit, Ref: "refs/heads/other"}}}
	s := spool.Dir(w.root)
	for _, p := range []event.Push{moved, refused} {
		if err := s.Intend(p); err != nil {
			t.Fatal(err)
		}
	}
	os.Remove(filepath.Join(r.bare, "hooks", "post-receive")) // it was killed
	r.push()
	w.workOff()
	runs := w.runs()
	if len(runs) != 1 || runs[0].PushID != moved.ID || runs[0].Ref != "refs/heads/main" || len(runs[0].Options) != 1 || runs[0].Pusher != "ann" {
		t.Errorf("runs %+v", runs)
	}
	if left, _ := s.Intents(); len(left) > 0 {
		t.Errorf("intents are left: %v", left)
	}
	w.checkInvariants()
}

// A hook that takes its time is not overtaken: the push that it reports in the
// end has its run once.
func TestAPushThatIsReportedLateRunsOnce(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commit(`(runtime.run "true")`)
	r.push()
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
	hook := filepath.Join(r.bare, "hooks", "post-receive")
	os.Remove(hook)
	w.write(hook, "#!/bin/sh\n"+w.signal("in-hook")+"\n"+w.wait("go-on")+"\nexec "+hookPath(t)+"\n")
	if err := os.Chmod(hook, 0o755); err != nil {
		t.Fatal(err)
	}
	r.commit(`(runtime.run "true")`)
	push := exec.Command("git", "push", "-q", "origin", "HEAD:refs/heads/main")
	push.Dir, push.Env = r.work, gitEnv()
	if err := push.Start(); err != nil {
		t.Fatal(err)
	}
	w.begun("in-hook")
	w.workOff() // sees the ref moved, and that the push is still going on
	if runs := w.runs(); len(runs) != 1 {
		t.Errorf("%d runs while the hook is at work", len(runs))
	}
	w.make("go-on")
	if err := push.Wait(); err != nil {
		t.Fatal(err)
	}
	w.waitOver(2)
	w.workOff()
	if runs := w.runs(); len(runs) != 2 {
		t.Errorf("%d runs of 2 pushes", len(runs))
	}
	w.checkInvariants()
}

// Without the hook in place, nobody asked for moves to be found.
func TestRepositoriesWithoutTheHookAreLeftAlone(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commit(`(runtime.run "true")`)
	r.push()
	w.workOff()
	os.Remove(filepath.Join(r.bare, "hooks", "post-receive"))
	r.commit(`(runtime.run "true")`)
	r.push()
	if err := Run(t.Context(), w.cfg, Options{Once: true, Hooked: func(string) bool { return false }}); err != nil {
		t.Fatal(err)
	}
	if runs := w.runs(); len(runs) != 1 {
		t.Errorf("%d runs", len(runs))
	}
}
