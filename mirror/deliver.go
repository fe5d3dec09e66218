package mirror

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/store"
)

// errTooLong ends a git push that exceeds the engine's limit.
var errTooLong = errors.New("the push took longer than its limit")

// Deliver brings the request's refs to its target and says what became of each.
// With them go refs that are still owed there from before.
//
// What the target, the network or the credential refuse is in the report; the
// error is for what this machine could not do: a ledger that cannot be written,
// a context that ended. Whatever happens, what was wanted is in the ledger.
func (e *Engine) Deliver(ctx context.Context, req Request) (Report, error) {
	start := time.Now()
	d := &delivery{Engine: e, req: req}
	err := d.run(ctx)
	d.report.Took = time.Since(start)
	if err != nil {
		return d.report, fmt.Errorf("mirror %s: %w", d.report.Target, err)
	}
	return d.report, nil
}

// delivery is one call of Deliver.
type delivery struct {
	*Engine
	req     Request
	to      remote
	cred    credential
	report  Report
	pusher  *pusher
	mine    map[string]bool // refs of the request
	opening sync.WaitGroup
	open    *gitrepo.Repo // nil until needed; see repo
	openErr error
	lfs     map[string]bool // what usesLFS found out beforehand, by object
}

func (d *delivery) run(ctx context.Context) (err error) {
	defer d.closeRepo()
	t := &d.req.Target
	d.report.Target, d.report.URL = t.Name, withoutPassword(t.URL)
	if err := t.fill(); err != nil {
		return d.failAll(ClassBadTarget, err)
	}
	if d.to, err = parseRemote(t.URL); err != nil {
		return d.failAll(ClassBadTarget, err)
	}
	t.URL = d.to.url
	if t.Name == "" {
		t.Name = d.to.display()
	}
	d.report.Target = t.Name
	if err := d.wants(); err != nil {
		return d.failAll(ClassBadTarget, err)
	}
	d.openAhead()
	d.tag()
	if d.req.Seq == "" {
		d.req.Seq = event.NewID(d.now())
	}
	unlock, held, err := d.lock(ctx, false)
	if err != nil {
		return err
	}
	if err := d.owe(ctx, held); err != nil {
		if held {
			unlock()
		}
		return err
	}
	if !held {
		if unlock, _, err = d.lock(ctx, true); err != nil {
			return err
		}
	}
	defer unlock()
	return d.settle(ctx)
}

// failAll is a report in which nothing could be tried.
func (d *delivery) failAll(c Class, err error) error {
	for _, w := range d.req.Refs {
		d.add(Result{Ref: w.Ref, OID: w.OID, Status: Refused, Class: c, Detail: err.Error(), Advice: d.advice(c, w.Ref)})
	}
	if d.req.Tag != nil {
		ref := "refs/tags/" + d.req.Tag.Name
		d.add(Result{Ref: ref, OID: d.req.Tag.Commit, Status: Refused, Class: c, Detail: err.Error(), Advice: d.advice(c, ref)})
	}
	return nil
}

func (d *delivery) advice(c Class, ref string) string {
	return c.advice(d.to, d.req.Target.Name, d.req.Target.Secret, event.ShortRef(ref))
}

func (d *delivery) add(r Result) { d.report.Results = append(d.report.Results, r) }

// wants checks what goes into argv.
func (d *delivery) wants() error {
	d.mine = map[string]bool{}
	for _, w := range d.req.Refs {
		if !strings.HasPrefix(w.Ref, "refs/") || gitrepo.CheckTagName(strings.TrimPrefix(w.Ref, "refs/")) != nil {
			return fmt.Errorf("malformed ref %q: want a full name, refs/…", w.Ref)
		}
		if (len(w.OID) != 40 && len(w.OID) != 64) || strings.Trim(w.OID, "0123456789abcdef") != "" {
			return fmt.Errorf("malformed object id %q for %s", w.OID, w.Ref)
		}
		if d.mine[w.Ref] {
			return fmt.Errorf("%s is asked for twice", w.Ref)
		}
		d.mine[w.Ref] = true
	}
	return nil
}

// tag makes the request's tag here and adds it to what is wanted. That it
// cannot be made is a result like any other: the refs go all the same.
func (d *delivery) tag() {
	t := d.req.Tag
	if t == nil {
		return
	}
	ref := "refs/tags/" + t.Name
	fail := func(c Class, err error) {
		d.add(Result{Ref: ref, OID: t.Commit, Status: Refused, Class: c, Detail: err.Error(), Advice: d.advice(c, ref)})
	}
	repo, err := d.repo()
	if err != nil {
		fail(ClassBroken, err)
		return
	}
	oid, _, err := repo.CreateTag(t.Name, t.Commit, nil)
	var elsewhere *gitrepo.TagElsewhereError
	switch {
	case errors.As(err, &elsewhere):
		fail(ClassTagElsewhere, err)
	case err != nil:
		fail(ClassBadTarget, err)
	case !d.mine[ref]:
		d.mine[ref] = true
		d.req.Refs = append(d.req.Refs, Want{ref, oid})
	}
}

// openAhead opens the repository and looks for LFS while the ledger is written:
// each takes about as long as the disk's next turn.
func (d *delivery) openAhead() {
	wants := slices.Clone(d.req.Refs)
	d.opening.Go(func() {
		d.open, d.openErr = gitrepo.Open(d.req.GitDir)
		if d.openErr != nil {
			return
		}
		d.lfs = map[string]bool{}
		for _, w := range wants[:min(len(wants), 16)] {
			if _, ok := d.lfs[w.OID]; !ok && !event.IsZero(w.OID) {
				d.lfs[w.OID] = usesLFS(d.open, w.OID)
			}
		}
	})
}

func (d *delivery) repo() (*gitrepo.Repo, error) {
	d.opening.Wait()
	if d.open == nil && d.openErr == nil {
		d.open, d.openErr = gitrepo.Open(d.req.GitDir)
	}
	return d.open, d.openErr
}

func (d *delivery) closeRepo() {
	d.opening.Wait()
	if d.open != nil {
		d.open.Close()
	}
}

// lock takes the target's lock: one push at a time for each. Without wait, it
// reports whether it got it.
func (d *delivery) lock(ctx context.Context, wait bool) (unlock func(), held bool, err error) {
	f := flock.New(d.lockPath(d.to.url))
	if wait {
		held, err = f.TryLockContext(ctx, 20*time.Millisecond)
	} else {
		held, err = f.TryLock()
	}
	if err != nil {
		return nil, false, fmt.Errorf("lock: %w", err)
	}
	return func() { f.Close() }, held, nil
}

func (e *Engine) lockPath(url string) string {
	sum := sha256.Sum256([]byte(url))
	return filepath.Join(e.locks, fmt.Sprintf("mirror-%x.lock", sum[:8]))
}

// owe records what is wanted, so that it is done also if this process is not
// there to do it.
func (d *delivery) owe(ctx context.Context, held bool) error {
	t := d.req.Target
	known, err := d.store.Deliveries(ctx, d.req.GitDir, t.URL, keys(d.mine))
	if err != nil {
		return err
	}
	var owed []store.Delivery
	fresh := true // nothing in flight, so that being sent can be said at once
	for _, k := range known {
		fresh = fresh && k.Sent == ""
	}
	for _, w := range d.req.Refs {
		seq := d.req.Seq
		if k, ok := known[w.Ref]; ok && k.Seq > seq && k.Want != w.OID && d.ahead(k.Want, w.OID) {
			seq = k.Seq // a clock went back: what is ahead in history is later
		}
		owed = append(owed, store.Delivery{Ref: w.Ref, Want: w.OID, Seq: seq})
	}
	return d.store.Owe(ctx, store.MirrorTarget{
		GitDir: d.req.GitDir, URL: t.URL, Name: t.Name, Secret: t.Secret, Force: t.Force, Delete: t.Delete,
		RetryFor: t.RetryFor, Forge: t.Forge, API: t.API,
	}, owed, d.now(), held && fresh)
}

// ahead reports whether new is ahead of old in history.
func (d *delivery) ahead(old, new string) bool {
	if event.IsZero(old) || event.IsZero(new) {
		return false
	}
	r, err := d.repo()
	if err != nil {
		return false
	}
	yes, err := r.IsAncestor(old, new)
	return yes && err == nil
}

// settle pushes what is owed, with pauses, until it has landed, is refused, or
// the pauses are used up. The target's lock is held.
func (d *delivery) settle(ctx context.Context) error {
	cred, err := d.credential(ctx)
	var unfetched *unfetchedError
	if errors.As(err, &unfetched) {
		return d.blocked(ctx, ClassSecret, err)
	}
	if err != nil {
		return d.blocked(ctx, ClassBadTarget, err)
	}
	d.cred = cred
	sess, err := openSession(d.req.GitDir, d.to, d.cred, d.req.Target.Secret, d.knownHosts())
	if err != nil {
		return d.blocked(ctx, ClassBadTarget, err)
	}
	defer sess.close()
	d.pusher = &pusher{sess: sess, progress: func(m *move) { d.progress(ctx, m) }, planner: &planner{
		target: d.req.Target, to: d.to, repo: d.repo, limits: d.batch, confirmed: d.req.Confirmed,
		known: func() (int, error) { return d.store.CountPut(ctx, d.req.GitDir, d.to.url) },
	}}
	if d.to.kind == "http" && !d.to.tls && !d.to.loopback() && d.cred.header != "" {
		d.report.Warnings = append(d.report.Warnings, "the credential goes to "+d.to.host+" without encryption; use https")
	}
	done := map[string]Result{}
	made := false
	for attempt := 0; ; attempt++ {
		moves, err := d.load(ctx)
		if err != nil {
			return err
		}
		if err := d.push(ctx, moves); err != nil {
			return err
		}
		if !made && d.makeRepository(ctx, moves) {
			made = true
			if err := d.again(ctx, moves); err != nil {
				return err
			}
			continue
		}
		pending := false
		for _, m := range moves {
			done[m.d.Ref] = d.result(m)
			pending = pending || m.result.Status == Pending
		}
		if !pending || attempt >= len(d.pauses) || ctx.Err() != nil {
			break
		}
		if !pause(ctx, d.pauses[attempt]) {
			break
		}
	}
	if made {
		d.matchDefault(ctx, done)
	}
	d.report.Attempts = d.pusher.attempts
	return d.conclude(ctx, done)
}

// again makes refused deliveries open ones.
func (d *delivery) again(ctx context.Context, moves []*move) error {
	for _, m := range moves {
		m.result.Status, m.result.Class, m.result.Detail = Pending, ClassNone, ""
	}
	return d.record(ctx, moves)
}

// knownHosts is every pin: the request's, and those that a person made.
func (d *delivery) knownHosts() []string {
	return append(slices.Clone(d.req.KnownHosts), d.pins()...)
}

// pause waits for about as long as it is told; others who failed at the same
// moment come at another.
func pause(ctx context.Context, about time.Duration) bool {
	t := time.NewTimer(vary(about))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// vary is d, a quarter more or less.
func vary(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d*3/4 + rand.N(d/2+1)
}

// load makes moves of all that is open at the target.
func (d *delivery) load(ctx context.Context) ([]*move, error) {
	known, err := d.store.Deliveries(ctx, d.req.GitDir, d.to.url, nil)
	if err != nil {
		return nil, err
	}
	var moves []*move
	for _, k := range known {
		moves = append(moves, &move{d: k, earlier: !d.mine[k.Ref]})
	}
	sort.Slice(moves, func(i, j int) bool { return moves[i].d.Ref < moves[j].d.Ref })
	return moves, nil
}

// push plans the moves, makes the pushes, and records what became of each.
func (d *delivery) push(ctx context.Context, moves []*move) error {
	if err := d.pusher.admit(moves); err != nil {
		return err
	}
	d.sendLFS(ctx, moves)
	head := ""
	if len(moves) > 1 {
		if r, err := d.repo(); err == nil {
			head, _ = r.DefaultBranch() // unknown: no order
		}
	}
	for _, g := range d.pusher.groups(moves, head) {
		if err := d.send(ctx, g); err != nil {
			return err
		}
		limited, cancel := context.WithTimeoutCause(ctx, d.attempt, errTooLong)
		d.pusher.push(limited, g)
		cancel()
		if err := d.record(ctx, g); err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	var rest []*move
	for _, m := range moves {
		if m.result == nil { // not come to
			d.pusher.interrupted(m, context.Cause(ctx))
		}
		if m.d.State.Open() {
			rest = append(rest, m)
		}
	}
	return d.record(ctx, rest)
}

// send says in the ledger what is in flight, unless it says so already. Objects
// that were in flight before and whose fate is unknown stay on the list.
func (d *delivery) send(ctx context.Context, g []*move) error {
	var news []store.Delivery
	for _, m := range g {
		if sent(m.d, m.d.Want) && m.d.State == store.DeliveryPushing {
			continue
		}
		list := append(strings.Fields(m.d.Sent), m.d.Want)
		m.d.Sent = strings.Join(list[max(0, len(list)-maxSent):], " ")
		m.d.State = store.DeliveryPushing
		m.d.Attempts++
		news = append(news, m.d)
	}
	if len(news) == 0 {
		return nil
	}
	return d.store.Send(ctx, news, d.now())
}

// maxSent bounds the list of objects whose fate is unknown. It grows by one
// with each want that is replaced while the target cannot be read.
const maxSent = 16

// sent reports whether oid is among what may have landed unseen.
func sent(d store.Delivery, oid string) bool {
	return slices.Contains(strings.Fields(d.Sent), oid)
}

// record settles the ledger for moves that have a result. It is done also if
// ctx has ended: what is known must not be lost.
func (d *delivery) record(ctx context.Context, moves []*move) error {
	var out []store.Delivery
	now := d.now()
	for _, m := range moves {
		r := m.result
		m.d.At, m.d.Class, m.d.Error, m.d.There, m.d.NextAt = now, string(r.Class), r.Detail, r.There, time.Time{}
		switch r.Status {
		case Created, Updated, UpToDate:
			m.d.State = store.DeliveryLanded
		case Deleted, Superseded:
			m.d.State = store.DeliveryGone
		case Diverged:
			m.d.State = store.DeliveryDiverged
		case Refused, Kept:
			m.d.State = store.DeliveryRefused
		case Pending:
			m.d.State = store.DeliveryWaiting
			m.d.NextAt = now.Add(d.backoff(m.d.Attempts, r.Class))
			if now.Sub(m.d.Since) > d.req.Target.RetryFor {
				m.d.State, m.d.NextAt = store.DeliveryRefused, time.Time{}
				r.Status = Refused
				r.Detail += fmt.Sprintf(" (given up after %s)", d.req.Target.RetryFor)
				r.Advice = "When the cause is gone: quire mirror sync"
				m.d.Error = r.Detail
			}
			r.NextAt = m.d.NextAt
		}
		out = append(out, m.d)
	}
	if len(out) == 0 {
		return nil
	}
	return d.store.Settle(context.WithoutCancel(ctx), out)
}

// progress notes what of a history is there, while the rest is on its way. The
// row's want is another, so its state stays that of a delivery that is owed.
func (d *delivery) progress(ctx context.Context, m *move) {
	part := m.d
	part.State, part.At = store.DeliveryPushing, d.now()
	if err := d.store.Settle(context.WithoutCancel(ctx), []store.Delivery{part}); err != nil {
		d.log.Warn("mirror: record progress", "ref", part.Ref, "error", err)
	}
}

// backoff is how long the worker waits before it tries again: half a minute,
// doubled with each attempt, an hour at most; five minutes at least where the
// forge said that there were too many requests.
func (e *Engine) backoff(attempts int, c Class) time.Duration {
	d := 30 * time.Second << min(max(attempts-1, 0), 7)
	if c == ClassRateLimit {
		d = max(d, 5*time.Minute)
	}
	return vary(min(d, time.Hour))
}

func (d *delivery) result(m *move) Result {
	r := *m.result
	r.Ref, r.Earlier = m.d.Ref, m.earlier
	if r.OID == "" {
		r.OID = m.d.Want
	}
	return r
}

// blocked is for a delivery that could not be tried; all that is owed at the
// target has the one cause.
func (d *delivery) blocked(ctx context.Context, c Class, cause error) error {
	moves, err := d.load(ctx)
	if err != nil {
		return err
	}
	p := &planner{target: d.req.Target, to: d.to}
	done := map[string]Result{}
	for _, m := range moves {
		p.refuse(m, refusedOrPending(c), c, cause.Error())
	}
	if err := d.record(ctx, moves); err != nil {
		return err
	}
	for _, m := range moves {
		done[m.d.Ref] = d.result(m)
	}
	return d.conclude(ctx, done)
}

// conclude writes the report: the request's refs in its order, then the others.
func (d *delivery) conclude(ctx context.Context, done map[string]Result) error {
	var elsewhere []string // refs that another delivery took along
	for _, w := range d.req.Refs {
		if _, pushed := done[w.Ref]; !pushed {
			elsewhere = append(elsewhere, w.Ref)
		}
	}
	var known map[string]store.Delivery
	if len(elsewhere) > 0 {
		var err error
		if known, err = d.store.Deliveries(context.WithoutCancel(ctx), d.req.GitDir, d.to.url, elsewhere); err != nil {
			return err
		}
	}
	for _, w := range d.req.Refs {
		r, pushed := done[w.Ref]
		k := known[w.Ref]
		delete(done, w.Ref)
		switch {
		case pushed && r.OID != w.OID && r.Status.Good():
			r.Status = Superseded // by a later want that went in its place
		case !pushed:
			r = fromLedger(k, w)
			r.Advice = d.advice(r.Class, w.Ref)
		}
		d.add(r)
	}
	rest := make([]Result, 0, len(done))
	for _, r := range done {
		rest = append(rest, r)
	}
	sort.Slice(rest, func(i, j int) bool { return rest[i].Ref < rest[j].Ref })
	d.report.Results = append(d.report.Results, rest...)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// fromLedger is the result of a ref that somebody else's delivery took along
// while this one waited for its turn, or that was superseded before.
func fromLedger(k store.Delivery, w Want) Result {
	r := Result{Ref: w.Ref, OID: k.Want, Class: Class(k.Class), Detail: k.Error, There: k.There, NextAt: k.NextAt}
	switch k.State {
	case store.DeliveryLanded:
		r.Status = UpToDate
	case store.DeliveryGone:
		r.Status = Deleted
	case store.DeliveryDiverged:
		r.Status = Diverged
	case store.DeliveryRefused:
		r.Status = Refused
		if r.Class == ClassForeign {
			r.Status = Kept
		}
	default:
		r.Status = Pending
	}
	if k.Want != w.OID && r.Status.Good() {
		r.Status = Superseded
	}
	return r
}

// credential is what the request's secret is, ready for use.
func (d *delivery) credential(ctx context.Context) (credential, error) {
	value := d.req.Credential
	if d.req.Resolve != nil {
		var err error
		if value, err = d.req.Resolve(ctx); err != nil {
			return credential{}, &unfetchedError{err}
		}
	}
	c, err := parseCredential(value.Reveal(), d.to, kindOf(d.req.Target, d.to))
	if err != nil {
		return c, err
	}
	return d.mint(ctx, c)
}

// unfetchedError is a secret that could not be had this time.
type unfetchedError struct{ error }

func (e *unfetchedError) Unwrap() error { return e.error }

func keys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
