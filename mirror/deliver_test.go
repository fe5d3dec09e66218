package mirror

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quire/internal/secret"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

func TestFirstPushNextPushSamePush(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	r := only(t, w.push(Want{"refs/heads/main", one}))
	if r.Status != Created {
		t.Errorf("status %s", r.Status)
	}
	w.wantThere("refs/heads/main", one)
	two := w.commit("refs/heads/main", "two", one)
	if r := only(t, w.push(Want{"refs/heads/main", two})); r.Status != Updated {
		t.Errorf("status %s", r.Status)
	}
	w.wantThere("refs/heads/main", two)
	if r := only(t, w.push(Want{"refs/heads/main", two})); r.Status != UpToDate {
		t.Errorf("status %s", r.Status)
	}
	d := w.row("refs/heads/main")
	if d.State != store.DeliveryLanded || d.Put != two || d.Sent != "" || !d.Ours || d.Class != "" {
		t.Errorf("ledger %+v", d)
	}
}

// What is pushed is what the event says, also when the branch has moved on, and
// a branch of another name is not touched.
func TestExactObjects(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.commit("refs/heads/main", "two", one)
	w.commit("refs/heads/other", "other")
	w.push(Want{"refs/heads/main", one})
	w.wantThere("refs/heads/main", one)
	w.wantThere("refs/heads/other", "")
}

func TestRewrittenHistoryIsForcedUnderLease(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one})
	other := w.commit("refs/heads/main", "rewritten")
	w.push(Want{"refs/heads/main", other})
	w.wantThere("refs/heads/main", other)
}

func TestForceNever(t *testing.T) {
	w := newWorld(t)
	w.target.Force = "never"
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one})
	other := w.commit("refs/heads/main", "rewritten")
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", other})))
	if r.Status != Refused || r.Class != ClassNotForward {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", one)
	two := w.commit("refs/heads/main", "two", one)
	w.push(Want{"refs/heads/main", two})
	w.wantThere("refs/heads/main", two)
}

// One ref that somebody else moved does not keep the others back, and stays as
// that person left it, whichever of the ways it was moved.
func TestDivergedRefIsLeftAloneAndOthersLand(t *testing.T) {
	for _, c := range []struct {
		name string
		move func(w *world, one, two string) string // at the forge; returns what is there
	}{
		{"a commit of theirs on top", func(w *world, _, two string) string {
			return w.foreign(w.dst, "refs/heads/main", "theirs", two)
		}},
		{"another history", func(w *world, _, _ string) string {
			return w.foreign(w.dst, "refs/heads/main", "unrelated")
		}},
		{"taken back", func(w *world, one, _ string) string {
			git(w.t, w.dst, "update-ref", "refs/heads/main", one)
			return one
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			one := w.commit("", "one")
			two := w.commit("refs/heads/main", "two", one)
			w.push(Want{"refs/heads/main", two})
			theirs := c.move(w, one, two)
			three := w.commit("refs/heads/main", "three", two)
			side := w.commit("refs/heads/side", "side", two)
			rep := w.deliver(w.request(Want{"refs/heads/main", three}, Want{"refs/heads/side", side}))
			if rep.OK() {
				t.Error("reported as well")
			}
			if r := rep.Results[0]; r.Status != Diverged || r.There != theirs || r.Advice == "" {
				t.Errorf("%+v", r)
			}
			if r := rep.Results[1]; r.Status != Created {
				t.Errorf("%+v", r)
			}
			w.wantThere("refs/heads/main", theirs)
			w.wantThere("refs/heads/side", side)
			if d := w.row("refs/heads/main"); d.State != store.DeliveryDiverged || d.Put != two || d.There != theirs {
				t.Errorf("ledger %+v", d)
			}
			// Set back, it follows again.
			git(t, w.dst, "update-ref", "refs/heads/main", two)
			w.push(Want{"refs/heads/main", three})
			w.wantThere("refs/heads/main", three)
		})
	}
}

// Without a ledger entry nothing may be overwritten: a ref is created or
// fast-forwarded.
func TestUnknownRefIsNeverForced(t *testing.T) {
	w := newWorld(t)
	theirs := w.foreign(w.dst, "refs/heads/main", "theirs")
	mine := w.commit("refs/heads/main", "mine")
	if r := only(t, w.deliver(w.request(Want{"refs/heads/main", mine}))); r.Status != Diverged {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", theirs)

	old := w.commit("refs/heads/forward", "old")
	git(t, w.src, "push", "-q", w.dst, "refs/heads/forward")
	newer := w.commit("refs/heads/forward", "newer", old)
	w.push(Want{"refs/heads/forward", newer})
	w.wantThere("refs/heads/forward", newer)
	if w.row("refs/heads/forward").Ours {
		t.Error("a ref that was there before counts as ours")
	}
}

// Somebody pushed our own commits there by hand: nothing of anybody's is in the
// way.
func TestSomebodyElsePushedOurCommits(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one})
	two := w.commit("refs/heads/main", "two", one)
	git(t, w.src, "push", "-q", w.dst, "refs/heads/main")
	three := w.commit("refs/heads/main", "three", two)
	w.push(Want{"refs/heads/main", three})
	w.wantThere("refs/heads/main", three)
}

func TestDeletedThereIsCreatedAgain(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one})
	git(t, w.dst, "update-ref", "-d", "refs/heads/main")
	two := w.commit("refs/heads/main", "two", one)
	w.push(Want{"refs/heads/main", two})
	w.wantThere("refs/heads/main", two)
}

// The ref moves between the advertisement and the push: the forge's own check
// refuses, and it is diverged, not retried over it.
func TestMovedBetweenAdvertisementAndPush(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one})
	two := w.commit("refs/heads/main", "two", one)
	var theirs string
	f := w.forge.Inject(&forgetest.Fault{On: "POST /me/repo.git/git-receive-pack", Times: 1, Do: forgetest.Before(func() {
		theirs = w.foreign(w.dst, "refs/heads/main", "quicker", one)
	})})
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", two})))
	if f.Done() != 1 || r.Status != Diverged || r.There != theirs {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", theirs)
}

func TestDeleteOwned(t *testing.T) {
	w := newWorld(t)
	main := w.commit("refs/heads/main", "main")
	mine := w.commit("refs/heads/mine", "mine")
	w.push(Want{"refs/heads/main", main}, Want{"refs/heads/mine", mine})
	git(t, w.src, "update-ref", "-d", "refs/heads/mine")
	if r := only(t, w.push(Want{"refs/heads/mine", zero})); r.Status != Deleted {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/mine", "")
	if d := w.row("refs/heads/mine"); d.State != store.DeliveryGone || d.Put != "" {
		t.Errorf("ledger %+v", d)
	}
	// Deleted there already.
	again := w.commit("refs/heads/mine", "again")
	w.push(Want{"refs/heads/mine", again})
	git(t, w.dst, "update-ref", "-d", "refs/heads/mine")
	git(t, w.src, "update-ref", "-d", "refs/heads/mine")
	if r := only(t, w.push(Want{"refs/heads/mine", zero})); r.Status != Deleted {
		t.Errorf("%+v", r)
	}
}

func TestDeletesOnlyWhatIsOurs(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(w *world) (there string)
		target  func(*Target)
		want    Status
	}{
		{"moved since", func(w *world) string {
			oid := w.commit("refs/heads/x", "x")
			w.push(Want{"refs/heads/x", oid})
			return w.foreign(w.dst, "refs/heads/x", "theirs", oid)
		}, nil, Diverged},
		{"was there before", func(w *world) string {
			old := w.commit("refs/heads/x", "old")
			git(w.t, w.src, "push", "-q", w.dst, "refs/heads/x")
			oid := w.commit("refs/heads/x", "new", old)
			w.push(Want{"refs/heads/x", oid})
			return oid
		}, nil, Kept},
		{"never pushed", func(w *world) string {
			return w.foreign(w.dst, "refs/heads/x", "theirs")
		}, nil, Deleted},
		{"delete = never", func(w *world) string {
			oid := w.commit("refs/heads/x", "x")
			w.push(Want{"refs/heads/x", oid})
			return oid
		}, func(t *Target) { t.Delete = "never" }, Kept},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.commit("refs/heads/main", "main")
			there := c.prepare(w)
			if c.target != nil {
				c.target(&w.target)
			}
			git(t, w.src, "update-ref", "-d", "refs/heads/x")
			if r := only(t, w.deliver(w.request(Want{"refs/heads/x", zero}))); r.Status != c.want {
				t.Errorf("%+v, want %s", r, c.want)
			}
			w.wantThere("refs/heads/x", there)
		})
	}
}

func TestEmptyOrBrokenRepositoryDeletesNothing(t *testing.T) {
	for _, how := range []string{"empty", "broken"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			oid := w.commit("refs/heads/main", "main")
			w.push(Want{"refs/heads/main", oid})
			git(t, w.src, "update-ref", "-d", "refs/heads/main")
			if how == "broken" {
				gitIn(t, w.src, "", "update-ref", "refs/heads/main", oid)
				write(t, filepath.Join(w.src, "packed-refs"), "what is this\n")
			}
			r := only(t, w.deliver(w.request(Want{"refs/heads/main", zero})))
			if r.Status != Refused || r.Class != ClassBroken {
				t.Errorf("%+v", r)
			}
			w.wantThere("refs/heads/main", oid)
		})
	}
}

func TestManyDeletesWaitForAPerson(t *testing.T) {
	w := newWorld(t)
	main := w.commit("refs/heads/main", "main")
	wants := []Want{{"refs/heads/main", main}}
	var gone []Want
	for _, b := range []string{"a", "b", "c"} {
		wants = append(wants, Want{"refs/heads/" + b, main})
		gone = append(gone, Want{"refs/heads/" + b, zero})
	}
	w.push(wants...)
	rep := w.deliver(w.request(gone...))
	for _, r := range rep.Results {
		if r.Status != Refused || r.Class != ClassManyDeletes || !strings.Contains(r.Advice, "--confirm") {
			t.Errorf("%+v", r)
		}
		w.wantThere(r.Ref, main)
	}
	req := w.request(gone...)
	req.Confirmed = true
	if rep := w.deliver(req); !rep.OK() {
		t.Errorf("confirmed:\n%s", rep)
	}
	w.wantThere("refs/heads/a", "")
	w.wantThere("refs/heads/main", main)
}

func TestFileAndDirectoryNames(t *testing.T) {
	w := newWorld(t)
	oid := w.commit("refs/heads/main", "main")
	w.push(Want{"refs/heads/main", oid}, Want{"refs/heads/a", oid})
	w.push(Want{"refs/heads/a", zero}, Want{"refs/heads/a/b", oid})
	w.wantThere("refs/heads/a/b", oid)
	w.push(Want{"refs/heads/a/b", zero}, Want{"refs/heads/a", oid})
	if got := git(t, w.dst, "rev-parse", "refs/heads/a"); got != oid {
		t.Errorf("a is %s", got)
	}
}

func TestTag(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	req := w.request(Want{"refs/heads/main", one})
	req.Tag = w.tag("v1", one)
	rep := w.deliver(req)
	if !rep.OK() || len(rep.Results) != 2 {
		t.Fatalf("%s", rep)
	}
	w.wantThere("refs/tags/v1", one)
	if got := git(t, w.src, "rev-parse", "refs/tags/v1"); got != one {
		t.Errorf("here the tag is %s", got)
	}
	// The very same again is fine.
	req.Seq = w.next()
	if rep := w.deliver(req); !rep.OK() {
		t.Errorf("again:\n%s", rep)
	}
	// Elsewhere it is an error, and the branch lands all the same.
	two := w.commit("refs/heads/main", "two", one)
	req = w.request(Want{"refs/heads/main", two})
	req.Tag = w.tag("v1", two)
	rep = w.deliver(req)
	if rep.OK() || rep.Results[0].Class != ClassTagElsewhere {
		t.Errorf("%s", rep)
	}
	w.wantThere("refs/heads/main", two)
	w.wantThere("refs/tags/v1", one)
	// Also if it is elsewhere only there.
	theirs := w.foreign(w.dst, "refs/tags/v2", "theirs")
	req = w.request()
	req.Tag = w.tag("v2", two)
	if r := only(t, w.deliver(req)); r.Class != ClassTagElsewhere || r.There != theirs {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/tags/v2", theirs)
}

func TestATagWhoseNameGitDoesNotTake(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	req := w.request(Want{"refs/heads/main", one})
	req.Tag = w.tag("release 1", one)
	rep := w.deliver(req)
	if rep.OK() || len(rep.Results) != 2 {
		t.Fatalf("%s", rep)
	}
	if r := rep.Results[0]; r.Class != ClassTagRefused || !strings.Contains(r.Advice, "name that git takes") {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", one)
}

func TestAnnotatedTagFromAPush(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	git(t, w.src, "tag", "-a", "-m", "v1", "v1", one)
	oid := git(t, w.src, "rev-parse", "refs/tags/v1")
	w.push(Want{"refs/tags/v1", oid})
	w.wantThere("refs/tags/v1", oid)
}

// Tags that are made a few at a time are sent three to a push; an import of many
// is not.
func TestTagsAreSentAFewAtATime(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	wants := []Want{{"refs/heads/main", one}}
	for _, n := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		wants = append(wants, Want{"refs/tags/" + n, one})
	}
	if rep := w.push(wants...); rep.Attempts != 3 {
		t.Errorf("%d pushes, want 3", rep.Attempts)
	}
	for _, want := range wants {
		w.wantThere(want.Ref, one)
	}
}

func TestOlderRequestDoesNotGoBack(t *testing.T) {
	w := newWorld(t)
	one := w.commit("", "one")
	two := w.commit("refs/heads/main", "two", one)
	older, newer := w.request(Want{"refs/heads/main", one}), w.request(Want{"refs/heads/main", two})
	w.deliver(newer)
	if r := only(t, w.deliver(older)); r.Status != Superseded || r.OID != two {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", two)
	// But a clock that went back does not stop the mirror.
	three := w.commit("refs/heads/main", "three", two)
	req := w.request(Want{"refs/heads/main", three})
	req.Seq = older.Seq
	if r := only(t, w.deliver(req)); r.Status != Updated {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", three)
}

func TestManyAtOnceEndExactWithFewerPushes(t *testing.T) {
	w := newWorld(t)
	const n = 20
	var reqs []Request
	var tip []string
	for range n {
		oid := w.commit("refs/heads/main", w.next(), tip...)
		tip = []string{oid}
		reqs = append(reqs, w.request(Want{"refs/heads/main", oid}))
	}
	// A stalled first push lets the others gather behind it.
	gate := make(chan struct{})
	var once sync.Once
	w.forge.Inject(&forgetest.Fault{On: "git-receive-pack", Times: 1, Do: forgetest.Before(func() { <-gate })})
	var wg sync.WaitGroup
	reports := make([]Report, n)
	errs := make([]error, n)
	for i := range reqs {
		wg.Go(func() {
			reports[i], errs[i] = w.engine.Deliver(context.Background(), reqs[i])
		})
	}
	// All wants are in the ledger when the newest is.
	for {
		all, err := w.store.Deliveries(context.Background(), w.src, w.target.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if all["refs/heads/main"].Want == tip[0] {
			once.Do(func() { close(gate) })
			break
		}
	}
	wg.Wait()
	for i := range reports {
		if errs[i] != nil || !reports[i].OK() {
			t.Errorf("%v\n%s", errs[i], reports[i])
		}
	}
	w.wantThere("refs/heads/main", tip[0])
	if got := w.forge.Pushes(); got >= n {
		t.Errorf("%d pushes for %d requests", got, n)
	}
}

func TestWantsOfBefore(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	side := w.commit("refs/heads/side", "side")
	w.forge.Inject(&forgetest.Fault{On: "info/refs", Do: forgetest.Answer(503, "down")})
	r := only(t, w.deliver(w.request(Want{"refs/heads/side", side})))
	if r.Status != Pending || r.Class != ClassServer || r.NextAt.IsZero() {
		t.Errorf("%+v", r)
	}
	w.forge.Heal()
	rep := w.push(Want{"refs/heads/main", one})
	if len(rep.Results) != 2 || !rep.Results[1].Earlier || rep.Results[1].Status != Created {
		t.Errorf("%s", rep)
	}
	w.wantThere("refs/heads/side", side)
}

func TestMissingObjectDoesNotKeepOthersBack(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	rep := w.deliver(w.request(Want{"refs/heads/lost", strings.Repeat("ab", 20)}, Want{"refs/heads/main", one}))
	if rep.Results[0].Class != ClassObjectMissing || rep.Results[1].Status != Created {
		t.Errorf("%s", rep)
	}
	w.wantThere("refs/heads/main", one)
}

func TestDecliningHook(t *testing.T) {
	w := newWorld(t)
	forgetest.Hook(t, w.dst, "update", `case $1 in refs/heads/no*) echo "we do not want $1" >&2; exit 1;; esac`)
	one := w.commit("refs/heads/main", "one")
	rep := w.deliver(w.request(Want{"refs/heads/main", one}, Want{"refs/heads/no", one}))
	if rep.Results[0].Status != Created {
		t.Errorf("%+v", rep.Results[0])
	}
	r := rep.Results[1]
	if r.Status != Refused || r.Class != ClassDeclined || !strings.Contains(r.Detail.String(), "we do not want refs/heads/no") {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", one)
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	for _, c := range []struct {
		name string
		req  func(*Request)
		want string
	}{
		{"a url with a password", func(r *Request) { r.Target.URL = "https://me:hunter2@example.org/me/repo.git" }, "holds a password"},
		{"a program as url", func(r *Request) { r.Target.URL = "ext::sh -c 'touch /tmp/x'" }, "want https"},
		{"an option as url", func(r *Request) { r.Target.URL = "--receive-pack=touch /tmp/x" }, "starts with a dash"},
		{"a short ref", func(r *Request) { r.Refs[0].Ref = "main" }, "malformed ref"},
		{"a forcing ref", func(r *Request) { r.Refs[0].Ref = "+refs/heads/main" }, "malformed ref"},
		{"a refspec as ref", func(r *Request) { r.Refs[0].Ref = "refs/heads/a:refs/heads/main" }, "malformed ref"},
		{"a name as object", func(r *Request) { r.Refs[0].OID = "refs/heads/main" }, "malformed object id"},
		{"a key for https", func(r *Request) {
			_, pem := forgetest.NewKey(t)
			r.Credential = secret.NewValue(pem)
		}, "serves ssh URLs"},
		{"two headers", func(r *Request) { r.Credential = secret.NewValue("X-A: b\nX-C: d") }, "several lines"},
		{"a bad force", func(r *Request) { r.Target.Force = "always" }, "want lease or never"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := w.request(Want{"refs/heads/main", one})
			c.req(&req)
			rep := w.deliver(req)
			r := rep.Results[0]
			if r.Status != Refused || r.Class != ClassBadTarget || !strings.Contains(r.Detail.String(), c.want) {
				t.Errorf("%+v", r)
			}
			if err := rep.Err(); err == nil || strings.Contains(err.Error()+rep.String()+rep.URL, "hunter2") {
				t.Errorf("%v\n%s", err, rep)
			}
		})
	}
	w.wantThere("refs/heads/main", "")
}

func TestCanceledDeliveryIsOwed(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("the run was canceled")
	w.forge.Inject(&forgetest.Fault{On: "git-receive-pack", Times: 1, Do: forgetest.Before(func() { cancel(stop) })})
	rep, err := w.engine.Deliver(ctx, w.request(Want{"refs/heads/main", one}))
	if !errors.Is(err, stop) {
		t.Errorf("error %v\n%s", err, rep)
	}
	if d := w.row("refs/heads/main"); !d.State.Open() || d.Want != one {
		t.Errorf("ledger %+v", d)
	}
	w.push(Want{"refs/heads/main", one})
	w.wantThere("refs/heads/main", one)
}
