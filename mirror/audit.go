package mirror

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sort"
	"time"

	"quire/internal/event"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// Drift is a ref that is not at the target as it was put there.
type Drift struct {
	Ref   string `json:"ref"`
	Put   string `json:"put"`   // what was put there
	There string `json:"there"` // what is there now, "" for nothing
}

// Audit reads a target and compares it with the ledger. What somebody changed
// there is recorded as diverged and returned; it is not pushed over. A ref that
// was diverged and is as wanted again is recorded as landed; one that was set back
// to what was put there last, and what was refused for the target's sake and not
// its own, is owed again.
//
// An error of the target (it is down, the credential expired) comes back as one
// that says so in a sentence; it changes nothing in the ledger.
func (e *Engine) Audit(ctx context.Context, req Request) ([]Drift, error) {
	to, err := parseRemote(req.Target.URL)
	if err != nil {
		return nil, &TargetError{Target: withoutPassword(req.Target.URL), Class: ClassBadTarget, Detail: noRedactor.Mask(err.Error()), Advice: advice[ClassBadTarget]}
	}
	// A push under way would look like drift.
	unlock, _, err := (&delivery{Engine: e, to: to}).lock(ctx, true)
	if err != nil {
		return nil, err
	}
	defer unlock()
	there, err := e.survey(ctx, req)
	if err != nil {
		class, detail := there.why(err)
		return nil, &TargetError{Target: there.name, Class: class, Detail: detail,
			Advice: class.advice(to, there.name, req.Target.Secret, "the refs")}
	}
	rows, err := e.rows(ctx, req.GitDir, to.url)
	if err != nil {
		return nil, err
	}
	var drifts []Drift
	var settled []store.Delivery
	now := e.now()
	for _, row := range rows {
		is := there.refs[row.Ref]
		again := req.Target.Auth != unrecorded && (row.Authority != "" || req.Takes == nil || req.Takes(row.Ref))
		switch {
		case row.State == store.DeliveryLanded && is != row.Put:
			drifts = append(drifts, Drift{row.Ref, row.Put, is})
			row.State, row.There, row.Class, row.At = store.DeliveryDiverged, is, string(ClassDiverged), now
			row.Error = noRedactor.Mask("somebody else moved it to " + event.ShortOID(is) + "; left alone")
			if is == "" {
				row.Error = masked.Const("somebody else deleted it")
			}
			settled = append(settled, row)
		case row.State == store.DeliveryDiverged && is == row.Want:
			row.State, row.Put, row.There, row.Class, row.Error, row.At = store.DeliveryLanded, is, "", "", masked.Text{}, now
			settled = append(settled, row)
		case row.State == store.DeliveryDiverged && is != "" && is == row.Put && again:
			// Set back to what was put there: what is wanted may go there again.
			row.State, row.There, row.Class, row.Error, row.At, row.NextAt = store.DeliveryWaiting, "", "", masked.Text{}, now, now
			settled = append(settled, row)
		case row.State == store.DeliveryRefused && Class(row.Class) == ClassForeign && is == "":
			// Kept there, and deleted by whose it was.
			row.State, row.Put, row.There, row.Class, row.Error, row.At = store.DeliveryGone, "", "", "", masked.Text{}, now
			settled = append(settled, row)
		case row.State == store.DeliveryRefused && ofTarget[Class(row.Class)] && again:
			// The target can be read: what kept all of it away may be over.
			row.State, row.Class, row.Error, row.At, row.NextAt = store.DeliveryWaiting, "", masked.Text{}, now, now
			settled = append(settled, row)
		}
	}
	sort.Slice(drifts, func(i, j int) bool { return drifts[i].Ref < drifts[j].Ref })
	if err := e.store.Settle(ctx, settled); err != nil {
		return nil, err
	}
	return drifts, e.store.Seen(ctx, req.GitDir, to.url, now, "", masked.Text{})
}

// TargetError is a target that could not be read.
type TargetError struct {
	Target string
	Class  Class
	Detail masked.Text
	Advice string
}

func (e *TargetError) Error() string {
	return "mirror " + e.Target + ": " + string(e.Class) + ": " + e.Detail.String() + ". " + e.Advice
}

// auditsDue are the targets that are to be looked at now. One of a standing
// order is as soon as it is known: what the repository had before the order was
// given is found missing there, and owed. A look that failed for a reason that
// may pass is taken again after an hour, of a day's.
func (k *Keeper) auditsDue(ctx context.Context) ([]store.MirrorTarget, error) {
	if k.Audit < 0 {
		return nil, nil
	}
	now := k.engine.now()
	before := now.Add(-k.Audit)
	list, err := k.engine.store.UnseenTargets(ctx, now.Add(-k.Audit/24), now)
	return slices.DeleteFunc(list, func(t store.MirrorTarget) bool {
		if t.Looked.After(before) && !t.Looked.After(now) && !Class(t.LookClass).Transient() || retired(t, k.Orders) != "" {
			return true
		}
		return !ordered(k.Orders, t.GitDir, t.URL) && (t.Auth == unrecorded || t.Added.After(before))
	}), err
}

// audit looks at one target: first for what the ledger does not know to be
// wanted (a push that no hook reported, refs older than the order), which is
// owed from now on, then for what others changed there.
func (k *Keeper) audit(ctx context.Context, t store.MirrorTarget) {
	n := Notice{GitDir: t.GitDir}
	req := k.request(t)
	n.Target = req.Target.Name
	broken, err := k.missed(ctx, t)
	if n.Err = err; n.Err == nil {
		n.Drift, n.Err = k.engine.Audit(ctx, req)
	}
	if n.Err == nil && broken != nil {
		n.Err = &TargetError{Target: n.Target, Class: ClassBroken, Detail: noRedactor.Mask("nothing is deleted there: " + broken.Error()),
			Advice: advice[ClassBroken]}
	}
	if ctx.Err() != nil {
		return
	}
	if n.Err != nil {
		why := &TargetError{Class: ClassLocal, Detail: noRedactor.Mask(n.Err.Error())}
		errors.As(n.Err, &why)
		n.Again = t.LookClass == string(why.Class) || k.refusedFor(ctx, t, why.Class)
		n.Err = errors.Join(n.Err, k.engine.store.Seen(ctx, t.GitDir, t.URL, k.engine.now(), string(why.Class), why.Detail))
	} else if req.Resolve != nil {
		var expires time.Time
		if expires, n.Err = k.engine.Expires(ctx, req); n.Err == nil && !expires.Equal(t.Expires) {
			n.Err = k.engine.store.Ends(ctx, t.GitDir, t.URL, expires)
		}
		if ctx.Err() != nil {
			return
		}
		if endsSoon(expires, k.engine.now()) {
			n.Expires = expires
		}
	}
	if len(n.Drift) > 0 || n.Err != nil || !n.Expires.IsZero() {
		k.Tell(n)
	}
}

// refusedFor reports whether a delivery to the target was refused for a cause,
// which is told of then.
func (k *Keeper) refusedFor(ctx context.Context, t store.MirrorTarget, c Class) bool {
	rows, err := k.engine.rows(ctx, t.GitDir, t.URL)
	for _, row := range rows {
		if err == nil && row.State == store.DeliveryRefused && row.Class == string(c) {
			return true
		}
	}
	return false
}

// warnBefore is how long before its end a credential is told of, at each audit.
const warnBefore = 14 * 24 * time.Hour

func endsSoon(expires, now time.Time) bool {
	return !expires.IsZero() && expires.Sub(now) <= warnBefore
}

// missed owes the refs of standing orders that are not as the ledger wants them.
// broken says which refs cannot be read here.
func (k *Keeper) missed(ctx context.Context, t store.MirrorTarget) (broken, err error) {
	target, orders := k.standing(t.GitDir, t.URL)
	for _, o := range orders {
		seq := event.NewID(k.engine.now())
		var here map[string]string
		if here, broken, err = o.state(ctx, t.GitDir); err != nil { // nothing is deleted for what is missing
			return nil, err
		}
		rows, err := k.engine.rows(ctx, t.GitDir, t.URL)
		if err != nil {
			return nil, err
		}
		var wants []Want
		for _, ref := range slices.Sorted(maps.Keys(here)) {
			row := rows[ref]
			if row.Want != here[ref] || row.Authority != "" && row.State == store.DeliveryRefused { // a pipeline may not, and the order may
				wants = append(wants, Want{ref, here[ref]})
			}
		}
		if len(wants) > 0 {
			if err := k.engine.owe(ctx, t.GitDir, target, wants, seq); err != nil {
				return nil, err
			}
		}
	}
	return broken, nil
}
