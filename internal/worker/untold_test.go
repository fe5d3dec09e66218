package worker

import (
	"strings"
	"testing"
	"time"

	"quire/internal/event"
)

// How a push ended that was taken from the drop directory is told at its pusher's next
// push to the repository: once, to nobody else, and only where somebody watches.
func TestADroppedPushIsToldOfAtTheNextPush(t *testing.T) {
	w := newWorld(t, "")
	r, other := w.repo("project"), w.repo("other")
	r.commit(`(runtime.run "true")`)
	r.push()
	pusher := w.waitOver(1)[0].Pusher
	oid := r.commit(`(runtime.run "exit 3")`)
	old := r.git(r.bare, "rev-parse", "refs/heads/main")
	r.git(r.bare, "fetch", "-q", r.work, "HEAD:refs/heads/side")
	for name, by := range map[string]string{"mine": pusher, "theirs": "somebody else"} {
		p := event.Push{ID: event.NewID(time.Now()), At: time.Now(), GitDir: r.bare, Pusher: by, Dropped: true, Unwatched: true,
			Updates: []event.Update{{Old: old, New: oid, Ref: "refs/heads/side"}}}
		if err := w.spoolDir().Write(p); err != nil {
			t.Fatal(name, err)
		}
	}
	w.workOff()
	// Elsewhere, and where nobody watches, nothing is said of it.
	other.commit(`(runtime.run "true")`)
	if said := other.push(); strings.Contains(said, "your push") {
		t.Errorf("told at another repository:\n%s", said)
	}
	r.commit(`(runtime.run "true")`)
	r.push("-q", "-o", "ci.wait=none", "HEAD:refs/heads/main")
	w.workOff()
	r.commit(`(runtime.run "true")`)
	said := r.push()
	if strings.Count(said, "of your push of ") != 1 || !strings.Contains(said, "(side "+event.ShortOID(oid)+") of your push of ") || !strings.Contains(said, "failed: ") && !strings.Contains(said, "replaced") {
		t.Errorf("the pusher saw\n%s", said)
	}
	r.commit(`(runtime.run "true")`)
	if said := r.push(); strings.Contains(said, "your push") {
		t.Errorf("told twice:\n%s", said)
	}
	w.checkInvariants()
}

// So is that a run was interrupted, with what came of it.
func TestAnInterruptedRunIsToldOfAtTheNextPush(t *testing.T) {
	w := newWorld(t, rerunning)
	r := w.repo("project")
	r.commit(w.atFirst())
	r.pushDetached()
	w.begun("first")
	w.killAll()
	w.workOff()
	r.commit(`(runtime.run "true")`)
	said := r.push()
	if !strings.Contains(said, "run 1 (main") || !strings.Contains(said, "it was interrupted, and is run again as run 2") {
		t.Errorf("the pusher saw\n%s", said)
	}
	if !strings.Contains(said, "run 2 (main") {
		t.Errorf("and not how that ended:\n%s", said)
	}
	w.checkInvariants()
}
