package mirror

import (
	"context"
	"time"

	"quire/internal/event"
	"quire/internal/store"
)

// TargetStatus is what the ledger knows of one copy.
type TargetStatus struct {
	GitDir  string      `json:"git_dir"`
	Target  string      `json:"target"`
	URL     string      `json:"url"`
	Secret  string      `json:"secret,omitempty"`
	Checked time.Time   `json:"checked_at,omitzero"` // the last audit
	Expires time.Time   `json:"credential_expires_at,omitzero"`
	Refs    []RefStatus `json:"refs"`

	again Target
}

// RefStatus is one ref of it.
type RefStatus struct {
	Ref      string              `json:"ref"`
	Want     string              `json:"want"`     // all zeros: to be deleted
	There    string              `json:"there"`    // last known
	State    store.DeliveryState `json:"state"`    //
	Drift    bool                `json:"drift"`    // not as wanted
	Lag      time.Duration       `json:"lag_ns"`   // since it was wanted, while it is not there
	Attempts int                 `json:"attempts"` //
	NextAt   time.Time           `json:"next_at,omitzero"`
	Class    Class               `json:"class,omitempty"` // of the last error
	Error    string              `json:"error,omitempty"` //
}

// Drift reports whether any ref is not as it is wanted.
func (s TargetStatus) Drift() bool {
	for _, r := range s.Refs {
		if r.Drift {
			return true
		}
	}
	return false
}

// Status lists the copies of a repository, or with "" of all, from the ledger
// alone: it asks no remote.
func (e *Engine) Status(ctx context.Context, gitDir string) ([]TargetStatus, error) {
	targets, err := e.store.Targets(ctx, gitDir, "")
	if err != nil {
		return nil, err
	}
	rows, err := e.store.DeliveriesOf(ctx, gitDir)
	if err != nil {
		return nil, err
	}
	now := e.now()
	out := make([]TargetStatus, 0, len(targets))
	// Both are sorted by repository and URL.
	for _, t := range targets {
		s := TargetStatus{GitDir: t.GitDir, Target: t.Name, URL: t.URL, Secret: t.Secret, Checked: t.Checked, Expires: t.Expires, again: recorded(t)}
		for len(rows) > 0 && rows[0].GitDir == t.GitDir && rows[0].URL == t.URL {
			s.Refs = append(s.Refs, refStatus(rows[0], now))
			rows = rows[1:]
		}
		out = append(out, s)
	}
	return out, nil
}

// recorded is a target as the ledger has it.
func recorded(t store.MirrorTarget) Target {
	return Target{Name: t.Name, URL: t.URL, Secret: t.Secret, Force: t.Force, Delete: t.Delete, RetryFor: t.RetryFor, Forge: t.Forge, API: t.API}
}

func refStatus(d store.Delivery, now time.Time) RefStatus {
	r := RefStatus{Ref: d.Ref, Want: d.Want, There: d.Put, State: d.State, Attempts: d.Attempts, NextAt: d.NextAt,
		Class: Class(d.Class), Error: d.Error}
	switch {
	case d.State == store.DeliveryDiverged:
		r.There = d.There
		r.Drift = true
	case d.State == store.DeliveryRefused:
		r.Drift = r.Class != ClassForeign // kept there on purpose
	case d.State.Open():
		r.Drift = true
	}
	if r.Drift {
		r.Lag = now.Sub(d.Since)
	}
	if event.IsZero(d.Want) && d.State == store.DeliveryGone {
		r.There = ""
	}
	return r
}

// Again is the target as it was recorded, for another delivery.
func (s TargetStatus) Again() Target { return s.again }
