package worker

import (
	"fmt"
	"testing"

	"quire/mirror/forgetest"
)

// A push to a repository with a [[mirror]]: the branch arrives at the forge, and
// there the commit shows the job that ran here, with a link to its page.
func TestMirrorFollowsAndShowsTheJob(t *testing.T) {
	forge := forgetest.New(t)
	dst := forge.Repo("me/project.git")
	api := forge.API("github", "me", "forge-t0ken-5a5a5a5a")
	forge.Require(func(_, pass, _ string) bool { return api.Knows(pass) })
	w := newWorld(t, fmt.Sprintf(`
[web]
base_url = "https://ci.example.org/"
[secrets.forge]
value = "forge-t0ken-5a5a5a5a"
refs = ["refs/heads/only-for-pipelines-of-this"]
[[mirror]]
repos = ["project"]
url = %q
secret = "forge"
status = true
forge = "github"
api = %q
`, forge.RepoURL("me/{repo}.git"), api.Base))
	r := w.repo("project")
	commit := r.commit(`(runtime.run "true")`)
	r.push()
	w.until("the commit shows the job", func() bool { return len(api.Statuses()) > 0 })
	if got := r.git(dst, "rev-parse", "refs/heads/main"); got != commit {
		t.Errorf("there main is %s, want %s", got, commit)
	}
	got := api.Statuses()[0]
	if got.OID != commit || got.State != "success" || got.Context != "quire/test" || got.URL != "https://ci.example.org/run/1" {
		t.Errorf("%+v", got)
	}
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
}

// A worker stays while something is owed, and leaves when it has arrived.
func TestOwedToAMirrorThatIsDown(t *testing.T) {
	forge := forgetest.New(t)
	dst := forge.Repo("me/project.git")
	down := forge.Inject(&forgetest.Fault{Do: forgetest.Answer(503, "down")})
	w := newWorld(t, fmt.Sprintf("[[mirror]]\nrepos = [\"*\"]\nurl = %q\n", forge.RepoURL("me/project.git")))
	r := w.repo("project")
	commit := r.commit(`(runtime.run "true")`)
	r.push()
	w.until("the forge was asked", func() bool { return down.Done() > 0 })
	w.waitOver(1)
	if !Running(w.cfg) {
		t.Error("the worker left though something is owed")
	}
	forge.Heal()
	w.until("the branch is there", func() bool {
		return r.git(dst, "for-each-ref", "--format=%(objectname)", "refs/heads/main") == commit
	})
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
}
