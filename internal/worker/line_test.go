package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/runner"
)

// spooled is a push that waits in the spool, from one commit to another.
func (r *repo) spooled(at time.Time, from, to string) event.Push {
	r.t.Helper()
	p := event.Push{ID: event.NewID(at), At: at, GitDir: r.bare, Pusher: "ann",
		Updates: []event.Update{{Ref: "refs/heads/main", Old: from, New: to}}}
	if err := r.spoolDir().Write(p); err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *repo) threeCommits() (a, b, c string) {
	r.t.Helper()
	a, b, c = r.commit(`(runtime.run "true")`), r.commit(`(runtime.run "true")`), r.commit(`(runtime.run "true")`)
	r.push("-o", "ci.skip", "HEAD:refs/heads/main")
	r.workOff()
	return a, b, c
}

// A push that cannot be taken for a moment is still taken before the later ones of
// its repository: else it would end their runs.
func TestAPushThatFailsToBeTakenHoldsBackLaterOnes(t *testing.T) {
	w := newWorld(t, "")
	r, other := w.repo("project"), w.repo("other")
	a, b, c := r.threeCommits()
	_, d, e := other.threeCommits()
	now := time.Now()
	first := r.spooled(now.Add(time.Millisecond), a, b)
	second := r.spooled(now.Add(2*time.Millisecond), b, c)
	elsewhere := other.spooled(now.Add(3*time.Millisecond), d, e)
	// No note of the attempt can be made: its name is a directory.
	note := filepath.Join(w.root, "work", "push-"+first.ID)
	if err := os.MkdirAll(filepath.Join(note, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 1)
	go func() {
		out, err := w.quire([]string{"worker", "--once"})
		if err != nil {
			out += err.Error()
		}
		ended <- out
	}()
	w.until("the other repository's push is taken", func() bool { return len(w.runs()) > 0 })
	if runs := w.runs(); runs[0].PushID != elsewhere.ID {
		t.Errorf("run 1 is of push %s, not of the other repository's", runs[0].PushID)
	}
	if err := os.RemoveAll(note); err != nil {
		t.Fatal(err)
	}
	w.workerSaid += <-ended
	runs := w.waitOver(3)
	if len(runs) != 3 || runs[1].PushID != first.ID || runs[2].PushID != second.ID || runs[2].State != event.RunSucceeded {
		t.Errorf("runs: %+v", runs)
	}
}

// A clock that was set back between two waiting pushes does not turn them round.
func TestAClockSetBackDoesNotTurnPushesRound(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	a, b, c := r.threeCommits()
	first := r.spooled(time.Now().Add(time.Hour), a, b)
	second := r.spooled(time.Now(), b, c)
	w.workOff()
	runs := w.waitOver(2)
	if len(runs) != 2 || runs[0].PushID != first.ID || runs[1].PushID != second.ID || runs[1].State != event.RunSucceeded {
		t.Errorf("runs: %+v", runs)
	}
}

func TestTheOrderOfWaitingPushes(t *testing.T) {
	for _, c := range []struct{ waiting, want string }{
		{"1:a-b 2:b-c 3:c-d", "1 2 3"},
		{"1:c-d 2:b-c 3:a-b", "3 2 1"},
		{"1:a-b 2:b-a", "1 2"},         // set back: the ids decide
		{"1:a-b 2:b-c 3:c-a", "1 2 3"}, // round in a circle
		{"1:b-c 2:x-y 3:a-b", "3 1 2"},
	} {
		var line []queuedPush
		for _, f := range strings.Fields(c.waiting) {
			name, move, _ := strings.Cut(f, ":")
			from, to, _ := strings.Cut(move, "-")
			line = append(line, queuedPush{name, "/g", []event.Update{{Ref: "r", Old: from, New: to}}})
		}
		var got []string
		for _, q := range inOrder(line) {
			got = append(got, q.name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, want %s", c.waiting, got, c.want)
		}
	}
}

// Who may write to the repository's directory can put its record in doubt. The
// pushes that wait are not lost by it, and other repositories' are taken.
func TestAPushWaitsWhileNothingSaysWhoRunsIt(t *testing.T) {
	w := newWorld(t, "")
	r, other := w.repo("project"), w.repo("other")
	a, b, c := r.threeCommits()
	_, d, e := other.threeCommits()
	record := filepath.Join(r.bare, runner.File)
	was, err := os.ReadFile(record)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, fmt.Appendf(nil, "uid = %d\nrepository = \"/srv/git/elsewhere.git\"\n", os.Geteuid()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(record, 0o644); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	first := r.spooled(now.Add(time.Millisecond), a, b)
	r.spooled(now.Add(3*time.Millisecond), b, c) // nothing is left to be found by itself
	elsewhere := other.spooled(now.Add(2*time.Millisecond), d, e)
	ended := make(chan string, 1)
	go func() {
		out, err := w.quire([]string{"worker", "--once"})
		if err != nil {
			out += err.Error()
		}
		ended <- out
	}()
	w.until("the other repository's push is taken", func() bool { return len(w.runs()) > 0 })
	if runs := w.runs(); runs[0].PushID != elsewhere.ID {
		t.Errorf("run 1 is of push %s, not of the other repository's", runs[0].PushID)
	}
	if was == nil {
		err = os.Remove(record)
	} else {
		err = os.WriteFile(record, was, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.workerSaid += <-ended
	if runs := w.waitOver(3); len(runs) != 3 || runs[1].PushID != first.ID {
		t.Errorf("runs: %+v", runs)
	}
}
