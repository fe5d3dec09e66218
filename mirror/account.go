package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"quire/internal/event"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// Account tells from the ledger what became of a push's refs at a target. settled
// reports whether that is all there is to say for now: each has arrived, or is
// refused, or has failed twice and is tried again later.
func (k *Keeper) Account(ctx context.Context, p event.Push, t Target, refs []string) (rep Report, settled bool, err error) {
	if now, orders := k.standing(p.GitDir, t.URL); len(orders) > 0 {
		t.Secret = now.Secret
	}
	var wants []Want
	for _, u := range p.Updates {
		if slices.Contains(refs, u.Ref) {
			wants = append(wants, Want{u.Ref, u.New})
		}
	}
	rep = Report{Target: t.Name, URL: withoutPassword(t.URL)}
	to, err := parseRemote(t.URL)
	if err != nil {
		for _, w := range wants {
			rep.Results = append(rep.Results, Result{Ref: w.Ref, OID: w.OID, Status: Refused, Class: ClassBadTarget,
				Detail: noRedactor.Mask(err.Error()), Advice: advice[ClassBadTarget]})
		}
		return rep, true, nil
	}
	known, err := k.engine.store.Deliveries(ctx, p.GitDir, to.url, refs)
	if err != nil {
		return rep, false, err
	}
	settled = true
	for _, w := range wants {
		row, ok := known[w.Ref]
		r := fromLedger(row, w)
		switch {
		case !ok: // forgotten meanwhile
			r = Result{Ref: w.Ref, OID: w.OID, Status: Refused, Class: ClassRetired, Detail: masked.Const("the target was forgotten")}
		case row.Seq > p.ID && row.Want != w.OID:
			r = Result{Ref: w.Ref, OID: row.Want, Status: Superseded}
		case row.State == store.DeliveryPushing, row.State == store.DeliveryWaiting && row.Attempts < 2 && Class(row.Class) != ClassRateLimit:
			settled = false
		}
		r.Advice = r.Class.advice(to, rep.Target, t.Secret, event.ShortRef(w.Ref))
		rep.Results = append(rep.Results, r)
	}
	return rep, settled, nil
}

// Line is a line of what a pusher is told of a mirror. Kind is "error",
// "warning", "hint", or "" for what went as it should.
type Line struct{ Kind, Text string }

// fewNamed refs of a push are named one by one, with where they are now.
const fewNamed = 4

// Lines are the report for a pusher, in few lines: what is there in one, and one
// for each cause that keeps something away, with what to do.
func (r Report) Lines() []Line {
	var there []string
	more := 0
	var out []Line
	for _, g := range r.groups() {
		if g.Status.Good() && g.Status != Kept {
			for _, ref := range g.refs {
				if len(there) == fewNamed {
					more++
					continue
				}
				there = append(there, arrow(ref, g.Result))
			}
			continue
		}
		line := Line{"error", fmt.Sprintf("mirror %s: %s %s", r.Target, g.names(fewNamed), g.sentence())}
		switch {
		case g.Status == Kept:
			line.Kind = "warning"
		case g.Status == Pending && g.Class == ClassNone:
			line = Line{"warning", fmt.Sprintf("mirror %s: %s is still under way", r.Target, g.names(fewNamed))}
		case g.Status == Pending:
			line.Kind = "warning"
			line.Text += "; it is tried again"
			if !g.NextAt.IsZero() {
				line.Text += " at " + g.NextAt.Local().Format("15:04:05")
			}
		}
		out = append(out, line)
		if g.Advice != "" && !g.Class.passes() {
			out = append(out, Line{"hint", g.Advice})
		}
	}
	if more > 0 {
		there = append(there, fmt.Sprintf("and %d more", more))
	}
	if len(there) > 0 {
		out = append([]Line{{"", "mirror " + r.Target + "  " + strings.Join(there, ", ")}}, out...)
	}
	return out
}

// arrow is what became of a ref that is as it should be.
func arrow(ref string, r Result) string {
	name := event.ShortRef(ref)
	switch r.Status {
	case Deleted:
		return name + " deleted"
	case Superseded:
		return name + " superseded by a later push"
	}
	return name + " -> " + event.ShortOID(r.OID)
}
