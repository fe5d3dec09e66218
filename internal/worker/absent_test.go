package worker

import (
	"os"
	"testing"
	"time"

	"quire/internal/event"
)

// A push whose repository is away for a moment waits for it, in the spool as well as
// announced.
func TestAPushWaitsForARepositoryThatIsAway(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	a, b, c := r.threeCommits()
	first := r.spooled(time.Now(), a, b)
	second := event.Push{ID: event.NewID(time.Now().Add(time.Second)), At: time.Now(), GitDir: r.bare, Pusher: "ann",
		Updates: []event.Update{{Ref: "refs/heads/main", Old: b, New: c}}}
	if err := w.spoolDir().Intend(second); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(r.bare, r.bare+".away"); err != nil {
		t.Fatal(err)
	}
	w.workOff()
	if runs := w.runs(); len(runs) != 0 {
		t.Fatalf("runs of a repository that is away: %+v", runs)
	}
	if names, err := w.spoolDir().Parked(); err != nil || len(names) != 1 || names[0] != first.ID {
		t.Errorf("parked: %v, %v", names, err)
	}
	if names, err := w.spoolDir().Intents(); err != nil || len(names) != 1 || names[0] != second.ID {
		t.Errorf("announced: %v, %v", names, err)
	}
	if err := os.Rename(r.bare+".away", r.bare); err != nil {
		t.Fatal(err)
	}
	w.workOff()
	runs := w.waitOver(1)
	if runs[0].PushID != first.ID {
		t.Errorf("runs: %+v", runs)
	}
	if names, _ := w.spoolDir().Parked(); len(names) != 0 {
		t.Errorf("parked still: %v", names)
	}
	if names, _ := w.spoolDir().Intents(); len(names) != 0 {
		t.Errorf("announced still: %v", names)
	}
	s := w.store()
	defer s.Close()
	if known, err := s.Knows(t.Context(), second.ID); !known || err != nil {
		t.Errorf("the announced push was not taken: %v", err)
	}
}

// After a month it waits no more: who pushed is told.
func TestAPushDoesNotWaitForARepositoryForEver(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	a, b, _ := r.threeCommits()
	p := r.spooled(time.Now().Add(-AbsentLimit-time.Hour), a, b)
	if err := os.Rename(r.bare, r.bare+".away"); err != nil {
		t.Fatal(err)
	}
	w.workOff()
	s := w.store()
	defer s.Close()
	if _, notes, err := s.Push(t.Context(), p.ID); err != nil || len(notes) != 1 {
		t.Errorf("notes %q, %v", notes, err)
	}
}
