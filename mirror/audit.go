package mirror

import (
	"context"
	"sort"
	"time"

	"quire/internal/event"
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
// was diverged and is as wanted again is recorded as landed.
//
// An error of the target (it is down, the credential expired) comes back as one
// that says so in a sentence; it changes nothing in the ledger.
func (e *Engine) Audit(ctx context.Context, req Request) ([]Drift, error) {
	to, err := parseRemote(req.Target.URL)
	if err != nil {
		return nil, &TargetError{Target: withoutPassword(req.Target.URL), Class: ClassBadTarget, Detail: err.Error(), Advice: advice[ClassBadTarget]}
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
		switch {
		case row.State == store.DeliveryLanded && is != row.Put:
			drifts = append(drifts, Drift{row.Ref, row.Put, is})
			row.State, row.There, row.Class, row.At = store.DeliveryDiverged, is, string(ClassDiverged), now
			row.Error = "somebody else moved it to " + event.ShortOID(is) + "; left alone"
			if is == "" {
				row.Error = "somebody else deleted it"
			}
			settled = append(settled, row)
		case row.State == store.DeliveryDiverged && is == row.Want:
			row.State, row.Put, row.There, row.Class, row.Error, row.At = store.DeliveryLanded, is, "", "", "", now
			settled = append(settled, row)
		}
	}
	sort.Slice(drifts, func(i, j int) bool { return drifts[i].Ref < drifts[j].Ref })
	if err := e.store.Settle(ctx, settled); err != nil {
		return nil, err
	}
	return drifts, e.store.NoteTarget(ctx, req.GitDir, to.url, now, time.Time{})
}

// TargetError is a target that could not be read.
type TargetError struct {
	Target, Detail, Advice string
	Class                  Class
}

func (e *TargetError) Error() string {
	return "mirror " + e.Target + ": " + string(e.Class) + ": " + e.Detail + ". " + e.Advice
}
