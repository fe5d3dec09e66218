package mirror

import (
	"context"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"quire/internal/event"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// How a delivery reads and writes the ledger.

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
		owed = append(owed, store.Delivery{Ref: w.Ref, Want: w.OID, Seq: seq, Authority: t.authority()})
	}
	return d.store.Owe(ctx, store.MirrorTarget{
		GitDir: d.req.GitDir, URL: t.URL, Name: t.Name, Secret: t.Secret, Force: t.Force, Delete: t.Delete,
		RetryFor: t.RetryFor, Forge: t.Forge, API: t.API, Asked: t.Asked, Auth: t.Auth,
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

// owe records wants without delivering them.
func (e *Engine) owe(ctx context.Context, gitDir string, t Target, wants []Want, seq string) error {
	d := &delivery{Engine: e, ctx: ctx, req: Request{GitDir: gitDir, Target: t, Refs: wants, Seq: seq}}
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

// again makes refused deliveries open ones.
func (d *delivery) again(ctx context.Context, moves []*move) error {
	for _, m := range moves {
		m.result.Status, m.result.Class, m.result.Detail = Pending, ClassNone, masked.Text{}
	}
	return d.record(ctx, moves)
}

// load makes moves of all that is open at the target on the delivery's behalf.
func (d *delivery) load(ctx context.Context) ([]*move, error) {
	known, err := d.store.Deliveries(ctx, d.req.GitDir, d.to.url, nil)
	if err != nil {
		return nil, err
	}
	var moves []*move
	for _, k := range known {
		if !d.mine[k.Ref] && !d.req.along(k) || k.Authority != d.req.Target.authority() {
			continue
		}
		moves = append(moves, &move{d: k, earlier: !d.mine[k.Ref], counted: k.State == store.DeliveryPushing})
	}
	sort.Slice(moves, func(i, j int) bool { return moves[i].d.Ref < moves[j].d.Ref })
	return moves, nil
}

// send says in the ledger what is in flight, unless it says so already. Objects
// that were in flight before and whose fate is unknown stay on the list.
func (d *delivery) send(ctx context.Context, g []*move) error {
	var news []store.Delivery
	for _, m := range g {
		m.counted = true
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
			if !m.counted { // what kept it back came before its push
				m.counted = true
				m.d.Attempts++
			}
			m.d.NextAt = now.Add(d.backoff(m.d.Attempts, r.Class))
			if now.Sub(m.d.Since) > d.req.Target.RetryFor {
				m.d.State, m.d.NextAt = store.DeliveryRefused, time.Time{}
				r.Status = Refused
				r.Detail = masked.Format("%s (given up after %s)", r.Detail, d.ownMask(d.req.Target.RetryFor.String()))
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

// putThere lists the objects that the target's refs were put on, the latest first.
func (d *delivery) putThere(ctx context.Context) ([]string, error) {
	rows, err := d.rows(ctx, d.req.GitDir, d.to.url)
	if err != nil {
		return nil, err
	}
	list := slices.SortedFunc(maps.Values(rows), func(a, b store.Delivery) int { return b.At.Compare(a.At) })
	var out []string
	for _, row := range list {
		if row.Put != "" && len(out) < knownTips && !slices.Contains(out, row.Put) {
			out = append(out, row.Put)
		}
	}
	return out, nil
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

// firstPauses are between the first attempts: most of what fails has passed by
// then, and somebody may be waiting.
var firstPauses = []time.Duration{time.Second, 4 * time.Second, 15 * time.Second}

// backoff is how long the worker waits after so many attempts before it tries
// again: after the first pauses half a minute, doubled with each attempt, an
// hour at most; five minutes at least where the forge said that there were too
// many requests.
func (e *Engine) backoff(attempts int, c Class) time.Duration {
	var d time.Duration
	if attempts = max(attempts, 1); attempts <= len(firstPauses) {
		d = firstPauses[attempts-1]
	} else {
		d = 30 * time.Second << min(attempts-len(firstPauses)-1, 7)
	}
	if c == ClassRateLimit {
		d = max(d, 5*time.Minute)
	}
	return vary(min(d, time.Hour))
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

func keys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
