package worker

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quire/internal/event"
	"quire/internal/gitrepo"
)

// A run that waits finds its commit although its branch was deleted and the
// repository pruned, and so does a retry; afterwards nothing of it is kept.
func TestACommitIsKeptAsLongAsItsRun(t *testing.T) {
	w := newWorld(t, "max_runs = 1\n[retention]\nruns = 1\n")
	r := w.repo("project")
	gate := filepath.Join(w.dir, "gate")
	r.commit(`(runtime.sh "while [ ! -e ` + gate + ` ]; do sleep 0.01; done")`)
	r.pushUnattended("")
	prune := func() {
		r.git(r.bare, "-c", "gc.pruneExpire=now", "-c", "gc.reflogExpire=now", "gc", "-q", "--prune=now")
	}
	var working sync.WaitGroup
	working.Go(func() { w.quire([]string{"worker", "--once"}) })
	w.until("the first run runs", func() bool { runs := w.runs(); return len(runs) == 1 && runs[0].State == event.RunRunning })
	commit := r.commit(`(runtime.run "true")`)
	r.git(r.work, "push", "-q", "-o", "ci.wait=none", "origin", "HEAD:refs/heads/topic")
	w.until("the second run waits", func() bool { return len(w.runs()) == 2 })
	w.until("its commit is kept", func() bool {
		_, err := w.tryGit(r.bare, "rev-parse", "--verify", "-q", gitrepo.RunRefs+"2")
		return err == nil
	})
	r.git(r.work, "push", "-q", "-o", "ci.wait=none", "origin", ":refs/heads/topic")
	prune()
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	runs := w.waitOver(2)
	if runs[1].New != commit || runs[1].State != event.RunSucceeded {
		t.Fatalf("run of %s %s: %s", runs[1].New, runs[1].State, runs[1].Reason)
	}
	working.Wait()
	prune()
	s := w.store()
	defer s.Close()
	if _, err := Retry(context.Background(), w.cfg, s, runs[1].ID); err != nil {
		t.Fatal(err)
	}
	w.workOff()
	if runs = w.runs(); len(runs) == 0 || runs[len(runs)-1].State != event.RunSucceeded || runs[len(runs)-1].New != commit {
		t.Fatalf("after the retry: %+v", runs)
	}
	if _, err := Collect(context.Background(), w.cfg, s); err != nil {
		t.Fatal(err)
	}
	if got := r.git(r.bare, "for-each-ref", "--format=%(refname)", "refs/quire/"); strings.TrimSpace(got) != gitrepo.RunRefs+"3" {
		t.Errorf("of one run that is kept, the refs are %q", got)
	}
}
