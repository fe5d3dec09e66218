package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/store"
)

// Keeper works off what the ledger says is owed, each target by itself, so that
// a slow or dead one delays no other: deliveries of standing orders, and those
// of pipelines that did not get through. It also tells forges of commit
// statuses, and looks once a day whether the copies are still what was put
// there.
type Keeper struct {
	engine *Engine
	KeeperOptions

	wake chan struct{}

	mu      sync.Mutex
	begun   bool // Run has looked once
	working map[targetKey]bool
	aside   map[targetKey]bool // left alone, and told
	failed  map[targetKey]int  // how often this machine could not do it, in a row
	places  places

	adopting sync.Mutex
	adopted  bool
}

type targetKey struct{ gitDir, url string }

// KeeperOptions say what to keep and whom to tell.
type KeeperOptions struct {
	Orders     []Order
	KnownHosts []string

	// Secret reveals the secret that a target names. It is asked at each attempt.
	Secret func(ctx context.Context, gitDir, name string) (secret.Value, error)

	// Wall bounds the targets that a repository's pipelines asked for. It is asked
	// at each attempt. nil: nothing is pushed there.
	Wall func(gitDir string) (Wall, error)

	// Tell is told of each delivery that ended and of each audit that found
	// something. It is called from several goroutines.
	Tell func(Notice)

	// Begin is called before a delivery, and the function that it returns when it
	// is over: so that a process which dies in between is known to have. Aside is
	// why a target is left alone, because of what was noted. nil: nothing is noted.
	Begin func(gitDir, url string) (end func(), err error)
	Aside func(gitDir, url string) error

	// Ended is called when a piece of work is over and the ledger says so, by
	// whichever goroutine did it.
	Ended func()

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
	Again   bool      // of an audit: its Err is one that was told of before
}

// NewKeeper makes a keeper. Run is its life.
func NewKeeper(e *Engine, o KeeperOptions) *Keeper {
	if o.Audit == 0 {
		o.Audit = 24 * time.Hour
	}
	if o.Tell == nil {
		o.Tell = func(Notice) {}
	}
	if o.Begin == nil {
		o.Begin = func(string, string) (func(), error) { return func() {}, nil }
	}
	if o.Aside == nil {
		o.Aside = func(string, string) error { return nil }
	}
	if o.Ended == nil {
		o.Ended = func() {}
	}
	if o.Secret == nil {
		o.Secret = func(_ context.Context, _, name string) (secret.Value, error) {
			return secret.Value{}, fmt.Errorf("secret %s cannot be revealed here", name)
		}
	}
	return &Keeper{engine: e, KeeperOptions: o, wake: make(chan struct{}, 1), working: map[targetKey]bool{}, aside: map[targetKey]bool{}, failed: map[targetKey]int{}, places: places{}}
}

// Share is what a push means for one target of a standing order.
type Share struct {
	Target Target
	Wants  []Want
}

// Shares is what a push means for the standing orders, one share a target.
func (k *Keeper) Shares(p event.Push) []Share {
	var out []Share
	for _, o := range k.Orders {
		t, ok := o.For(p.GitDir)
		if !ok {
			continue
		}
		i := slices.IndexFunc(out, func(s Share) bool { return s.Target.URL == t.URL })
		if i < 0 {
			i = len(out)
			out = append(out, Share{})
		}
		out[i].Target = t // of two orders with one target, the later says how
		for _, w := range o.wants(p.Updates) {
			if !slices.Contains(out[i].Wants, w) {
				out[i].Wants = append(out[i].Wants, w)
			}
		}
	}
	return slices.DeleteFunc(out, func(s Share) bool { return len(s.Wants) == 0 })
}

// Owe records what a push means for the standing orders, and wakes Run. When it
// returns, the push's part of mirroring cannot be lost. It may be called again
// for the same push.
func (k *Keeper) Owe(ctx context.Context, p event.Push) error {
	var errs []error
	for _, s := range k.Shares(p) {
		// What can never be delivered holds no push up; Account says it to the pusher.
		if _, err := parseRemote(s.Target.URL); err != nil {
			k.Tell(Notice{GitDir: p.GitDir, Err: err})
			continue
		}
		errs = append(errs, k.engine.owe(ctx, p.GitDir, s.Target, s.Wants, p.ID))
	}
	k.Wake()
	return errors.Join(errs...)
}

// standing are the orders that a target is of, and how they say it is to be
// kept. None: a pipeline asked for it, or nobody does any more.
func (k *Keeper) standing(gitDir, url string) (t Target, orders []Order) {
	for _, o := range k.Orders {
		if now, ok := o.For(gitDir); ok && now.URL == url {
			t = now
			orders = append(orders, o)
		}
	}
	return t, orders
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
	sweep()
	k.unretire(ctx)
	for ctx.Err() == nil {
		next, err := k.round(ctx, &work)
		if err != nil && ctx.Err() == nil {
			k.Tell(Notice{Err: fmt.Errorf("look for deliveries: %w", err)})
		}
		k.mu.Lock()
		first := !k.begun
		k.begun = true
		k.mu.Unlock()
		if first {
			k.Ended()
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
			k.unretire(ctx)
			if err := k.adopt(ctx); err != nil && ctx.Err() == nil {
				k.Tell(Notice{Err: fmt.Errorf("look for new mirrors: %w", err)})
			}
		}
		t.Stop()
	}
	return nil
}

// unretire owes again what repositories owed that are back.
func (k *Keeper) unretire(ctx context.Context) {
	found, err := k.engine.unretire(ctx)
	if err != nil && ctx.Err() == nil {
		k.Tell(Notice{Err: fmt.Errorf("look for repositories that are back: %w", err)})
	}
	if found {
		k.Wake()
	}
}

// adopt makes the targets known, once, that standing orders have of repositories
// which were pushed to before: their first audit finds everything missing there.
// It is done when there is time for it, and not when a push is waiting: a box may
// have thousands of repositories.
func (k *Keeper) adopt(ctx context.Context) error {
	k.adopting.Lock()
	defer k.adopting.Unlock()
	if k.adopted || len(k.Orders) == 0 {
		return nil
	}
	missing, err := k.engine.unknown(ctx, k.Orders, "")
	if err != nil {
		return err
	}
	for _, m := range missing {
		if _, err := parseRemote(m.target.URL); err != nil {
			continue // told of at each push
		}
		if err := k.engine.owe(ctx, m.gitDir, m.target, nil, ""); err != nil {
			return err
		}
	}
	k.adopted = true
	if len(missing) > 0 {
		k.Wake()
	}
	return nil
}

// due lists the targets that are owed something now, and are not left alone.
func (k *Keeper) due(ctx context.Context) (due []store.DueTarget, next time.Time, err error) {
	due, next, err = k.engine.store.DueTargets(ctx, k.engine.now())
	due = slices.DeleteFunc(due, func(t store.DueTarget) bool {
		why := k.Aside(t.GitDir, t.URL)
		key := targetKey{t.GitDir, t.URL}
		k.mu.Lock()
		news := why != nil && !k.aside[key]
		k.aside[key] = why != nil
		k.mu.Unlock()
		if news {
			k.Tell(Notice{GitDir: t.GitDir, Err: fmt.Errorf("mirror %s: %w", t.Name, why)})
		}
		return why != nil
	})
	return due, next, err
}

// round starts a goroutine for each target that is due and has none, as far as
// there are places: the end of each piece of work makes another round.
func (k *Keeper) round(ctx context.Context, work *sync.WaitGroup) (next time.Time, err error) {
	due, next, err := k.due(ctx)
	if err != nil {
		return next, err
	}
	k.order(due)
	owed := map[targetKey]bool{}
	for _, t := range due {
		owed[targetKey{t.GitDir, t.URL}] = true
		k.start(ctx, work, kind{pushing, t.Authority != ""}, targetKey{t.GitDir, t.URL}, func() error { return k.deliver(ctx, t) })
	}
	told, later, err := k.engine.store.DueStatuses(ctx, k.engine.now())
	if err != nil {
		return next, err
	}
	for _, key := range told {
		k.start(ctx, work, kind{telling, false}, targetKey{key[0], key[1]}, func() error { return k.show(ctx, key[0], key[1]) })
	}
	audits, err := k.auditsDue(ctx)
	for _, t := range audits {
		if owed[targetKey{t.GitDir, t.URL}] {
			continue // its push comes first, also where that waits for a place
		}
		asked := !ordered(k.Orders, t.GitDir, t.URL)
		k.start(ctx, work, kind{auditing, asked}, targetKey{t.GitDir, t.URL}, func() error { k.audit(ctx, t); return nil })
	}
	return earlier(next, later), err
}

// order puts the operator's own orders before what pipelines asked for, and of
// the pipelines' those of repositories that least is done for, so that one with
// many targets delays no other. Else the longest waiting stays first.
func (k *Keeper) order(due []store.DueTarget) {
	k.mu.Lock()
	defer k.mu.Unlock()
	rank := func(t store.DueTarget) int {
		if t.Authority == "" {
			return -1
		}
		return k.places[kind{pushing, true}.repository(t.GitDir)]
	}
	slices.SortStableFunc(due, func(a, b store.DueTarget) int { return rank(a) - rank(b) })
}

// earlier is the earlier of two times, where the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// start does work for a target when there is a place, unless something is being
// done for it. An API is not the repository: telling it something goes beside
// whatever else is done. An error of f is something that this machine could not
// do, such as writing into the ledger: it is due still and would be tried at once,
// so the target rests first, without keeping a place.
func (k *Keeper) start(ctx context.Context, work *sync.WaitGroup, kind kind, key targetKey, f func() error) {
	host := ""
	if to, err := parseRemote(key.url); err == nil {
		host = to.host
	}
	if kind.way == telling {
		key.url = "api " + key.url
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.working[key] || !k.places.take(kind, key.gitDir, host) {
		return
	}
	k.working[key] = true
	work.Go(func() {
		err := f()
		k.mu.Lock()
		k.places.give(kind, key.gitDir, host)
		k.mu.Unlock()
		k.Wake() // somebody may wait for the place
		k.rest(ctx, key, err)
		k.mu.Lock()
		delete(k.working, key)
		k.mu.Unlock()
		k.Wake() // something newer may have come meanwhile
		k.Ended()
	})
}

// rest lets a target alone for a while after an error: longer each time in a row,
// since what is pushed again and cannot be recorded costs the other end as well.
func (k *Keeper) rest(ctx context.Context, key targetKey, err error) {
	k.mu.Lock()
	times := k.failed[key]
	if err == nil {
		delete(k.failed, key)
	} else {
		k.failed[key]++
	}
	k.mu.Unlock()
	if err != nil {
		pause(ctx, restAfter(times))
	}
}

// restAfter is how long a target rests when as many attempts before failed too.
func restAfter(times int) time.Duration {
	return min(5*time.Second<<min(times, 10), 10*time.Minute)
}

// Busy reports whether anything is under way or due now, and when the next
// thing is due otherwise (the zero time: nothing is owed).
func (k *Keeper) Busy(ctx context.Context) (busy bool, next time.Time, err error) {
	k.mu.Lock()
	busy = len(k.working) > 0 || !k.begun
	k.mu.Unlock()
	due, next, err := k.due(ctx)
	if err != nil {
		return busy, next, err
	}
	told, later, err := k.engine.store.DueStatuses(ctx, k.engine.now())
	next = earlier(next, later)
	if busy = busy || len(due)+len(told) > 0; busy || err != nil {
		return busy, next, err
	}
	if err := k.adopt(ctx); err != nil {
		return false, next, err
	}
	audits, err := k.auditsDue(ctx)
	return len(audits) > 0, next, err
}

// Resolver is a request's Resolve for a recorded target: reveal is asked for its
// secret at each attempt. nil for a target without one.
func Resolver(t Target, reveal func(ctx context.Context, name string) (secret.Value, error)) func(context.Context) (secret.Value, error) {
	switch {
	case t.Auth == unrecorded:
		return func(context.Context) (secret.Value, error) { return secret.Value{}, errors.New(onlyThePipeline) }
	case t.Secret == "":
		return nil
	}
	return func(ctx context.Context) (secret.Value, error) { return reveal(ctx, t.Secret) }
}

func (k *Keeper) resolver(gitDir string, t Target) func(context.Context) (secret.Value, error) {
	return Resolver(t, func(ctx context.Context, name string) (secret.Value, error) { return k.Secret(ctx, gitDir, name) })
}

// request is a request for looking at a recorded target. A standing order's
// present settings win over those of when it was recorded.
func (k *Keeper) request(t store.MirrorTarget) Request {
	target := recorded(t)
	if now, orders := k.standing(t.GitDir, t.URL); len(orders) > 0 {
		target = now // the operator's own: no wall
	}
	return k.requestFor(t, target)
}

func (k *Keeper) requestFor(t store.MirrorTarget, target Target) Request {
	req := Request{GitDir: t.GitDir, Target: target, KnownHosts: k.KnownHosts, Resolve: k.resolver(t.GitDir, target)}
	if target.Asked {
		req.Wall = k.wall(t.GitDir)
	}
	if _, orders := k.standing(t.GitDir, t.URL); len(orders) > 0 && target.authority() == "" {
		req.Takes = func(ref string) bool { return taken(orders, ref) }
	}
	return req
}

// wall is the repository's, or one that lets nothing through.
func (k *Keeper) wall(gitDir string) Wall {
	if k.Wall == nil {
		return Wall{}
	}
	w, err := k.Wall(gitDir)
	if err != nil {
		k.Tell(Notice{GitDir: gitDir, Err: err})
		return Wall{}
	}
	return w
}

// deliver works off what is owed at one target on one behalf. Its error is what
// this machine could not do.
func (k *Keeper) deliver(ctx context.Context, t store.DueTarget) error {
	target, orders := k.standing(t.GitDir, t.URL)
	why := retired(t.MirrorTarget, k.Orders)
	switch {
	case t.Authority != "":
		target = recorded(t.MirrorTarget).under(t.Authority)
	case len(orders) == 0 && why == "":
		why = unordered
	}
	if why != "" {
		err := k.engine.retire(ctx, t, why)
		if err != nil && ctx.Err() == nil {
			k.Tell(Notice{GitDir: t.GitDir, Err: err})
		}
		return err
	}
	if t.Authority == "" {
		left, err := k.engine.exclude(ctx, t.GitDir, t.URL, func(ref string) bool { return taken(orders, ref) })
		if err != nil && ctx.Err() == nil {
			k.Tell(Notice{GitDir: t.GitDir, Err: err})
		}
		if err != nil || left == 0 {
			return err
		}
	}
	end, err := k.Begin(t.GitDir, t.URL)
	if err != nil {
		k.Tell(Notice{GitDir: t.GitDir, Err: fmt.Errorf("mirror %s: %w", t.Name, err)})
		return err
	}
	req := k.requestFor(t.MirrorTarget, target)
	rep, err := k.engine.Deliver(ctx, req)
	end()
	if ctx.Err() != nil {
		return nil // owed still; the next worker goes on
	}
	// Nobody asked for these refs in this call: all of them are its business.
	for i, r := range rep.Results {
		rep.Results[i].Earlier = r.revived
	}
	if len(rep.Landed()) > 0 {
		if slices.ContainsFunc(orders, func(o Order) bool { return o.Statuses }) {
			err = errors.Join(err, k.engine.store.WakeStatuses(ctx, t.GitDir, t.URL, k.engine.now()))
		}
	}
	if len(rep.Results) > 0 || err != nil {
		k.Tell(Notice{GitDir: t.GitDir, Report: rep, Err: err})
	}
	return err
}
