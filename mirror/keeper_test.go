package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

// keeping runs a keeper until the test ends, and hands on what it tells.
func (w *world) keeping(orders ...Order) (*Keeper, <-chan Notice) {
	w.t.Helper()
	told := make(chan Notice, 100)
	k := NewKeeper(w.engine, KeeperOptions{
		Orders: orders,
		Secret: func(_ context.Context, _, name string) (secret.Value, error) {
			if name != "forge_token" {
				return secret.Value{}, errors.New("unknown secret: " + name)
			}
			return secret.NewValue(token), nil
		},
		Tell: func(n Notice) { told <- n },
		Wall: func(string) (Wall, error) { return HostWall(), nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { k.Run(ctx); close(done) }()
	w.t.Cleanup(func() { cancel(); <-done })
	return k, told
}

// rests waits until the keeper has nothing to do, and returns when it will.
func (w *world) rests(k *Keeper) time.Time {
	w.t.Helper()
	for {
		busy, next, err := k.Busy(context.Background())
		if err != nil {
			w.t.Fatal(err)
		}
		if !busy {
			return next
		}
		time.Sleep(time.Millisecond)
	}
}

func (w *world) order() Order { return Order{Target: w.target, Repos: []string{"*"}} }

func (w *world) event(updates ...event.Update) event.Push {
	return event.Push{ID: w.next(), At: time.Now(), GitDir: w.src, Updates: updates}
}

func TestStandingOrderFollowsAPush(t *testing.T) {
	w := newWorld(t)
	o := w.order()
	o.Exclude = []string{"refs/heads/wip/*"}
	k, told := w.keeping(o)
	one := w.commit("refs/heads/main", "one")
	wip := w.commit("refs/heads/wip/x", "wip")
	note := w.commit("refs/notes/commits", "note")
	p := w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"}, event.Update{Old: zero, New: wip, Ref: "refs/heads/wip/x"},
		event.Update{Old: zero, New: note, Ref: "refs/notes/commits"})
	for range 2 { // a worker that died in between takes it from the spool again
		if err := k.Owe(context.Background(), p); err != nil {
			t.Fatal(err)
		}
	}
	n := <-told
	if n.Err != nil || !n.Report.OK() || n.GitDir != w.src {
		t.Fatalf("%+v", n)
	}
	w.wantThere("refs/heads/main", one)
	w.wantThere("refs/heads/wip/x", "")
	w.wantThere("refs/notes/commits", "")
}

// What the repository had before the order is brought there too.
func TestStandingOrderCatchesUp(t *testing.T) {
	w := newWorld(t)
	old := w.commit("refs/heads/old", "old")
	one := w.commit("refs/heads/main", "one")
	k, told := w.keeping(w.order())
	if err := k.Owe(context.Background(), w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"})); err != nil {
		t.Fatal(err)
	}
	for at(t, w.dst, "refs/heads/old") != old {
		n := <-told
		if n.Err != nil || !n.Report.OK() {
			t.Fatalf("%+v", n)
		}
	}
	w.wantThere("refs/heads/main", one)
}

// A dead target and one that stalls hold up no other.
func TestOneTargetDelaysNoOther(t *testing.T) {
	w := newWorld(t)
	slow := forgetest.New(t)
	slow.Repo("me/repo.git")
	release := make(chan struct{})
	slow.Inject(&forgetest.Fault{Do: forgetest.Stall(release)})
	stalled, dead := w.order(), w.order()
	stalled.URL, stalled.Name = slow.RepoURL("me/repo.git"), "stalled"
	dead.URL, dead.Name = "http://127.0.0.1:1/x.git", "dead"
	k, told := w.keeping(stalled, dead, w.order())
	one := w.commit("refs/heads/main", "one")
	if err := k.Owe(context.Background(), w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"})); err != nil {
		t.Fatal(err)
	}
	for n := range told {
		if n.Report.Target == "forge" {
			break
		}
	}
	w.wantThere("refs/heads/main", one)
	if busy, _, err := k.Busy(context.Background()); !busy || err != nil {
		t.Errorf("the stalled one is not under way: %v, %v", busy, err)
	}
	close(release)
}

// Many targets at a host that gives no answer: only a few are tried at once, and
// another host does not wait for them.
func TestManyTargetsAtADeadHost(t *testing.T) {
	w := newWorld(t)
	slow := forgetest.New(t)
	release := make(chan struct{})
	var mu sync.Mutex
	now, most := 0, 0
	slow.Inject(&forgetest.Fault{Do: func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		forgetest.Stall(release)(rw, r, next)
		mu.Lock()
		now--
		mu.Unlock()
	}})
	underWay := func() int { mu.Lock(); defer mu.Unlock(); return now }
	var orders []Order
	for i := range 3 * widths[kind{pushing, false}].host {
		o := w.order()
		o.Name = fmt.Sprint("slow", i)
		// Another name of this machine, and so another host.
		o.URL = strings.Replace(slow.RepoURL(fmt.Sprintf("me/repo%d.git", i)), "127.0.0.1", "localhost", 1)
		orders = append(orders, o)
	}
	k, told := w.keeping(append(orders, w.order())...)
	one := w.commit("refs/heads/main", "one")
	p := w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"})
	if err := k.Owe(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	for underWay() < widths[kind{pushing, false}].host {
		time.Sleep(time.Millisecond)
	}
	for n := range told {
		if n.Report.Target == "forge" {
			break
		}
	}
	w.wantThere("refs/heads/main", one)
	mu.Lock()
	if most > widths[kind{pushing, false}].host {
		t.Errorf("%d at once", most)
	}
	mu.Unlock()
	close(release)
}

// What failed is tried again when its time comes, by whichever worker there is
// then, and with the secret as it is then.
func TestWorkerRetries(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	w := newWorld(t, Clock(func() time.Time { mu.Lock(); defer mu.Unlock(); return now }))
	one := w.commit("refs/heads/main", "one")
	f := w.forge.Inject(&forgetest.Fault{On: "info/refs", Times: 1, Do: forgetest.Answer(503, "down")})
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", one})))
	if r.Status != Pending || f.Done() != 1 {
		t.Fatalf("%+v", r)
	}
	k, told := w.keeping()
	if next := w.rests(k); !next.Equal(r.NextAt) {
		t.Errorf("next %v, want %v", next, r.NextAt)
	}
	mu.Lock()
	now = r.NextAt.Add(time.Second)
	mu.Unlock()
	k.Wake()
	n := <-told
	if n.Err != nil || only(t, n.Report).Status != Created {
		t.Errorf("%+v", n)
	}
	w.wantThere("refs/heads/main", one)
	if next := w.rests(k); !next.IsZero() {
		t.Errorf("still owed: %v", next)
	}
}

func TestSecretThatCannotBeFetched(t *testing.T) {
	w := newWorld(t)
	w.target.Secret = "lost"
	k, told := w.keeping(w.order())
	one := w.commit("refs/heads/main", "one")
	if err := k.Owe(context.Background(), w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"})); err != nil {
		t.Fatal(err)
	}
	n := <-told
	if n.Err != nil {
		n = <-told // the audit cannot either
	}
	r := n.Report.Results[0]
	if r.Class != ClassSecret || r.Status != Pending || !strings.Contains(r.Detail.String(), "unknown secret: lost") {
		t.Errorf("%+v", n)
	}
}

func TestSync(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	side := w.commit("refs/heads/side", "side")
	mine := w.commit("refs/heads/mine", "mine")
	theirs := w.foreign(w.dst, "refs/heads/theirs", "theirs")
	w.push(Want{"refs/heads/main", one}, Want{"refs/heads/mine", mine})
	sync := func() Report {
		t.Helper()
		rep, err := w.engine.Sync(context.Background(), SyncRequest{GitDir: w.src, Order: w.order(),
			Credential: func(context.Context) (secret.Value, error) { return secret.NewValue(token), nil }})
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
	git(t, w.src, "update-ref", "-d", "refs/heads/mine")
	git(t, w.dst, "update-ref", "-d", "refs/heads/main")
	if rep := sync(); !rep.OK() {
		t.Fatalf("%s", rep)
	}
	w.wantThere("refs/heads/main", one)
	w.wantThere("refs/heads/side", side)
	w.wantThere("refs/heads/mine", "")
	w.wantThere("refs/heads/theirs", theirs)
	pushes := w.forge.Pushes()
	if rep := sync(); len(rep.Results) != 0 || w.forge.Pushes() != pushes {
		t.Errorf("in step already:\n%s", rep)
	}
	// Moved by somebody else: reported and left.
	moved := w.foreign(w.dst, "refs/heads/side", "moved", side)
	if rep := sync(); rep.OK() || rep.Results[0].Status != Diverged {
		t.Errorf("%s", rep)
	}
	w.wantThere("refs/heads/side", moved)
}

func TestSyncOfARemoteThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.commit("refs/heads/main", "one")
	w.forge.Require(func(_, _, _ string) bool { return false })
	rep, err := w.engine.Sync(context.Background(), SyncRequest{GitDir: w.src, Order: w.order()})
	if err != nil || rep.OK() || rep.Results[0].Class != ClassAuth {
		t.Errorf("%v\n%s", err, rep)
	}
}

func TestAuditFindsWhatOthersDid(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one}, Want{"refs/heads/b", one}, Want{"refs/heads/c", one})
	theirs := w.foreign(w.dst, "refs/heads/b", "theirs", one)
	git(t, w.dst, "update-ref", "-d", "refs/heads/c")
	req := w.request()
	drift, err := w.engine.Audit(context.Background(), req)
	want := []Drift{{"refs/heads/b", one, theirs}, {"refs/heads/c", one, ""}}
	if err != nil || len(drift) != 2 || drift[0] != want[0] || drift[1] != want[1] {
		t.Errorf("%v, %v; want %v", drift, err, want)
	}
	if d := w.row("refs/heads/b"); d.State != store.DeliveryDiverged || d.There != theirs || d.Put != one {
		t.Errorf("ledger %+v", d)
	}
	status, err := w.engine.Status(context.Background(), w.src, []Order{w.order()})
	if err != nil || len(status) != 1 || !status[0].Drift() || status[0].Checked.IsZero() {
		t.Errorf("%+v, %v", status, err)
	}
	// Told once, and settled when it is as it was.
	git(t, w.dst, "update-ref", "refs/heads/b", one)
	git(t, w.dst, "update-ref", "refs/heads/c", one)
	if drift, err := w.engine.Audit(context.Background(), req); err != nil || len(drift) != 0 {
		t.Errorf("%v, %v", drift, err)
	}
	if status, err := w.engine.Status(context.Background(), w.src, []Order{w.order()}); err != nil || status[0].Drift() {
		t.Errorf("%+v, %v", status, err)
	}
	w.forge.Require(func(_, _, _ string) bool { return false })
	var te *TargetError
	if _, err := w.engine.Audit(context.Background(), req); !errors.As(err, &te) || te.Class != ClassAuth {
		t.Errorf("%v", err)
	}
}

// A ref that somebody moved, that moved here meanwhile, and that was set back, is
// owed again without anybody's saying so; one that was kept there and is gone is
// in nobody's books any more.
func TestAuditHealsWhatWasSetRight(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one}, Want{"refs/heads/b", one})
	git(t, w.dst, "update-ref", "refs/heads/old", one)
	w.push(Want{"refs/heads/old", w.commit("refs/heads/old", "old", one)})
	git(t, w.src, "update-ref", "-d", "refs/heads/old")
	if r := only(t, w.deliver(w.request(Want{"refs/heads/old", zero}))); r.Status != Kept {
		t.Fatalf("%+v", r)
	}
	w.foreign(w.dst, "refs/heads/b", "theirs", one)
	two := w.commit("refs/heads/b", "two", one)
	if r := only(t, w.deliver(w.request(Want{"refs/heads/b", two}))); r.Status != Diverged {
		t.Fatalf("%+v", r)
	}
	git(t, w.dst, "update-ref", "refs/heads/b", one)
	git(t, w.dst, "update-ref", "-d", "refs/heads/old")
	if drift, err := w.engine.Audit(context.Background(), w.request()); err != nil || len(drift) != 0 {
		t.Errorf("%v, %v", drift, err)
	}
	if d := w.row("refs/heads/old"); d.State != store.DeliveryGone || d.Put != "" {
		t.Errorf("ledger %+v", d)
	}
	if r := only(t, w.deliver(w.request())); r.Ref != "refs/heads/b" || r.Status != Updated {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/b", two)
}

// A mirror that could not be looked at is not said to be in step, nor to have been
// looked at; nobody hears of it twice; and a push that lands there is as good as a
// look. When the credential is another that does not end, nothing says it does.
func TestALookThatFailsIsNoLook(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	w := newWorld(t, Clock(func() time.Time { return now }))
	api := w.withAPI("github")
	api.Expire(now.Add(72 * time.Hour))
	var mu sync.Mutex
	accepted := token
	w.forge.Require(func(_, pass, _ string) bool { mu.Lock(); defer mu.Unlock(); return pass == accepted })
	k := NewKeeper(w.engine, KeeperOptions{Orders: []Order{w.order()}, Tell: func(Notice) {},
		Secret: func(context.Context, string, string) (secret.Value, error) { return secret.NewValue(token), nil }})
	one := w.commit("refs/heads/main", "one")
	push := func(oid, old string) {
		t.Helper()
		if err := k.Owe(t.Context(), w.event(event.Update{Old: old, New: oid, Ref: "refs/heads/main"})); err != nil {
			t.Fatal(err)
		}
		if rep := w.deliver(k.request(w.targetRow())); !rep.OK() {
			t.Fatalf("%s", rep)
		}
	}
	look := func() (n *Notice) {
		t.Helper()
		k.Tell = func(x Notice) { n = &x }
		k.audit(t.Context(), w.targetRow())
		return n
	}
	status := func() TargetStatus {
		t.Helper()
		list, err := w.engine.Status(t.Context(), w.src, []Order{w.order()})
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0]
	}
	due := func() bool {
		t.Helper()
		list, err := k.auditsDue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list) > 0
	}
	push(one, zero)
	if n := look(); n == nil || n.Expires.IsZero() || n.Err != nil {
		t.Errorf("%+v", n)
	}
	looked := now
	if s := status(); s.Drift() || !s.Checked.Equal(looked) || s.Expires.IsZero() || due() {
		t.Errorf("%+v", s)
	}

	now = now.Add(25 * time.Hour)
	mu.Lock()
	accepted = "another"
	mu.Unlock()
	if !due() {
		t.Error("no look is due after a day")
	}
	var te *TargetError
	if n := look(); n == nil || !errors.As(n.Err, &te) || te.Class != ClassAuth || n.Again {
		t.Errorf("%+v", n)
	}
	s := status()
	if !s.Drift() || !s.Checked.Equal(looked) || !s.Unseen.Equal(now) || s.LookClass != ClassAuth || s.LookError == "" || len(s.Advice()) != 1 {
		t.Errorf("%+v", s)
	}
	now = now.Add(2 * time.Hour)
	if due() {
		t.Error("a refused login is tried again within the day")
	}
	if n := look(); n == nil || !n.Again {
		t.Errorf("told twice: %+v", n)
	}

	// What may pass is looked at again soon.
	w.forge.Inject(&forgetest.Fault{Do: forgetest.Answer(503, "down")})
	if n := look(); n == nil || n.Again {
		t.Errorf("another cause: %+v", n)
	}
	if due() {
		t.Error("at once")
	}
	if now = now.Add(61 * time.Minute); !due() {
		t.Error("not after an hour")
	}

	w.forge.Heal()
	mu.Lock()
	accepted = token
	mu.Unlock()
	push(w.commit("refs/heads/main", "two", one), one)
	if s := status(); s.Drift() || s.LookClass != ClassNone {
		t.Errorf("it takes pushes: %+v", s)
	}
	api.Expire(time.Time{})
	if n := look(); n != nil {
		t.Errorf("%+v", n)
	}
	if s := status(); s.Drift() || !s.Checked.Equal(now) || !s.Expires.IsZero() {
		t.Errorf("%+v", s)
	}
}

func (w *world) targetRow() store.MirrorTarget {
	w.t.Helper()
	list, err := w.store.Targets(context.Background(), w.src, w.target.URL)
	if err != nil || len(list) != 1 {
		w.t.Fatalf("%+v, %v", list, err)
	}
	return list[0]
}

func TestOrderFor(t *testing.T) {
	o := Order{Target: Target{Name: "github.com", URL: "https://github.com/{owner}/{repo}.git"}, Repos: []string{"/srv/git/**"}}
	got, ok := o.For("/srv/git/me/thing.git")
	if !ok || got.URL != "https://github.com/me/thing.git" || got.Name != "github.com/me/thing" {
		t.Errorf("%+v, %v", got, ok)
	}
	if _, ok := o.For("/home/x/y.git"); ok {
		t.Error("matches another repository")
	}
	o.Repos = []string{"[bad"}
	if _, ok := o.For("/srv/git/me/thing.git"); ok {
		t.Error("a malformed pattern matches")
	}
}

// A worker killed while git push runs leaves what it takes to find out.
func TestKilledWhilePushing(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one})
	two := w.commit("refs/heads/main", "two")
	// As the ledger is after a kill in mid-push: in flight, landed, not recorded.
	err := w.store.Owe(context.Background(), store.MirrorTarget{GitDir: w.src, URL: w.target.URL, Name: "forge", Secret: "forge_token",
		Force: "lease", Delete: "owned", RetryFor: time.Hour}, []store.Delivery{{Ref: "refs/heads/main", Want: two, Seq: w.next()}}, time.Now(), true)
	if err != nil {
		t.Fatal(err)
	}
	git(t, w.dst, "fetch", "-q", w.src, "+refs/heads/main:refs/heads/main")
	three := w.commit("refs/heads/main", "three, of another history")
	w.push(Want{"refs/heads/main", three})
	w.wantThere("refs/heads/main", three)
	if left, _ := filepath.Glob(filepath.Join(w.state, "locks", "*")); len(left) != 1 {
		t.Errorf("locks: %v", left)
	}
}

// A ref that the operator takes out of the mirror, as the hint of its refusal says,
// is not sent any more when the cause of the refusal passes, and nothing calls the
// mirror out of step for it. Put back, it is sent.
func TestAnExcludedRefIsNotSent(t *testing.T) {
	for name, wait := range map[string]bool{"refused": false, "waiting": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx := context.Background()
			one := w.commit("refs/heads/main", "one")
			wip := w.commit("refs/heads/wip", "wip")
			status := 403
			if wait {
				status = 503
			}
			w.forge.Inject(&forgetest.Fault{Do: forgetest.Answer(status, "no")})
			all := w.order()
			req := w.request(Want{"refs/heads/main", one}, Want{"refs/heads/wip", wip})
			req.Target = all.Target // the operator's own
			w.deliver(req)
			some := all
			some.Exclude = []string{"refs/heads/wip"}
			red := func(orders ...Order) (refs []string) {
				list, err := w.engine.Status(ctx, "", orders)
				if err != nil || len(list) != 1 {
					t.Fatalf("%+v, %v", list, err)
				}
				for _, r := range list[0].Refs {
					if r.Drift {
						refs = append(refs, r.Ref)
					}
				}
				return refs
			}
			if before, after := red(all), red(some); len(before) != 2 || len(after) != 1 || after[0] != "refs/heads/main" {
				t.Errorf("not in step: %v before, %v after", before, after)
			}
			w.forge.Heal()
			if err := w.store.Settle(ctx, due(w, "refs/heads/main", "refs/heads/wip")); err != nil {
				t.Fatal(err)
			}
			w.target = some.Target
			if _, err := w.engine.Sync(ctx, SyncRequest{GitDir: w.src, Order: some,
				Credential: func(context.Context) (secret.Value, error) { return secret.NewValue(token), nil }}); err != nil {
				t.Fatal(err)
			}
			k2, _ := w.keeping(some)
			if err := k2.Owe(ctx, w.event(event.Update{Old: one, New: w.commit("refs/heads/main", "two", one), Ref: "refs/heads/main"})); err != nil {
				t.Fatal(err)
			}
			w.rests(k2)
			w.wantThere("refs/heads/wip", "")
			if left := red(some); len(left) != 0 {
				t.Errorf("not in step: %v", left)
			}
			if _, err := w.engine.Sync(ctx, SyncRequest{GitDir: w.src, Order: all,
				Credential: func(context.Context) (secret.Value, error) { return secret.NewValue(token), nil }}); err != nil {
				t.Fatal(err)
			}
			w.wantThere("refs/heads/wip", wip)
		})
	}
}

// due makes what waits for its time due now.
func due(w *world, refs ...string) (out []store.Delivery) {
	for _, ref := range refs {
		row := w.row(ref)
		if row.State.Open() {
			row.NextAt = w.engine.now()
		}
		out = append(out, row)
	}
	return out
}

// A mirror whose URL cannot be used holds up no push and no other mirror, and its
// pusher is told at once.
func TestABadURLHoldsUpNothing(t *testing.T) {
	for _, url := range []string{"git://h/{repo}.git", "ext::sh -c x", "relative/{repo}", "https://h/{repo}?x=y", "https:///x"} {
		w := newWorld(t)
		bad := w.order()
		bad.URL, bad.Name = url, "bad"
		k, told := w.keeping(bad, w.order())
		p := w.event(event.Update{Old: zero, New: w.commit("refs/heads/main", "one"), Ref: "refs/heads/main"})
		if err := k.Owe(context.Background(), p); err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		if n := <-told; n.Err == nil {
			t.Errorf("%s: the operator is told %+v", url, n)
		}
		for at(t, w.dst, "refs/heads/main") != p.Updates[0].New {
			<-told
		}
		shares := k.Shares(p)
		if len(shares) != 2 {
			t.Fatalf("%+v", shares)
		}
		rep, settled, err := k.Account(context.Background(), p, shares[0].Target, []string{"refs/heads/main"})
		if err != nil || !settled || len(rep.Results) != 1 || rep.Results[0].Class != ClassBadTarget {
			t.Errorf("%s: settled %v, %v\n%s", url, settled, err, rep)
		}
		if err := k.adopt(context.Background()); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// What is filled into a URL stays one part of its path.
func TestNamesAreEscapedInURLs(t *testing.T) {
	for gitDir, want := range map[string]string{
		"/srv/team/c#.git":     "https://h/team/c%23.git",
		"/srv/a b/q?x.git":     "https://h/a%20b/q%3Fx.git",
		"/srv/100%/größe.git":  "https://h/100%25/größe.git",
		"/srv/team/plain+.git": "https://h/team/plain+.git",
	} {
		o := Order{Target: Target{URL: "https://h/{owner}/{repo}.git"}, Repos: []string{"*"}}
		target, ok := o.For(gitDir)
		if r, err := parseRemote(target.URL); !ok || target.URL != want || err != nil || "/srv/"+r.path != gitDir {
			t.Errorf("%s: %s, %+v, %v", gitDir, target.URL, r, err)
		}
		o.URL = "git@h:{owner}/{repo}.git"
		if target, _ := o.For(gitDir); target.URL != "git@h:"+strings.TrimPrefix(gitDir, "/srv/") {
			t.Errorf("%s: %s", gitDir, target.URL)
		}
	}
}
