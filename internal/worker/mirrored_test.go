package worker

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quire/internal/event"
	"quire/mirror/forgetest"
)

// mirrorConfig orders copies at each URL.
func mirrorConfig(urls ...string) string {
	var b strings.Builder
	for i, url := range urls {
		fmt.Fprintf(&b, "[[mirror]]\nname = \"m%d\"\nrepos = [\"*\"]\nurl = %q\n", i, url)
	}
	return b.String()
}

// plainCommit makes a commit without a pipeline.
func (r *repo) plainCommit(text string) string {
	r.t.Helper()
	r.write(filepath.Join(r.work, "file"), text)
	r.git(r.work, "add", "-A")
	r.git(r.work, "commit", "-q", "-m", "a commit")
	return r.git(r.work, "rev-parse", "HEAD")
}

// remoteLines are what git shows of the hook's words.
func remoteLines(out string) (lines []string) {
	for line := range strings.Lines(out) {
		if said, ok := strings.CutPrefix(line, "remote: "); ok {
			lines = append(lines, strings.TrimSpace(said))
		}
	}
	return lines
}

func wantRemote(t *testing.T, out string, want ...string) {
	t.Helper()
	got := remoteLines(out)
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			t.Fatalf("the pusher saw\n%s\nline %d was to begin with %q", strings.Join(got, "\n"), i+1, w)
		}
	}
	if len(got) > len(want) {
		t.Errorf("the pusher saw more than\n%s\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

// The pusher sees what became of the push at each mirror: where it is, what
// refuses it and why, and what is tried again. A repository without a pipeline
// is told nothing else.
func TestPusherHearsOfMirrors(t *testing.T) {
	forge, strict := forgetest.New(t), forgetest.New(t)
	dst := forge.Repo("a.git")
	forgetest.Hook(t, strict.Repo("b.git"), "pre-receive", `echo "GH006: Protected branch update failed for refs/heads/main." >&2; exit 1`)
	w := newWorld(t, mirrorConfig(forge.RepoURL("a.git"), strict.RepoURL("b.git"), "http://127.0.0.1:1/dead.git"))
	r := w.repo("project")
	commit := r.plainCommit("one")
	out := r.push()
	wantRemote(t, out, "mirror m0  main -> "+event.ShortOID(commit), "error: mirror m1: main refused (protected-branch): GH006",
		"hint: Allow the account of", "warning: mirror m2: main pending (network): ")
	if got := r.git(dst, "rev-parse", "refs/heads/main"); got != commit {
		t.Errorf("there main is %s, want %s", got, commit)
	}
	// Later followers see the same.
	text, err := os.ReadFile(filepath.Join(w.root, "pushes", lastPush(t, w)+".mirrors"))
	if err != nil || !strings.HasPrefix(string(text), "mirror m0  main -> ") {
		t.Errorf("%q, %v", text, err)
	}
}

// lastPush is the id of the newest push that was answered.
func lastPush(t *testing.T, w *world) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.root, "pushes", "*.json"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no answers: %v", err)
	}
	return strings.TrimSuffix(filepath.Base(found[len(found)-1]), ".json")
}

// The mirrors come after the runs, and a mirror that gives no answer is not
// waited for without end.
func TestPusherDoesNotWaitForAStalledMirror(t *testing.T) {
	slow := forgetest.New(t)
	slow.Repo("a.git")
	release := make(chan struct{})
	defer close(release)
	slow.Inject(&forgetest.Fault{Do: forgetest.Stall(release)})
	w := newWorld(t, mirrorConfig(slow.RepoURL("a.git")))
	r := w.repo("project")
	r.commit(`(runtime.run "true")`)
	out := r.push()
	wantRemote(t, out, "run 1  main ", "ok     test", "success: run 1 succeeded", "warning: mirror m0: main is still under way",
		"hint: see how it goes on with: quire mirror status project")
}

// A worker killed at any moment of a mirror's work: the next one brings the ref
// there, once, and answers the pusher; the commit's status is shown.
func TestMirrorKilledAtEveryStep(t *testing.T) {
	for _, step := range event.MirrorSteps {
		t.Run(string(step), func(t *testing.T) {
			forge := forgetest.New(t)
			dst := forge.Repo("me/project.git")
			api := forge.API("github", "me", "forge-t0ken-5a5a5a5a")
			forge.Require(func(_, pass, _ string) bool { return api.Knows(pass) })
			w := newWorld(t, fmt.Sprintf("[secrets.forge]\nvalue = \"forge-t0ken-5a5a5a5a\"\n[[mirror]]\nname = \"m0\"\nrepos = [\"*\"]\nurl = %q\n"+
				"secret = \"forge\"\nstatus = true\nforge = \"github\"\napi = %q\n", forge.RepoURL("me/project.git"), api.Base))
			r := w.repo("project")
			first := r.commit(`(runtime.run "true")`)
			r.pushUnattended("")
			w.workUntilKilled(step)
			// Meanwhile the next push comes, which the ref's history is not ahead of.
			r.git(r.work, "commit", "-q", "--amend", "-m", "another")
			second := r.git(r.work, "rev-parse", "HEAD")
			r.pushUnattended("", "-f")
			w.workOff()
			w.checkInvariants()
			if got := r.git(dst, "rev-parse", "refs/heads/main"); got != second {
				t.Errorf("there main is %s, want %s (%s)", got, second, first)
			}
			for _, push := range answered(t, w) {
				text, err := os.ReadFile(filepath.Join(w.root, "pushes", push+".mirrors"))
				if err != nil || strings.Count(string(text), "mirror m0") != 1 {
					t.Errorf("the pusher is told %q, %v", text, err)
				}
			}
			shown := ""
			for _, s := range api.Statuses() {
				if s.OID == second {
					shown = s.State
				}
			}
			if shown != "success" {
				t.Errorf("shown: %+v", api.Statuses())
			}
			if left, _ := filepath.Glob(filepath.Join("/dev/shm", "quire-mirror-*")); len(left) > 0 && os.Getenv("TMPDIR") == "" {
				for _, dir := range left {
					if strings.Contains(dir, fmt.Sprintf("-%d-", os.Getpid())) {
						t.Errorf("left behind: %v", left)
					}
				}
			}
		})
	}
}

func answered(t *testing.T, w *world) (ids []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.root, "pushes", "*.json"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no answers: %v", err)
	}
	for _, f := range found {
		ids = append(ids, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return ids
}

// While a run goes on, its jobs are shown as what they are.
func TestJobsAreShownWhileTheyRun(t *testing.T) {
	forge := forgetest.New(t)
	forge.Repo("me/project.git")
	api := forge.API("gitlab", "me", "forge-t0ken-5a5a5a5a")
	forge.Require(func(_, pass, _ string) bool { return api.Knows(pass) })
	w := newWorld(t, fmt.Sprintf("[secrets.forge]\nvalue = \"forge-t0ken-5a5a5a5a\"\n[[mirror]]\nrepos = [\"*\"]\nurl = %q\n"+
		"secret = \"forge\"\nstatus = true\nforge = \"gitlab\"\napi = %q\n", forge.RepoURL("me/project.git"), api.Base))
	r := w.repo("project")
	gate := filepath.Join(w.dir, "go")
	commit := r.commitPipeline(head + `(ci.job :slow [:quire/push] (fn [] (runtime.run "while ! test -e ` + gate + `; do sleep 0.01; done")))
(ci.job :after [:slow] (fn [] nil))
`)
	r.push("-q", "-o", "ci.wait=none", "HEAD:refs/heads/main")
	shown := func() map[string]string {
		out := map[string]string{}
		for _, s := range api.Statuses() {
			if s.OID == commit {
				out[s.Context] = s.State
			}
		}
		return out
	}
	w.until("the forge shows what runs and what is to come", func() bool {
		s := shown()
		return s["quire/slow"] == "running" && s["quire/after"] == "pending"
	})
	w.write(gate, "")
	w.until("the forge shows how they ended", func() bool {
		s := shown()
		return s["quire/slow"] == "success" && s["quire/after"] == "success"
	})
}

// The token of a [[mirror]] is nowhere: not in a command line while git runs, not
// in the report, not in a file of quire's, and not in what the repository's hooks see.
func TestTokenOfAnOrderIsNowhere(t *testing.T) {
	const token = "forge-t0ken-5a5a5a5a"
	forge := forgetest.New(t)
	dst := forge.Repo("me/project.git")
	forge.Require(func(_, pass, _ string) bool { return pass == token })
	var mu sync.Mutex
	looks := 0
	forge.Inject(&forgetest.Fault{Do: func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		defer mu.Unlock()
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, p := range lines {
			line, _ := os.ReadFile(p)
			if bytes.Contains(line, []byte("\x00push\x00")) {
				looks++
			}
			if bytes.Contains(line, []byte(token)) {
				t.Errorf("argv: %q", line)
			}
		}
		next.ServeHTTP(rw, r)
	}})
	forgetest.Hook(t, dst, "pre-receive", "echo you sent "+token+" >&2; exit 1")
	w := newWorld(t, fmt.Sprintf("[secrets.forge]\nenv = \"FORGE_TOKEN\"\n[[mirror]]\nrepos = [\"*\"]\nurl = %q\nsecret = \"forge\"\n", forge.RepoURL("me/project.git")))
	t.Setenv("FORGE_TOKEN", token)
	r := w.repo("project")
	r.plainCommit("one")
	push := []string{"push", "origin", "HEAD:refs/heads/main"}
	out, err := w.tryGit(r.work, push...)
	if err != nil || !strings.Contains(out, "you sent {{ forge }}") || strings.Contains(out, token) {
		t.Errorf("%v\n%s", err, out)
	}
	if looks == 0 {
		t.Error("git push was never seen in /proc: the test looks at the wrong place")
	}
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
	err = filepath.WalkDir(w.root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var b []byte
			if b, err = os.ReadFile(path); bytes.Contains(b, []byte(token)) {
				t.Errorf("%s holds the token", path)
			}
		}
		if path != w.root && errors.Is(err, os.ErrNotExist) {
			return nil // what a worker that has just left takes away with it
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
