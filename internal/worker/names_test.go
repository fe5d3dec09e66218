package worker

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"quire/internal/runlog"
	"quire/mirror/forgetest"
)

// A ref's name is bytes. One that is not UTF-8 has its run once, under its own name in
// the environment of its jobs, and arrives at the copy as it is here.
func TestABranchWhoseNameIsNotUTF8RunsOnceAndIsMirrored(t *testing.T) {
	forge := forgetest.New(t)
	dst := forge.Repo("project.git")
	w := newWorld(t, fmt.Sprintf("[[mirror]]\nrepos = [\"*\"]\nname = \"copy\"\nurl = %q\n", forge.RepoURL("project.git")))
	r := w.repo("project")
	r.commit(`(runtime.run "printf %s \"$QUIRE_REF\" >$OUT" {:env {:OUT "` + w.dir + `/ref"}})`)
	r.push("HEAD:refs/heads/main")
	w.waitOver(1)
	const name = "refs/heads/caf\xe9"
	said := r.push("HEAD:" + name)
	runs := w.waitOver(2)
	if len(runs) != 2 || runs[1].Ref != name {
		t.Fatalf("runs %+v\n%s", runs, said)
	}
	if got, err := os.ReadFile(w.dir + "/ref"); string(got) != name {
		t.Errorf("its job was told %q, %v", got, err)
	}
	if !strings.Contains(said, `caf\xe9`) || strings.Contains(said, "error") {
		t.Errorf("the pusher saw\n%s", said)
	}
	taken, err := runlog.ReadTaken(w.root, runs[1].PushID)
	if err != nil || len(taken.Runs) != 1 || taken.Runs[0].Ref != `refs/heads/caf\xe9` {
		t.Errorf("answer %+v, %v", taken, err)
	}
	r.commit(`(runtime.run "true")`)
	r.push("HEAD:refs/heads/main")
	w.workOff()
	w.workOff()
	if runs := w.runs(); len(runs) != 3 {
		t.Errorf("%d runs of 3 pushes", len(runs))
	}
	w.until("the copy has it", func() bool {
		return strings.Contains(r.git(dst, "for-each-ref", "--format=%(refname)"), name)
	})
	for _, ref := range strings.Split(r.git(dst, "for-each-ref", "--format=%(refname)"), "\n") {
		if ref != name && ref != "refs/heads/main" {
			t.Errorf("the copy has %q", ref)
		}
	}
	r.push(":" + name)
	w.workOff()
	w.until("it is deleted there", func() bool {
		return !strings.Contains(r.git(dst, "for-each-ref", "--format=%(refname)"), name)
	})
	w.checkInvariants()
}
