package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/mirror/forgetest"
)

// settings writes the world's configuration anew, as an editor does: whole, by
// another file of the same name.
func (w *world) settings(text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, "config.toml")
	w.write(path+".new", fmt.Sprintf("state_dir = %q\nlinger = \"100ms\"\n%s", w.root, text))
	if err := os.Rename(path+".new", path); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) log() string {
	text, err := os.ReadFile(filepath.Join(w.root, "worker.log"))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// A worker that stays because a mirror is down heeds what is written into the
// configuration meanwhile. A fault in it is told, and the rest goes on.
func TestConfigurationIsReadAgain(t *testing.T) {
	forge := forgetest.New(t)
	dst := forge.Repo("project.git")
	w := newWorld(t, mirrorConfig("http://127.0.0.1:1/project.git"))
	r := w.repo("project")
	commit := r.plainCommit("one")
	r.push("-o", "ci.wait=none", "HEAD:refs/heads/main")
	w.until("the dead host was tried", func() bool { return strings.Contains(w.log(), "Failed to connect") })
	w.settings("max_runs = \"many\"\n")
	w.until("the fault is told", func() bool { return strings.Contains(w.log(), "max_runs") })
	if !Running(w.cfg) {
		t.Fatal("the worker left because of a fault in the configuration")
	}
	w.settings(mirrorConfig(forge.RepoURL("project.git")))
	w.until("the branch is where the new configuration says", func() bool {
		return r.git(dst, "for-each-ref", "--format=%(objectname)", "refs/heads/main") == commit
	})
	// What the old one ordered is not tried for ever.
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
}

func TestAnotherStateDirectoryIsAnothersWork(t *testing.T) {
	w := newWorld(t, mirrorConfig("http://127.0.0.1:1/project.git"))
	r := w.repo("project")
	r.plainCommit("one")
	r.push("-o", "ci.wait=none", "HEAD:refs/heads/main")
	w.until("the worker is there", func() bool { return Running(w.cfg) })
	w.write(filepath.Join(w.dir, "config.toml"), fmt.Sprintf("state_dir = %q\n", filepath.Join(w.dir, "elsewhere")))
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
	w.settings("") // as it was, for the test's end
}
