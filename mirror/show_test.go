package mirror

import (
	"context"
	"testing"
	"time"

	"quire/internal/event"
	"quire/mirror/forgetest"
)

// showing is a world whose order shows statuses at GitHub's API.
func showing(t *testing.T, options ...Option) (*world, *forgetest.API, Order) {
	w := newWorld(t, options...)
	api := w.withAPI("github")
	o := w.order()
	o.Statuses = true
	return w, api, o
}

func (w *world) report(k *Keeper, oid string, state State) {
	w.t.Helper()
	if err := k.Report(context.Background(), w.src, oid, []CommitStatus{{Context: "quire/test", State: state}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) owePush(k *Keeper, ref, old, oid string) {
	w.t.Helper()
	if err := k.Owe(context.Background(), w.event(event.Update{Old: old, New: oid, Ref: ref})); err != nil {
		w.t.Fatal(err)
	}
}

// states are those that were shown of a commit.
func states(api *forgetest.API, oid string) (out []string) {
	for _, s := range api.Statuses() {
		if s.OID == oid {
			out = append(out, s.State)
		}
	}
	return out
}

func wantStates(t *testing.T, api *forgetest.API, oid string, want ...string) {
	t.Helper()
	got := states(api, oid)
	if len(got) != len(want) {
		t.Errorf("shown of %s: %v, want %v", oid, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("shown of %s: %v, want %v", oid, got, want)
			return
		}
	}
}

// A job's status is shown when its commit has landed, and not before; and what
// waits for one that does not land keeps nobody awake.
func TestStatusesWaitForTheirCommit(t *testing.T) {
	w, api, o := showing(t)
	k, _ := w.keeping(o)
	one := w.commit("", "one")
	w.report(k, one, StateSuccess)
	if next := w.rests(k); !next.IsZero() {
		t.Errorf("due at %v", next)
	}
	wantStates(t, api, one)
	w.commit("refs/heads/main", "one")
	w.owePush(k, "refs/heads/main", zero, one)
	w.rests(k)
	w.wantThere("refs/heads/main", one)
	wantStates(t, api, one, "success")
}

// What was to be shown when the worker was killed, the next one shows; of each job
// only how it fares now.
func TestStatusesOutliveTheWorker(t *testing.T) {
	w, api, o := showing(t)
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one})
	killed := NewKeeper(w.engine, KeeperOptions{Orders: []Order{o}})
	w.report(killed, one, StatePending)
	w.report(killed, one, StateFailure)
	k, _ := w.keeping(o)
	w.rests(k)
	wantStates(t, api, one, "failure")
}

// While a job runs, its branch moves on: the commit is there all the same.
func TestStatusOfACommitThatIsNoTip(t *testing.T) {
	w, api, o := showing(t)
	k, _ := w.keeping(o)
	one := w.commit("", "one")
	two := w.commit("refs/heads/main", "two", one)
	w.owePush(k, "refs/heads/main", zero, two)
	w.rests(k)
	w.report(k, one, StateSuccess)
	stranger := w.commit("", "on no branch")
	w.report(k, stranger, StateSuccess)
	w.rests(k)
	wantStates(t, api, one, "success")
	wantStates(t, api, stranger)
}

// The forge's API is down while the repository is not.
func TestStatusesAreToldAgain(t *testing.T) {
	var c clock
	w, api, o := showing(t, c.option())
	k, told := w.keeping(o)
	one := w.commit("refs/heads/main", "one")
	down := w.forge.Inject(&forgetest.Fault{On: "/statuses/", Do: forgetest.Answer(502, "bad gateway")})
	w.owePush(k, "refs/heads/main", zero, one)
	w.rests(k)
	w.report(k, one, StateSuccess)
	next := w.rests(k)
	if down.Done() == 0 || next.IsZero() {
		t.Fatalf("asked %d times; next at %v", down.Done(), next)
	}
	status, err := w.engine.Status(context.Background(), w.src, []Order{o})
	if err != nil || status[0].Statuses != 1 || status[0].StatusError == "" {
		t.Errorf("%+v, %v", status, err)
	}
	w.forge.Heal()
	c.advance(time.Hour)
	k.Wake()
	for len(states(api, one)) == 0 {
		select {
		case n := <-told:
			t.Log(n.Err)
		case <-time.After(time.Millisecond):
		}
	}
	if next := w.rests(k); !next.IsZero() {
		t.Errorf("due at %v", next)
	}
	wantStates(t, api, one, "success")
}

// A token that may push and may not tell statuses: given up after a few tries,
// and the operator hears of it.
func TestStatusesThatAreRefused(t *testing.T) {
	var c clock
	w, _, o := showing(t, c.option())
	k, told := w.keeping(o)
	one := w.commit("refs/heads/main", "one")
	no := w.forge.Inject(&forgetest.Fault{On: "/statuses/", Do: forgetest.Answer(403, `{"message":"Resource not accessible by personal access token"}`)})
	w.owePush(k, "refs/heads/main", zero, one)
	w.rests(k)
	w.report(k, one, StateSuccess)
	for range 10 {
		w.rests(k)
		c.advance(time.Hour)
		k.Wake()
	}
	if next := w.rests(k); !next.IsZero() || no.Done() != statusTries {
		t.Errorf("asked %d times; next at %v", no.Done(), next)
	}
	heard := false
	for len(told) > 0 {
		if n := <-told; n.Err != nil {
			heard = true
		}
	}
	if !heard {
		t.Error("nobody was told")
	}
}

// Statuses of an order that is gone from the configuration are forgotten.
func TestStatusesOfAnOrderTakenBack(t *testing.T) {
	w, api, o := showing(t)
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one})
	w.report(NewKeeper(w.engine, KeeperOptions{Orders: []Order{o}}), one, StateSuccess)
	k, _ := w.keeping()
	if next := w.rests(k); !next.IsZero() {
		t.Errorf("due at %v", next)
	}
	wantStates(t, api, one)
	if list, err := w.store.Statuses(context.Background(), w.src, w.target.URL); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// Statuses that come while their commit is landing are shown, whichever is the
// quicker.
func TestStatusesThatComeWithTheirCommit(t *testing.T) {
	w, api, o := showing(t)
	k, _ := w.keeping(o)
	var tips []string
	parents := []string{}
	for range 12 {
		oid := w.commit("refs/heads/main", w.next(), parents...)
		old := zero
		if len(parents) > 0 {
			old = parents[0]
		}
		parents = []string{oid}
		tips = append(tips, oid)
		w.report(k, oid, StatePending)
		w.owePush(k, "refs/heads/main", old, oid)
		w.report(k, oid, StateSuccess)
		w.rests(k)
	}
	for _, oid := range tips {
		if got := states(api, oid); len(got) == 0 || got[len(got)-1] != "success" {
			t.Errorf("shown of %s: %v", oid, got)
		}
	}
}
