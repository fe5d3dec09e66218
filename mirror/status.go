package mirror

import (
	"cmp"
	"context"
	"slices"
	"strings"
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
	Checked time.Time   `json:"checked_at,omitzero"` // the last audit that could be made
	Expires time.Time   `json:"credential_expires_at,omitzero"`
	Refs    []RefStatus `json:"refs"`

	// The last audit, if it could not be made, and why. Whether the copy is in step
	// is not known then.
	Unseen    time.Time `json:"look_failed_at,omitzero"`
	LookClass Class     `json:"look_class,omitempty"`
	LookError string    `json:"look_error,omitempty"`

	New     bool   `json:"new,omitempty"`     // the configuration orders it, and nothing was delivered yet
	Retired string `json:"retired,omitempty"` // why it is kept no more

	// Commit statuses that the forge has not been told, and why the last one was not.
	Statuses    int    `json:"statuses_waiting,omitempty"`
	StatusError string `json:"status_error,omitempty"`

	lookAdvice string
	again      Target
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
	Class    Class               `json:"class,omitempty"`  // of the last error
	Error    string              `json:"error,omitempty"`  //
	Advice   string              `json:"advice,omitempty"` // what a person can do, one sentence

	authority string
}

// Advice is what a person can do about what is not in step: one sentence for each
// cause, however many refs have it.
func (s TargetStatus) Advice() []string {
	var out []string
	if s.lookAdvice != "" {
		out = append(out, s.lookAdvice)
	}
	refs := map[Class]int{}
	for _, r := range s.Refs {
		if r.Drift {
			refs[r.Class]++
		}
	}
	for _, r := range s.Refs {
		text := r.Advice
		if !r.Drift || text == "" {
			continue
		}
		if refs[r.Class] > 1 {
			text = r.Class.ofAnyRef(text, event.ShortRef(r.Ref))
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// Drift reports whether the copy is not as it is wanted, or cannot be known to be.
// One that nobody wants any more has no drift.
func (s TargetStatus) Drift() bool {
	if s.Retired != "" {
		return false
	}
	for _, r := range s.Refs {
		if r.Drift {
			return true
		}
	}
	return s.New || s.LookClass != ClassNone
}

// EndsSoon reports whether the credential has ended, or ends within two weeks.
func (s TargetStatus) EndsSoon(now time.Time) bool { return endsSoon(s.Expires, now) }

// Status lists the copies of a repository, or with "" of all, from the ledger
// alone: it asks no remote. orders are the configuration's, of which some may
// have been delivered nowhere yet.
func (e *Engine) Status(ctx context.Context, gitDir string, orders []Order) ([]TargetStatus, error) {
	targets, err := e.store.Targets(ctx, gitDir, "")
	if err != nil {
		return nil, err
	}
	rows, err := e.store.DeliveriesOf(ctx, gitDir)
	if err != nil {
		return nil, err
	}
	waiting, err := e.store.WaitingStatuses(ctx, gitDir)
	if err != nil {
		return nil, err
	}
	now := e.now()
	out := make([]TargetStatus, 0, len(targets))
	// Both are sorted by repository and URL.
	for _, t := range targets {
		s := TargetStatus{GitDir: t.GitDir, Target: t.Name, URL: t.URL, Secret: t.Secret, Checked: t.Checked, Expires: t.Expires, again: recorded(t)}
		if s.Retired = retired(t, orders); t.LookClass != "" {
			s.Unseen, s.LookClass, s.LookError = t.Looked, Class(t.LookClass), t.LookError.String()
			s.lookAdvice = adviceFor(t, s.LookClass, "the refs")
		}
		of := ordersOf(orders, t.GitDir, t.URL)
		if w, ok := waiting[[2]string{t.GitDir, t.URL}]; ok {
			s.Statuses, s.StatusError = w.N, w.Error.String()
		}
		for len(rows) > 0 && rows[0].GitDir == t.GitDir && rows[0].URL == t.URL {
			r := refStatus(rows[0], now)
			if r.authority == "" && len(of) > 0 && !taken(of, r.Ref) {
				r.Drift, r.Lag = false, 0 // it stays there as it is
			}
			if r.Class != ClassNone {
				r.Advice = adviceFor(t, r.Class, event.ShortRef(r.Ref))
			}
			s.Refs = append(s.Refs, r)
			rows = rows[1:]
		}
		// Known since the order was read, and not come to.
		s.New = len(s.Refs) == 0 && s.Checked.IsZero()
		out = append(out, s)
	}
	missing, err := e.unknown(ctx, orders, gitDir)
	if err != nil {
		return nil, err
	}
	for _, m := range missing {
		t := m.target
		out = append(out, TargetStatus{GitDir: m.gitDir, Target: t.Name, URL: t.URL, Secret: t.Secret, New: true, again: t})
	}
	slices.SortStableFunc(out, func(a, b TargetStatus) int {
		return cmp.Or(strings.Compare(a.GitDir, b.GitDir), strings.Compare(a.URL, b.URL))
	})
	return out, nil
}

func adviceFor(t store.MirrorTarget, c Class, ref string) string {
	to, err := parseRemote(t.URL)
	if err != nil {
		return advice[ClassBadTarget]
	}
	return c.advice(to, t.Name, t.Secret, ref)
}

// recorded is a target as the ledger has it.
func recorded(t store.MirrorTarget) Target {
	return Target{Name: t.Name, URL: t.URL, Secret: t.Secret, Force: t.Force, Delete: t.Delete, RetryFor: t.RetryFor, Forge: t.Forge, API: t.API,
		Asked: t.Asked, Auth: t.Auth}
}

func refStatus(d store.Delivery, now time.Time) RefStatus {
	r := RefStatus{Ref: d.Ref, Want: d.Want, There: d.Put, State: d.State, Attempts: d.Attempts, NextAt: d.NextAt,
		Class: Class(d.Class), Error: d.Error.String(), authority: d.Authority}
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

// Retry is what is not in step at a target, on one pipeline's behalf.
type Retry struct {
	Target Target
	Wants  []Want
}

// Retries are what pipelines asked for at the target and is not in step, for other
// deliveries of it.
func (s TargetStatus) Retries() []Retry {
	var out []Retry
	for _, r := range s.Refs {
		if !r.Drift || r.authority == "" {
			continue
		}
		t := s.again.under(r.authority)
		i := slices.IndexFunc(out, func(x Retry) bool { return x.Target == t })
		if i < 0 {
			i = len(out)
			out = append(out, Retry{Target: t})
		}
		out[i].Wants = append(out[i].Wants, Want{r.Ref, r.Want})
	}
	return out
}
