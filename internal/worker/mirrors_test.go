package worker

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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

// What [network] says reaches git, the forge's API, and nothing of it the jobs.
func TestMirrorBehindAPrivateAuthority(t *testing.T) {
	forge := forgetest.New(t)
	dst := forge.Repo("me/project.git")
	api := forge.API("github", "me", "forge-t0ken-5a5a5a5a")
	forge.Require(func(_, pass, _ string) bool { return api.Knows(pass) })
	server := httptest.NewTLSServer(forge)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	ca := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, fmt.Sprintf(`
[network]
ca_file = %q
proxy = "http://127.0.0.1:1"
[secrets.forge]
value = "forge-t0ken-5a5a5a5a"
[[mirror]]
repos = ["project"]
url = %q
secret = "forge"
status = true
forge = "github"
api = %q
`, ca, server.URL+"/me/{repo}.git", strings.Replace(api.Base, forge.URL, server.URL, 1)))
	r := w.repo("project")
	commit := r.commit(`(runtime.run "! env | grep -i -e proxy -e authority.pem -e sslcainfo")`)
	r.push()
	w.until("the commit shows the job", func() bool { return len(api.Statuses()) > 0 })
	if got := r.git(dst, "rev-parse", "refs/heads/main"); got != commit {
		t.Errorf("there main is %s, want %s", got, commit)
	}
	if got := api.Statuses()[0]; got.OID != commit || got.State != "success" {
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
