package mirror

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/mirror/forgetest"
)

// random is text that does not compress to less than half.
func random(t testing.TB, n int) string {
	b := make([]byte, n/2)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

// history is n commits in a line, each with some 100 KB of its own.
func (w *world) history(ref string, n int) (tip string) {
	var parents []string
	for range n {
		tip = w.commit("", random(w.t, 200_000), parents...)
		parents = []string{tip}
	}
	git(w.t, w.src, "update-ref", ref, tip)
	return tip
}

// A history larger than the remote takes in one push arrives in several, and the
// ledger knows each step.
func TestLargeHistoryIsSentInParts(t *testing.T) {
	w := newWorld(t)
	git(t, w.dst, "config", "receive.maxInputSize", "350000")
	tip := w.history("refs/heads/main", 9)
	rep := w.push(Want{"refs/heads/main", tip})
	if rep.Attempts < 4 {
		t.Errorf("%d pushes", rep.Attempts)
	}
	w.wantThere("refs/heads/main", tip)
	git(t, w.dst, "fsck", "--connectivity-only")
	if d := w.row("refs/heads/main"); d.Put != tip || !d.Ours {
		t.Errorf("ledger %+v", d)
	}
}

// What can be known to be too much is not sent in the first place: no push of a
// large repository's first delivery is refused.
func TestLargeRepositoryIsCutBeforehand(t *testing.T) {
	w := newWorld(t)
	const takes = 500_000
	w.engine.batch.pack = takes * 9 / 10
	git(t, w.dst, "config", "receive.maxInputSize", "500000")
	tip := w.history("refs/heads/main", 9)
	side := w.commit("refs/heads/side", random(t, 200_000), tip)
	git(t, w.src, "tag", "-a", "-m", "v1", "v1", tip)
	tag := git(t, w.src, "rev-parse", "refs/tags/v1")
	git(t, w.src, "repack", "-adq")
	refused := 0
	w.forge.Inject(&forgetest.Fault{On: "POST /me/repo.git/git-receive-pack", Do: func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.ContentLength > takes {
			refused++
		}
		next.ServeHTTP(rw, r)
	}})
	rep := w.push(Want{"refs/heads/main", tip}, Want{"refs/heads/side", side}, Want{"refs/tags/v1", tag})
	if refused > 0 || rep.Attempts < 3 || rep.Attempts > 6 {
		t.Errorf("%d pushes, %d of them too large", rep.Attempts, refused)
	}
	w.wantThere("refs/heads/main", tip)
	w.wantThere("refs/heads/side", side)
	w.wantThere("refs/tags/v1", tag)
	git(t, w.dst, "fsck", "--connectivity-only")
	if d := w.row("refs/heads/main"); d.Put != tip || !d.Ours {
		t.Errorf("ledger %+v", d)
	}
	// The next commit is no large matter.
	next := w.commit("refs/heads/main", "small", tip)
	if rep := w.push(Want{"refs/heads/main", next}); rep.Attempts != 1 {
		t.Errorf("%d pushes for a commit", rep.Attempts)
	}
}

// Broken off in the middle, it goes on from where it was.
func TestPartsAreResumed(t *testing.T) {
	w := newWorld(t)
	git(t, w.dst, "config", "receive.maxInputSize", "350000")
	tip := w.history("refs/heads/main", 9)
	hook := "test $(git -C . rev-list --count HEAD 2>/dev/null || echo 0) -lt 3"
	forgetest.Hook(t, w.dst, "update", hook+" || { echo 'Internal Server Error' >&2; exit 1; }")
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", tip})))
	if r.Status != Pending {
		t.Errorf("%+v", r)
	}
	d := w.row("refs/heads/main")
	part := at(t, w.dst, "refs/heads/main")
	if part == "" || part == tip || d.Put != part || d.Want != tip || !d.State.Open() {
		t.Errorf("there is %s; ledger %+v", part, d)
	}
	os.Remove(filepath.Join(w.dst, "hooks", "update"))
	w.push(Want{"refs/heads/main", tip})
	w.wantThere("refs/heads/main", tip)
}

func TestOneCommitTooLarge(t *testing.T) {
	w := newWorld(t)
	git(t, w.dst, "config", "receive.maxInputSize", "50000")
	tip := w.history("refs/heads/main", 2)
	small := w.commit("refs/heads/small", "small")
	rep := w.deliver(w.request(Want{"refs/heads/main", tip}, Want{"refs/heads/small", small}))
	if r := rep.Results[0]; r.Status != Refused || r.Class != ClassPackTooLarge {
		t.Errorf("%+v", r)
	}
	if r := rep.Results[1]; r.Status != Created {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/small", small)
}

// A hook that judges the push as a whole keeps back only the ref it objects to.
func TestOneBadRefDoesNotKeepAHundredBack(t *testing.T) {
	w := newWorld(t)
	bad := w.commit("refs/heads/b50", "the bad one")
	good := w.commit("refs/heads/main", "good")
	forgetest.Hook(t, w.dst, "pre-receive", `while read old new ref; do if test $new = `+bad+`; then echo "error: GH001: Large files detected." >&2; exit 1; fi; done`)
	wants := []Want{{"refs/heads/main", good}}
	for i := range 99 {
		ref := "refs/heads/b" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		oid := good
		if ref == "refs/heads/b50" {
			oid = bad
		}
		wants = append(wants, Want{ref, oid})
	}
	rep := w.deliver(w.request(wants...))
	refused := 0
	for _, r := range rep.Results {
		if r.Ref == "refs/heads/b50" && r.Class != ClassFileTooLarge || r.Ref != "refs/heads/b50" && r.Status != Created {
			t.Errorf("%+v", r)
		}
		if r.Status == Refused {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("%d refused", refused)
	}
	if rep.Attempts > 20 {
		t.Errorf("%d pushes", rep.Attempts)
	}
}

// However many refs of a push a hook refuses, and whatever it says, the others land: a
// refusal that sounds as if it would pass keeps no other back.
func TestAHooksRefusalKeepsNoOtherBack(t *testing.T) {
	for name, c := range map[string]struct {
		says  string
		class Class
	}{
		"plain":        {"we do not want it", ClassDeclined},
		"try again":    {"quota service says: try again later", ClassServer},
		"a rate limit": {"this branch name exceeds our rate limit", ClassRateLimit},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.target.URL = w.dst
			forgetest.Hook(t, w.dst, "pre-receive", "while read old new ref; do case $ref in *bad*) bad=1; esac; done\n[ -z \"$bad\" ] || { echo '"+c.says+"' >&2; exit 1; }")
			const n, every = 60, 7
			one := w.commit("", "one")
			var wants []Want
			for i := range n {
				kind := "good"
				if i%every == 3 {
					kind = "bad"
				}
				wants = append(wants, Want{fmt.Sprintf("refs/heads/%03d-%s", i, kind), w.commit("", fmt.Sprint(i), one)})
			}
			rep := w.deliver(w.request(wants...))
			bad := 0
			for i, r := range rep.Results {
				if i%every != 3 {
					if r.Status != Created {
						t.Errorf("%+v", r)
					}
					continue
				}
				if bad++; r.Status != refusedOrPending(c.class) || r.Class != c.class {
					t.Errorf("%+v", r)
				}
			}
			if rep.Attempts <= maxParts || rep.Attempts > 1+2*bad*6 {
				t.Errorf("%d pushes for %d bad refs of %d", rep.Attempts, bad, n)
			}
		})
	}
}

// One commit that the remote's own check of objects refuses keeps no other back.
func TestARefusedObjectKeepsNoOtherBack(t *testing.T) {
	w := newWorld(t)
	git(t, w.dst, "config", "receive.fsckObjects", "true")
	good := w.commit("refs/heads/main", "good")
	raw := git(t, w.src, "cat-file", "commit", good)
	bad := gitIn(t, w.src, strings.Replace(raw, "author Ada <ada@example.org>", "author Ada <ada@example.org", 1)+"\n", "hash-object", "-t", "commit", "-w", "--literally", "--stdin")
	rep := w.deliver(w.request(Want{"refs/heads/bad", bad}, Want{"refs/heads/main", good}))
	if r := rep.Results[0]; r.Status != Refused || r.Class != ClassDeclined {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", good)
	w.wantThere("refs/heads/bad", "")
}

// A tag goes when the branch whose history was too large has arrived in parts.
func TestATagOfALargeHistoryFollows(t *testing.T) {
	w := newWorld(t)
	git(t, w.dst, "config", "receive.maxInputSize", "350000")
	tip := w.history("refs/heads/main", 5)
	w.push(Want{"refs/heads/main", tip}, Want{"refs/tags/v1", tip})
	w.wantThere("refs/heads/main", tip)
	w.wantThere("refs/tags/v1", tip)
}
