package supervise

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/executor/executortest"
)

// toolPipeline shows what it finds in its cache, and leaves something.
const toolPipeline = head + `(ci.cache :tools ["tools"])
(ci.job :work [:quire/push] (fn []
  (runtime.run "cat tools/upload 2>/dev/null || echo nothing; echo $(cat program) > tools/upload")))`

// Caches flow from the default branch to the others, and not back; nor between
// two branches; nor from what a branch's run wrote that was not protected to one
// that is.
func TestCachesFlowOneWay(t *testing.T) {
	for _, use := range []string{"host", "bwrap"} {
		t.Run(use, func(t *testing.T) {
			if use == "bwrap" {
				if _, err := exec.LookPath("bwrap"); err != nil {
					executortest.Needs(t, "bubblewrap: apt-get install bubblewrap")
				}
			}
			b := newBench(t)
			b.cfg.Executor.Default = use
			b.cfg.Secrets = map[string]config.Secret{
				"a": {Name: "a", Value: "canary-of-a", Protect: config.ProtectPipeline},
				"b": {Name: "b", Value: "canary-of-b", Protect: config.ProtectPipeline, ProtectPaths: []string{"program"}},
			}
			found := func(r ran) string {
				t.Helper()
				if r.State != event.RunSucceeded {
					t.Fatalf("%s\n%s", r.State, r.report)
				}
				return strings.TrimSpace(r.log(t, "work", 1))
			}
			first := b.run(toolPipeline, map[string]string{"program": "main"})
			if got := found(first); got != "nothing" {
				t.Fatalf("the first run found %q", got)
			}
			evil := map[string]string{"program": "evil", PipelineFile: toolPipeline + "\n; changed"}
			script := map[string]string{"program": "evil of a script"}
			other := map[string]string{"other": "x"}
			for _, step := range []struct {
				who   string
				ref   string
				files map[string]string
				want  string
			}{
				{"a branch", "refs/heads/a", evil, "main"},
				{"the branch again", "refs/heads/a", evil, "evil"},
				{"another branch", "refs/heads/b", evil, "main"},
				{"a tag", "refs/tags/v1", evil, "main"},
				{"the branch, now with main's pipeline", "refs/heads/a", script, "main"},
				{"that again", "refs/heads/a", script, "evil of a script"},
				{"the branch, now with main's program, too", "refs/heads/a", other, "main"},
				{"a branch called as a tag", "refs/heads/v1", evil, "main"},
			} {
				if got := found(b.runOn(step.ref, step.files)); got != step.want {
					t.Errorf("%s found %q, want %q", step.who, got, step.want)
				}
			}
			if got := found(b.perform("refs/heads/main", first.New)); got != "main" {
				t.Errorf("main found %q", got)
			}
			// A commit that was forced out of main is none of its own.
			bad := commitTo(t, b.gitDir, b.work, "refs/heads/main", evil)
			git(t, b.work, "push", "-q", "-f", b.gitDir, first.New+":refs/heads/main")
			if got := found(b.perform("refs/heads/main", bad)); got != "main" {
				t.Errorf("a commit that was forced out found %q", got)
			}
			if got := found(b.perform("refs/heads/main", first.New)); got != "main" {
				t.Errorf("main found %q, of a commit that was forced out", got)
			}
		})
	}
}

// A cache that is too large to be copied is begun empty, and the pusher is told.
func TestACacheThatIsNotCopied(t *testing.T) {
	b := newBench(t)
	b.cfg.Cache.Seed = 1000
	if r := b.run(head+`(ci.cache :big ["big"])
(ci.job :work [:quire/push] (fn [] (runtime.run "ls big; head -c 2000 /dev/zero > big/file")))`, nil); r.State != event.RunSucceeded {
		t.Fatal(r.report)
	}
	r := b.runOn("refs/heads/a", map[string]string{"x": "y"})
	if r.State != event.RunSucceeded || r.log(t, "work", 1) != "" || !strings.Contains(r.report, "cache big begins empty: that of main holds more than [cache] seed copies") {
		t.Errorf("%s\n%s\n%s", r.State, r.report, r.log(t, "work", 1))
	}
	if left, err := filepath.Glob(filepath.Join(b.cfg.StateDir, "caches", "*", ".tmp-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
