package worker

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

// copied is a world with a copy of project, and the copy's directory.
func copied(t *testing.T, settings string) (*world, string) {
	forge := forgetest.New(t)
	dst := forge.Repo("project.git")
	return newWorld(t, settings+fmt.Sprintf("\n[[mirror]]\nrepos = [\"*\"]\nname = \"copy\"\nurl = %q\n", forge.RepoURL("project.git"))), dst
}

// pushes counts what was taken since the beginning.
func (w *world) pushes() (n int) {
	w.t.Helper()
	db, err := sql.Open("sqlite", store.Path(w.root))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM pushes").Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// A release job tags its own repository. The copy gets the tag, and no run comes of
// it, whatever [recover] says of moves that nobody reported.
func TestWhatARunMovesMakesNoRun(t *testing.T) {
	w, dst := copied(t, "[recover]\nunreported = \"run\"\n")
	r := w.repo("project")
	r.commit(fmt.Sprintf(`(runtime.run "git --git-dir=%s tag b$(date +%%s%%N) $QUIRE_SHA && git --git-dir=%s branch -f side $QUIRE_SHA")`, r.bare, r.bare))
	said := r.push()
	w.waitOver(1)
	for range 3 {
		w.workOff()
	}
	if runs := w.runs(); len(runs) != 1 || runs[0].State != event.RunSucceeded {
		t.Errorf("runs %+v\n%s", runs, said)
	}
	if !strings.Contains(said, "moved in the repository by this run") {
		t.Errorf("the pusher saw\n%s", said)
	}
	w.until("the copy has what the run made", func() bool {
		refs := r.git(dst, "for-each-ref", "--format=%(refname)")
		return strings.Contains(refs, "refs/tags/b") && strings.Contains(refs, "refs/heads/side")
	})
	// A person's push to the same ref runs as ever.
	r.commit(`(runtime.run "true")`)
	r.push("HEAD:refs/heads/side")
	w.waitOver(2)
	w.checkInvariants()
}

// What [recover] unreported says of a fetch into the repository.
func TestUnreportedMoves(t *testing.T) {
	for mode, want := range map[string]struct {
		runs   int
		copied bool
	}{"run": {2, true}, "mirror": {1, true}, "ignore": {1, false}, "": {1, true}} {
		t.Run("mode "+mode, func(t *testing.T) {
			settings := "[recover]\n"
			if mode != "" {
				settings += "unreported = \"" + mode + "\"\n"
			}
			w, dst := copied(t, settings)
			r := w.repo("project")
			r.commit(`(runtime.run "true")`)
			r.push()
			w.waitOver(1)
			w.workOff()
			before := w.pushes()
			next := r.commit(`(runtime.run "true")`)
			r.git(r.bare, "fetch", "-q", r.work, "HEAD:refs/heads/fetched", "HEAD:refs/notes/fetched")
			for range 3 {
				w.workOff()
			}
			if runs := w.runs(); len(runs) != want.runs {
				t.Errorf("%d runs, want %d", len(runs), want.runs)
			}
			if n := w.pushes() - before; n > 1 || want.copied != (n == 1) {
				t.Errorf("%d pushes were made of it", n)
			}
			there := func() bool { return strings.Contains(r.git(dst, "for-each-ref"), next+" commit\trefs/heads/fetched") }
			if want.copied {
				w.until("the copy follows", there)
			} else if there() {
				t.Error("the copy has it")
			}
			if !strings.Contains(w.workerSaid, "nobody reported") {
				t.Errorf("worker.log does not tell:\n%s", w.workerSaid)
			}
			// What was deleted so is deleted there too.
			if mode != "ignore" {
				r.git(r.bare, "update-ref", "-d", "refs/heads/fetched")
				w.workOff()
				w.until("the copy lost it", func() bool { return !strings.Contains(r.git(dst, "for-each-ref"), "refs/heads/fetched") })
			}
			w.checkInvariants()
		})
	}
}

// A ref that cannot be read has neither moved nor gone: no push is made of it, the
// worker comes to an end, and the file is named.
func TestADamagedRefMakesNoPushes(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "nul": strings.Repeat("\x00", 41), "garbage": "hello\n", "zeros": strings.Repeat("0", 40) + "\n", "symref": "ref: refs/heads/none\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			r := w.repo("project")
			good := r.commit(`(runtime.run "true")`)
			r.push("HEAD:refs/heads/main", "HEAD:refs/heads/b1", "HEAD:refs/heads/b2")
			w.waitOver(3)
			w.workOff()
			before := w.pushes()
			file := filepath.Join(r.bare, "refs", "heads", "b1")
			w.write(file, text)
			r.git(r.bare, "update-ref", "-d", "refs/heads/b2") // deletions wait until all can be read
			for range 3 {
				w.workOff()
			}
			if n := w.pushes() - before; n != 0 || len(w.runs()) != 3 {
				t.Errorf("%d pushes and %d runs came of it", n, len(w.runs())-3)
			}
			if !strings.Contains(w.workerSaid, file) {
				t.Errorf("the file is not named:\n%s", w.workerSaid)
			}
			w.write(file, good+"\n")
			w.workOff()
			w.workOff()
			if n := w.pushes() - before; n != 1 || len(w.runs()) != 3 {
				t.Errorf("after it was mended: %d pushes and %d runs; want the deletion of b2 alone", n, len(w.runs())-3)
			}
			w.checkInvariants()
		})
	}
}

// Whatever moves refs behind quire's back for ever makes runs only for a while.
func TestALoopOfUnreportedMovesIsStopped(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commit(`(runtime.run "true")`)
	r.push()
	w.waitOver(1)
	w.workOff()
	for i := range maxOwnRuns + 5 {
		r.git(r.bare, "update-ref", fmt.Sprintf("refs/tags/t%d", i), r.git(r.work, "rev-parse", "HEAD"))
		w.workOff()
	}
	if n := len(w.runs()); n != 1+maxOwnRuns {
		t.Errorf("%d runs, want %d", n, 1+maxOwnRuns)
	}
	stopped := Stopped(w.cfg)
	if len(stopped) != 1 || stopped[0].What != r.bare || !strings.Contains(w.workerSaid, stopped[0].Note) {
		t.Fatalf("%+v\n%s", stopped, w.workerSaid)
	}
	// Pushes run as ever, and when the note is gone all goes on.
	r.commit(`(runtime.run "true")`)
	r.push()
	w.waitOver(2 + maxOwnRuns)
	w.workOff()
	if n := len(w.runs()); n != 2+maxOwnRuns {
		t.Errorf("%d runs after a push, want %d", n, 2+maxOwnRuns)
	}
	os.Remove(stopped[0].Note)
	s := w.store()
	defer s.Close()
	if n, err := s.OwnRuns(context.Background(), r.bare, time.Now().Add(time.Minute)); n != 0 || err != nil {
		t.Errorf("runs of the future: %d, %v", n, err)
	}
	if tips, _, err := s.Tips(context.Background(), r.bare); err != nil || tips[fmt.Sprintf("refs/tags/t%d", maxOwnRuns+4)] != "" {
		t.Errorf("what was not looked at is known: %v", err)
	}
}
