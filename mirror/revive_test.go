package mirror

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

// clock is one that a test sets ahead.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }
func (c *clock) option() Option          { return Clock(c.now) }

// wrong is a request with a token that nobody takes.
func wrong(req Request) Request {
	req.Credential = secret.NewValue("ghp_anExpiredToken")
	return req
}

func refusedFor(r Result, c Class) bool { return r.Status == Refused && r.Class == c }

// A token had expired. When the new one has brought anything there, the refs that
// were left behind follow, and nobody has to know which they were.
func TestRotatedTokenHealsTheOtherRefs(t *testing.T) {
	var c clock
	w := newWorld(t, c.option())
	one := w.commit("refs/heads/main", "one")
	rep := w.deliver(wrong(w.request(Want{"refs/heads/main", one}, Want{"refs/heads/a", one}, Want{"refs/tags/v1", one})))
	for _, r := range rep.Results {
		if !refusedFor(r, ClassAuth) {
			t.Fatalf("%+v", r)
		}
	}
	c.advance(time.Minute)
	side := w.commit("refs/heads/side", "side")
	rep = w.push(Want{"refs/heads/side", side})
	if len(rep.Results) != 4 || rep.Results[0].Earlier || !rep.Results[1].Earlier {
		t.Errorf("%s", rep)
	}
	for _, ref := range []string{"refs/heads/main", "refs/heads/a", "refs/tags/v1"} {
		w.wantThere(ref, one)
		if d := w.row(ref); d.State != store.DeliveryLanded {
			t.Errorf("ledger %+v", d)
		}
	}
}

// What is refused for its own sake is not tried again and again, and keeps
// nothing back.
func TestRefusedForItsOwnSakeRests(t *testing.T) {
	var c clock
	w := newWorld(t, c.option())
	forgetest.Hook(t, w.dst, "update", `test $1 != refs/heads/main || { echo "GH006: Protected branch update failed" >&2; exit 1; }`)
	one := w.commit("refs/heads/main", "one")
	if r := only(t, w.deliver(w.request(Want{"refs/heads/main", one}))); !refusedFor(r, ClassProtected) {
		t.Fatalf("%+v", r)
	}
	c.advance(time.Hour)
	pushes := w.forge.Pushes()
	w.push(Want{"refs/heads/side", one})
	if got := w.forge.Pushes() - pushes; got != 1 {
		t.Errorf("%d pushes", got)
	}
}

// If the cause was the ref's own after all, it is tried less and less often.
func TestRevivedInVainIsTriedLessOften(t *testing.T) {
	var c clock
	w := newWorld(t, c.option())
	forgetest.Hook(t, w.dst, "update", `test $1 != refs/heads/main || { echo "You are not allowed to push code to this project." >&2; exit 1; }`)
	one := w.commit("refs/heads/main", "one")
	if r := only(t, w.deliver(w.request(Want{"refs/heads/main", one}))); !refusedFor(r, ClassForbidden) {
		t.Fatalf("%+v", r)
	}
	tries := 0
	for i := range 12 {
		c.advance(time.Minute)
		before := w.row("refs/heads/main").Attempts
		w.push(Want{"refs/heads/side", w.commit("refs/heads/side", strings.Repeat("x", i+1))})
		if w.row("refs/heads/main").Attempts > before {
			tries++
		}
	}
	if tries < 3 || tries > 7 {
		t.Errorf("tried %d times in twelve minutes", tries)
	}
}

// A target that a pipeline asked for is looked at once a day too. What was
// refused for its sake is tried then: nobody may push for weeks.
func TestAuditOfWhatAPipelineAskedFor(t *testing.T) {
	var c clock
	w := newWorld(t, c.option())
	one := w.commit("refs/heads/main", "one")
	w.deliver(wrong(w.request(Want{"refs/heads/main", one})))
	k, told := w.keeping()
	if next := w.rests(k); !next.IsZero() {
		t.Errorf("due at %v", next)
	}
	w.wantThere("refs/heads/main", "")
	c.advance(25 * time.Hour)
	k.Wake()
	n := <-told
	if n.Err != nil || only(t, n.Report).Status != Created {
		t.Fatalf("%+v", n)
	}
	w.wantThere("refs/heads/main", one)
	// And then it finds what others do there.
	theirs := w.foreign(w.dst, "refs/heads/main", "theirs", one)
	c.advance(25 * time.Hour)
	k.Wake()
	n = <-told
	if n.Err != nil || len(n.Drift) != 1 || n.Drift[0] != (Drift{"refs/heads/main", one, theirs}) {
		t.Errorf("%+v", n)
	}
}

// An order that is taken out of the configuration ends what it owed, and what
// is left of it is no drift.
func TestOrderTakenBack(t *testing.T) {
	var c clock
	w := newWorld(t, c.option())
	w.forge.Inject(&forgetest.Fault{On: "info/refs", Do: forgetest.Answer(503, "down")})
	one := w.commit("refs/heads/main", "one")
	first := NewKeeper(w.engine, KeeperOptions{Orders: []Order{w.order()}})
	if err := first.Owe(context.Background(), w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"})); err != nil {
		t.Fatal(err)
	}
	k, _ := w.keeping() // without the order
	if next := w.rests(k); !next.IsZero() {
		t.Errorf("due at %v", next)
	}
	if n := len(w.forge.Requests()); n != 0 {
		t.Errorf("the forge was asked %d times", n)
	}
	if d := w.row("refs/heads/main"); d.State != store.DeliveryRefused || Class(d.Class) != ClassRetired {
		t.Errorf("ledger %+v", d)
	}
	status, err := w.engine.Status(context.Background(), w.src, nil)
	if err != nil || len(status) != 1 || status[0].Retired == "" || status[0].Drift() {
		t.Errorf("%+v, %v", status, err)
	}
	// Given again, it goes on from where it was.
	w.forge.Heal()
	_, told := w.keeping(w.order())
	for n := range told {
		if n.Err != nil {
			t.Fatal(n.Err)
		}
		if n.Report.OK() && len(n.Report.Landed()) == 1 {
			break
		}
	}
	w.wantThere("refs/heads/main", one)
	if found, err := w.engine.Forget(context.Background(), w.src, w.target.URL); !found || err != nil {
		t.Errorf("forget: %v, %v", found, err)
	}
	if status, err := w.engine.Status(context.Background(), w.src, nil); err != nil || len(status) != 0 {
		t.Errorf("%+v, %v", status, err)
	}
}

// A new order needs no push: the repositories that are known are brought there.
func TestNewOrderIsSeenToAtOnce(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	ctx := context.Background()
	p := event.Push{ID: event.NewID(time.Now()), At: time.Now(), GitDir: w.src, Updates: []event.Update{{Old: zero, New: one, Ref: "refs/heads/main"}}}
	if _, err := w.store.TakePush(ctx, p, nil, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	status, err := w.engine.Status(ctx, "", []Order{w.order()})
	if err != nil || len(status) != 1 || !status[0].New || !status[0].Drift() {
		t.Errorf("before: %+v, %v", status, err)
	}
	k, _ := w.keeping(w.order())
	w.rests(k)
	w.wantThere("refs/heads/main", one)
	if status, err := w.engine.Status(ctx, "", []Order{w.order()}); err != nil || len(status) != 1 || status[0].Drift() || status[0].New {
		t.Errorf("after: %+v, %v", status, err)
	}
}

// A repository that was away for a moment (not mounted yet, renamed) owes again what
// it owed.
func TestARepositoryThatIsBackOwesAgain(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	first := NewKeeper(w.engine, KeeperOptions{Orders: []Order{w.order()}})
	if err := first.Owe(context.Background(), w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"})); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(w.src, w.src+".away"); err != nil {
		t.Fatal(err)
	}
	due, _, err := first.due(context.Background())
	if err != nil || len(due) != 1 {
		t.Fatalf("due %+v, %v", due, err)
	}
	if err := first.deliver(context.Background(), due[0]); err != nil {
		t.Fatal(err)
	}
	if d := w.row("refs/heads/main"); d.State != store.DeliveryRefused || Class(d.Class) != ClassRetired {
		t.Errorf("ledger %+v", d)
	}
	if found, err := w.engine.unretire(context.Background()); found || err != nil {
		t.Errorf("owed again while it is away: %v, %v", found, err)
	}
	if err := os.Rename(w.src+".away", w.src); err != nil {
		t.Fatal(err)
	}
	_, told := w.keeping(w.order())
	for n := range told {
		if n.Err != nil {
			t.Fatal(n.Err)
		}
		if n.Report.OK() && len(n.Report.Landed()) == 1 {
			break
		}
	}
	w.wantThere("refs/heads/main", one)
}
