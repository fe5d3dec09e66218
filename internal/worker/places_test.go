package worker

import (
	"strings"
	"testing"

	"quire/internal/event"
)

func TestOneRepositoryDoesNotTakeEveryPlace(t *testing.T) {
	w := newWorld(t, "max_runs = 3\n")
	busy := w.repo("busy")
	busy.commit(`(runtime.run "` + w.wait("go-on") + `")`)
	for _, branch := range []string{"a", "b", "c"} {
		busy.pushDetached("HEAD:refs/heads/" + branch)
	}
	w.until("three runs are there", func() bool { return len(w.runs()) == 3 })
	third := w.runs()[2]
	w.until("the third waits for its own repository", func() bool {
		return strings.Contains(w.report(third), "waits: 2 runs of this repository are at work")
	})
	other := w.repo("other")
	other.commit(`(runtime.run "true")`)
	other.pushDetached("HEAD:refs/heads/main")
	w.until("the other repository's run is over", func() bool {
		runs := w.runs()
		return len(runs) == 4 && runs[3].State == event.RunSucceeded
	})
	if got := w.state(third.ID); got != event.RunQueued {
		t.Errorf("the busy repository's third run is %s", got)
	}
	w.make("go-on")
	w.waitOver(4)
	w.workOff()
	w.checkInvariants()
}
