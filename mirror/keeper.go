package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/store"
)

// Keeper works off what the ledger says is owed, each target by itself, so that
// a slow or dead one delays no other: deliveries of standing orders, and those
// of pipelines that did not get through. It also looks once a day whether the
// copies are still what was put there.
type Keeper struct {
	engine *Engine
	KeeperOptions

	wake chan struct{}

	mu       sync.Mutex
	working  map[targetKey]bool
	statuses map[targetKey][]pendingStatus
}

// pendingStatus is a commit status whose commit has not landed yet.
type pendingStatus struct {
	oid   string
	fresh bool // not looked at since it came, or since something landed
	CommitStatus
}

// maxStatuses bounds what waits for one target's commits to land.
const maxStatuses = 1000

type targetKey struct{ gitDir, url string }

// KeeperOptions say what to keep and whom to tell.
type KeeperOptions struct {
	Orders     []Order
	KnownHosts []string

	// Secret reveals the secret that a target names, for the refs that are
	// owed. It is asked at each attempt.
	Secret func(ctx context.Context, gitDir, name string, refs []string) (secret.Value, error)

	// Tell is told of each delivery that ended and of each audit that found
	// something. It is called from several goroutines.
	Tell func(Notice)

	// Audit is how often a target is looked at; 0: daily; negative: never.
	Audit time.Duration
}

// Notice is something for the operator.
type Notice struct {
	GitDir  string
	Report  Report    // of a delivery
	Target  string    // of an audit
	Drift   []Drift   // of an audit
	Expires time.Time // of an audit: the credential ends soon
	Err     error     // what kept either from being done
}

// NewKeeper makes a keeper. Run is its life.
func NewKeeper(e *Engine, o KeeperOptions) *Keeper {
	if o.Audit == 0 {
		o.Audit = 24 * time.Hour
	}
	if o.Tell == nil {
		o.Tell = func(Notice) {}
	}
	return &Keeper{engine: e, KeeperOptions: o, wake: make(chan struct{}, 1), working: map[targetKey]bool{}, statuses: map[targetKey][]pendingStatus{}}
}

// Owe records what a push means for the standing orders, and wakes Run. When it
// returns, the push's part of mirroring cannot be lost. It may be called again
// for the same push.
func (k *Keeper) Owe(ctx context.Context, p event.Push) error {
	var errs []error
	for _, o := range k.Orders {
		t, ok := o.For(p.GitDir)
		if !ok {
			continue
		}
		wants := o.wants(p.Updates)
		if len(wants) == 0 {
			continue
		}
		if err := k.engine.owe(ctx, p.GitDir, t, wants, p.ID); err != nil {
			errs = append(errs, err)
		}
	}
	k.Wake()
	return errors.Join(errs...)
}

// owe records wants without delivering them.
func (e *Engine) owe(ctx context.Context, gitDir string, t Target, wants []Want, seq string) error {
	d := &delivery{Engine: e, req: Request{GitDir: gitDir, Target: t, Refs: wants, Seq: seq}}
	var err error
	if d.to, err = parseRemote(t.URL); err == nil {
		err = d.req.Target.fill()
	}
	if err == nil {
		err = d.wants()
	}
	if err == nil {
		d.req.Target.URL = d.to.url
		if t.Name == "" {
			d.req.Target.Name = d.to.display()
		}
		err = d.owe(ctx, false)
	}
	d.closeRepo()
	return err
}

// Wake makes Run look at the ledger.
func (k *Keeper) Wake() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// longLook is how often Run looks although nothing woke it: other processes
// write into the ledger too.
const longLook = 30 * time.Second

// Run delivers what is owed, when it is due, until ctx ends; then it waits for
// the pushes under way, which are ended by the same ctx and stay owed.
func (k *Keeper) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	for ctx.Err() == nil {
		next, err := k.round(ctx, &work)
		if err != nil && ctx.Err() == nil {
			k.Tell(Notice{Err: fmt.Errorf("look for deliveries: %w", err)})
		}
		pause := longLook
		if !next.IsZero() {
			pause = min(pause, max(next.Sub(k.engine.now()), 10*time.Millisecond))
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-k.wake:
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

// round starts a goroutine for each target that is due and has none.
func (k *Keeper) round(ctx context.Context, work *sync.WaitGroup) (next time.Time, err error) {
	due, next, err := k.engine.store.DueTargets(ctx, k.engine.now())
	if err != nil {
		return next, err
	}
	for _, t := range due {
		k.start(work, targetKey{t.GitDir, t.URL}, func() { k.deliver(ctx, t) })
	}
	for _, key := range k.showable() {
		k.show(ctx, work, key)
	}
	if k.Audit > 0 {
		all, err := k.engine.store.Targets(ctx, "", "")
		if err != nil {
			return next, err
		}
		for _, t := range all {
			if k.engine.now().Sub(t.Checked) >= k.Audit && (!t.Checked.IsZero() || k.standing(t)) {
				k.start(work, targetKey{t.GitDir, t.URL}, func() { k.audit(ctx, t) })
			}
		}
	}
	return next, nil
}

// show posts statuses beside whatever else is done for the target: an API is not
// the repository. It is woken by deliveries, so one that finds nothing ready is
// not started again by its own end.
func (k *Keeper) show(ctx context.Context, work *sync.WaitGroup, key targetKey) {
	api := targetKey{key.gitDir, "api " + key.url}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.working[api] {
		return
	}
	k.working[api] = true
	work.Go(func() {
		k.post(ctx, key)
		k.mu.Lock()
		delete(k.working, api)
		k.mu.Unlock()
	})
}

// standing reports whether a target is of a standing order. Such a one is
// audited as soon as it is known: what the repository had before the order was
// given is found missing there, and owed.
func (k *Keeper) standing(t store.MirrorTarget) bool {
	for _, o := range k.Orders {
		if now, ok := o.For(t.GitDir); ok && now.URL == t.URL {
			return true
		}
	}
	return false
}

// start does work for a target, unless something is being done for it.
func (k *Keeper) start(work *sync.WaitGroup, key targetKey, f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.working[key] {
		return
	}
	k.working[key] = true
	work.Go(func() {
		f()
		k.mu.Lock()
		delete(k.working, key)
		for i := range k.statuses[key] {
			k.statuses[key][i].fresh = true
		}
		k.mu.Unlock()
		k.Wake() // something newer may have come meanwhile
	})
}

// Busy reports whether anything is under way or due now, and when the next
// delivery is due otherwise (the zero time: nothing is owed).
func (k *Keeper) Busy(ctx context.Context) (busy bool, next time.Time, err error) {
	k.mu.Lock()
	busy = len(k.working) > 0
	for _, list := range k.statuses {
		busy = busy || slices.ContainsFunc(list, func(s pendingStatus) bool { return s.fresh })
	}
	k.mu.Unlock()
	due, next, err := k.engine.store.DueTargets(ctx, k.engine.now())
	return busy || len(due) > 0, next, err
}

// Report shows statuses of a commit at every standing order's forge that is to
// have them, as soon as the commit has landed there. What has not been shown
// when the worker ends is lost: the runs say the same.
func (k *Keeper) Report(gitDir, oid string, list []CommitStatus) {
	for _, o := range k.Orders {
		t, ok := o.For(gitDir)
		if !ok || !o.Statuses {
			continue
		}
		key := targetKey{gitDir, t.URL}
		k.mu.Lock()
		waiting := k.statuses[key]
		for _, s := range list {
			waiting = append(waiting, pendingStatus{oid, true, s})
		}
		k.statuses[key] = waiting[max(0, len(waiting)-maxStatuses):]
		k.mu.Unlock()
	}
	k.Wake()
}

// post shows the statuses whose commits are at the target.
func (k *Keeper) post(ctx context.Context, key targetKey) {
	landed, err := k.engine.store.PutAt(ctx, key.gitDir, key.url)
	if err != nil {
		k.Tell(Notice{GitDir: key.gitDir, Err: err})
		return
	}
	var target Target
	for _, o := range k.Orders {
		if t, ok := o.For(key.gitDir); ok && t.URL == key.url {
			target = t
		}
	}
	k.mu.Lock()
	var ready, rest []pendingStatus
	for _, s := range k.statuses[key] {
		if landed[s.oid] {
			ready = append(ready, s)
		} else {
			s.fresh = false
			rest = append(rest, s)
		}
	}
	k.statuses[key] = rest
	k.mu.Unlock()
	for _, s := range ready {
		err := k.engine.PostStatus(ctx, StatusRequest{GitDir: key.gitDir, Target: target, OID: s.oid, Status: s.CommitStatus,
			Resolve: k.resolver(key.gitDir, target.Secret, nil)})
		if err != nil && ctx.Err() == nil {
			k.Tell(Notice{GitDir: key.gitDir, Target: target.Name, Err: err})
			return
		}
	}
}

// showable lists the targets that have statuses to show. Each is looked at when
// Run was woken, which the end of a delivery does too.
func (k *Keeper) showable() []targetKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []targetKey
	for key, list := range k.statuses {
		if len(list) > 0 {
			out = append(out, key)
		}
	}
	return out
}

// resolver reveals a target's secret at each attempt; nil without a secret.
func (k *Keeper) resolver(gitDir, name string, refs []string) func(context.Context) (secret.Value, error) {
	if name == "" {
		return nil
	}
	return func(ctx context.Context) (secret.Value, error) {
		if k.Secret == nil {
			return secret.Value{}, fmt.Errorf("secret %s cannot be revealed here", name)
		}
		return k.Secret(ctx, gitDir, name, refs)
	}
}

// request is a request for what is owed at a recorded target. A standing order's
// present settings win over those of when it was recorded.
func (k *Keeper) request(ctx context.Context, t store.MirrorTarget) (Request, error) {
	target := recorded(t)
	for _, o := range k.Orders {
		if now, ok := o.For(t.GitDir); ok && now.URL == t.URL {
			target = now
		}
	}
	rows, err := k.engine.store.Deliveries(ctx, t.GitDir, t.URL, nil)
	if err != nil {
		return Request{}, err
	}
	refs := slices.Sorted(maps.Keys(rows))
	return Request{GitDir: t.GitDir, Target: target, KnownHosts: k.KnownHosts, Resolve: k.resolver(t.GitDir, target.Secret, refs)}, nil
}

// deliver works off what is owed at one target.
func (k *Keeper) deliver(ctx context.Context, t store.MirrorTarget) {
	req, err := k.request(ctx, t)
	if err != nil {
		k.Tell(Notice{GitDir: t.GitDir, Err: err})
		return
	}
	rep, err := k.engine.Deliver(ctx, req)
	if ctx.Err() != nil {
		return // owed still; the next worker goes on
	}
	// Nobody asked for these refs in this call: all of them are its business.
	for i := range rep.Results {
		rep.Results[i].Earlier = false
	}
	if len(rep.Results) > 0 || err != nil {
		k.Tell(Notice{GitDir: t.GitDir, Report: rep, Err: err})
	}
	if err != nil {
		pause(ctx, 5*time.Second) // this machine's trouble: it is due still, and would be tried at once
	}
}

// audit looks at one target: first for what the ledger does not know to be
// wanted (a push that no hook reported, refs older than the order), which is
// owed from now on, then for what others changed there.
func (k *Keeper) audit(ctx context.Context, t store.MirrorTarget) {
	err := k.missed(ctx, t)
	var req Request
	var drift []Drift
	if err == nil {
		req, err = k.request(ctx, t)
	}
	if err == nil {
		drift, err = k.engine.Audit(ctx, req)
	}
	var expires time.Time
	if err == nil && req.Resolve != nil {
		if expires, err = k.engine.Expires(ctx, req); err == nil && !expires.IsZero() {
			err = k.engine.store.NoteTarget(ctx, t.GitDir, t.URL, time.Time{}, expires)
		}
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		// Looked at, without success: again tomorrow and not at once.
		err = errors.Join(err, k.engine.store.NoteTarget(ctx, t.GitDir, t.URL, k.engine.now(), time.Time{}))
	}
	if !expires.IsZero() && expires.Sub(k.engine.now()) > warnBefore {
		expires = time.Time{}
	}
	if len(drift) > 0 || err != nil || !expires.IsZero() {
		k.Tell(Notice{GitDir: t.GitDir, Target: req.Target.Name, Drift: drift, Err: err, Expires: expires})
	}
}

// warnBefore is how long before its end a credential is told of, at each audit.
const warnBefore = 14 * 24 * time.Hour

// missed owes the refs of standing orders that are not as the ledger wants them.
func (k *Keeper) missed(ctx context.Context, t store.MirrorTarget) error {
	for _, o := range k.Orders {
		target, ok := o.For(t.GitDir)
		if !ok || target.URL != t.URL {
			continue
		}
		seq := event.NewID(k.engine.now())
		here, err := o.state(t.GitDir)
		if err != nil {
			return err
		}
		rows, err := k.engine.rows(ctx, t.GitDir, t.URL)
		if err != nil {
			return err
		}
		var wants []Want
		for _, ref := range slices.Sorted(maps.Keys(here)) {
			if rows[ref].Want != here[ref] {
				wants = append(wants, Want{ref, here[ref]})
			}
		}
		if len(wants) > 0 {
			if err := k.engine.owe(ctx, t.GitDir, target, wants, seq); err != nil {
				return err
			}
		}
	}
	return nil
}
