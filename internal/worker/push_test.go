package worker

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quire/internal/event"
)

func TestAPushRunsItsPipelineAndThePusherSeesIt(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	commit := r.commit(`(runtime.run "echo hello; cat .quire/ci.fnl >/dev/null; git describe --always")`)
	seen := r.push()
	runs := w.runs()
	if len(runs) != 1 || runs[0].State != event.RunSucceeded || runs[0].New != commit {
		t.Fatalf("runs %+v\n%s", runs, seen)
	}
	for _, want := range []string{"remote: run 1  main " + commit[:8] + "  1 job", "remote:   ok     test  ", "remote: success: run 1 succeeded in "} {
		if !strings.Contains(seen, want) {
			t.Errorf("the pusher did not see %q:\n%s", want, seen)
		}
	}
	if strings.Contains(seen, "error") {
		t.Errorf("the pusher saw\n%s", seen)
	}
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
}

func TestAFailingCommandsLastLinesReachThePusher(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commit(`(runtime.run "echo ./main.go:7: undefined: x >&2; exit 2")`)
	seen := r.push()
	for _, want := range []string{"  FAIL   test  ", "exit 2", "| ./main.go:7: undefined: x", "error: run 1 failed in ", "quire log 1 test"} {
		if !strings.Contains(seen, want) {
			t.Errorf("the pusher did not see %q:\n%s", want, seen)
		}
	}
}

func TestWhichRefsHaveRuns(t *testing.T) {
	w := newWorld(t, "max_runs_per_push = 2\n")
	r := w.repo("project")
	r.git(r.work, "commit", "-q", "--allow-empty", "-m", "plain")
	r.git(r.work, "branch", "plain")
	r.commit(`(runtime.run "true")`)
	r.git(r.work, "tag", "-a", "-m", "noted", "v1")
	blob := r.git(r.work, "hash-object", "-w", ".quire/ci.fnl")
	r.git(r.work, "tag", "blob", blob)
	for _, b := range []string{"a", "b"} {
		r.git(r.work, "branch", b)
	}
	seen := r.push("--all")
	if runs := w.runs(); len(runs) != 2 || runs[0].Ref != "refs/heads/main" {
		t.Errorf("runs %+v", runs)
	}
	for _, want := range []string{"no run for plain: no .quire/ci.fnl there", "1 more refs were not run, since max_runs_per_push is 2: b"} {
		if !strings.Contains(seen, want) {
			t.Errorf("the pusher did not see %q:\n%s", want, seen)
		}
	}
	r.push("--tags")
	if runs := w.runs(); len(runs) != 3 || runs[2].Ref != "refs/tags/v1" || runs[2].State != event.RunSucceeded {
		t.Errorf("runs %+v\n%s", runs, w.report(runs[len(runs)-1]))
	}
	seen = r.push(":refs/heads/a")
	r.commit(`(runtime.run "false")`)
	seen += r.push("-o", "ci.skip", "HEAD:refs/heads/main")
	if runs := w.runs(); len(runs) != 3 || !strings.Contains(seen, "no run: the push said ci.skip") {
		t.Errorf("%d runs\n%s", len(runs), seen)
	}
}

var (
	pushesToOne  = flag.Int("pushes", 50, "pushes at once to one repository")
	pushesToMany = flag.Int("pushes.many", 40, "pushes at once to ten repositories")
)

func TestPushesAtOnceToManyRepositories(t *testing.T) {
	w := newWorld(t, "max_runs = 4\n")
	var repos []*repo
	for i := range 10 {
		r := w.repo(fmt.Sprintf("r%d", i))
		r.commit(`(runtime.run "true")`)
		repos = append(repos, r)
	}
	var wg sync.WaitGroup
	for i := range *pushesToMany {
		r := repos[i%len(repos)]
		wg.Go(func() {
			out, err := r.tryGit(r.work, "push", "-q", "-o", "ci.wait=none", "origin", fmt.Sprintf("HEAD:refs/heads/b%d", i))
			if err != nil || strings.Contains(out, "error") {
				t.Errorf("push %d: %v\n%s", i, err, out)
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, r := range w.waitOver(*pushesToMany) {
		if key := r.GitDir + r.Ref; r.State != event.RunSucceeded || seen[key] {
			t.Errorf("run %d of %s: %s, %s", r.Number, key, r.State, r.Reason)
		} else {
			seen[key] = true
		}
	}
	if len(seen) != *pushesToMany {
		t.Errorf("%d runs of %d pushes", len(seen), *pushesToMany)
	}
	w.checkInvariants()
	if log, err := os.ReadFile(filepath.Join(w.root, "worker.log")); err != nil || strings.Contains(string(log), "locked") {
		t.Errorf("worker.log: %v\n%s", err, log)
	}
}

func TestPushesAtOnceAreAllRecordedAndRunOnce(t *testing.T) {
	n := *pushesToOne
	w := newWorld(t, "max_runs = 4\n")
	r := w.repo("project")
	r.commit(`(runtime.run "true")`)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			out, err := r.tryGit(r.work, "push", "-q", "-o", "ci.wait=none", "origin", fmt.Sprintf("HEAD:refs/heads/b%d", i))
			if err != nil || strings.Contains(out, "error") {
				t.Errorf("push %d: %v\n%s", i, err, out)
			}
		})
	}
	wg.Wait()
	runs := w.waitOver(n)
	refs := map[string]bool{}
	for _, r := range runs {
		if r.State != event.RunSucceeded || refs[r.Ref] {
			t.Errorf("run %d of %s: %s, %s", r.Number, r.Ref, r.State, r.Reason)
		}
		refs[r.Ref] = true
	}
	if len(runs) != n {
		t.Errorf("%d runs of %d pushes", len(runs), n)
	}
}
