package mirror

import (
	"fmt"
	"strings"
	"testing"

	"quire/mirror/forgetest"
)

// many are wants of n branches and as many tags.
func many(n int, oid string) (wants []Want) {
	for i := range n {
		wants = append(wants, Want{fmt.Sprintf("refs/heads/b%d", i), oid}, Want{fmt.Sprintf("refs/tags/t%d", i), oid})
	}
	return wants
}

// statuses counts a report's results by status.
func statuses(rep Report) map[Status]int {
	out := map[Status]int{}
	for _, r := range rep.Results {
		out[r.Status]++
	}
	return out
}

// Many refs go another way, by the same rules: what somebody else moved stays, a
// ref that is not known is created or fast-forwarded and never forced, a tag does
// not move, what is ours is deleted, and the rest lands.
func TestManyRefsByTheSameRules(t *testing.T) {
	for _, how := range []string{"http", "file"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			if how == "file" {
				w.target.URL = w.dst
			}
			w.engine.batch.http = 110 // more than one push, and the first by pattern
			manyRefsByTheSameRules(t, w)
		})
	}
}

func manyRefsByTheSameRules(t *testing.T, w *world) {
	main := w.commit("refs/heads/main", "main")
	one := w.commit("", "one")
	for _, want := range many(120, one) {
		git(t, w.src, "update-ref", want.Ref, one)
	}
	// There before us: behind, of another history, a tag elsewhere, the very same.
	old := w.commit("", "old")
	ahead := w.commit("refs/heads/b4", "ahead of old", old)
	git(t, w.src, "push", "-q", w.dst, old+":refs/heads/b4", one+":refs/heads/b5", main+":refs/tags/t6")
	theirs := w.foreign(w.dst, "refs/heads/b7", "theirs")
	wants := many(120, one)
	for i := range wants {
		if wants[i].Ref == "refs/heads/b4" {
			wants[i].OID = ahead
		}
	}
	wants = append(wants, Want{"refs/heads/main", main})
	rep := w.deliver(w.request(wants...))
	got := statuses(rep)
	if got[Created] != 237 || got[Updated] != 1 || got[UpToDate] != 1 || got[Diverged] != 1 || got[Refused] != 1 {
		t.Errorf("%v", got)
	}
	w.wantThere("refs/heads/b4", ahead)
	w.wantThere("refs/heads/b7", theirs)
	w.wantThere("refs/tags/t6", main)
	if w.row("refs/heads/b4").Ours || w.row("refs/heads/b5").Ours || !w.row("refs/heads/b1").Ours {
		t.Errorf("whose refs they are: b4 %+v, b5 %+v, b1 %+v", w.row("refs/heads/b4"), w.row("refs/heads/b5"), w.row("refs/heads/b1"))
	}

	// All branches are rewritten; somebody has moved one of them and deleted another.
	two := w.commit("", "two, of another history")
	moved := w.foreign(w.dst, "refs/heads/b8", "theirs", one)
	git(t, w.dst, "update-ref", "-d", "refs/heads/b9")
	var next []Want
	for i := range 120 {
		if i != 7 {
			next = append(next, Want{fmt.Sprintf("refs/heads/b%d", i), two})
		}
	}
	next = append(next, Want{"refs/tags/t0", zero}, Want{"refs/tags/t1", zero}, Want{"refs/tags/t6", zero})
	for _, ref := range []string{"refs/tags/t0", "refs/tags/t1", "refs/tags/t6"} {
		git(t, w.src, "update-ref", "-d", ref)
	}
	rep = w.deliver(w.request(next...))
	got = statuses(rep)
	if got[Updated] != 117 || got[Created] != 1 || got[Diverged] != 1 || got[Deleted] != 3 {
		t.Errorf("%v", got)
	}
	w.wantThere("refs/heads/b1", two)
	w.wantThere("refs/heads/b8", moved)
	w.wantThere("refs/heads/b9", two)
	w.wantThere("refs/tags/t0", "")
	w.wantThere("refs/tags/t6", main) // was never ours
	w.wantThere("refs/tags/t2", one)
}

// Only what was asked for is pushed, whatever else the repository has.
func TestManyRefsAndNoOthers(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/private", "one")
	git(t, w.src, "update-ref", "refs/notes/x", one)
	w.push(many(80, one)...)
	if got := git(t, w.dst, "for-each-ref", "--format=%(refname)", "refs/heads/private", "refs/notes/x"); got != "" {
		t.Errorf("pushed besides: %s", got)
	}
}

func TestMissingObjectAmongMany(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	wants := append(many(80, one), Want{"refs/heads/lost", strings.Repeat("ab", 20)})
	rep := w.deliver(w.request(wants...))
	if got := statuses(rep); got[Created] != 160 || got[Refused] != 1 {
		t.Errorf("%v", got)
	}
	if r := rep.Results[160]; r.Ref != "refs/heads/lost" || r.Class != ClassObjectMissing {
		t.Errorf("%+v", r)
	}
}

// The forge moves a ref between its advertisement and the push.
func TestOneOfManyIsMovedMeanwhile(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.push(many(80, one)...)
	two := w.commit("refs/heads/main", "two", one)
	var theirs string
	w.forge.Inject(&forgetest.Fault{On: "POST /me/repo.git/git-receive-pack", Times: 1, Do: forgetest.Before(func() {
		theirs = w.foreign(w.dst, "refs/heads/b3", "quicker", one)
	})})
	rep := w.deliver(w.request(many(80, two)...))
	if got := statuses(rep); got[Updated] != 159 || got[Diverged] != 1 {
		t.Errorf("%v", got)
	}
	w.wantThere("refs/heads/b3", theirs)
	w.wantThere("refs/heads/b4", two)
}
