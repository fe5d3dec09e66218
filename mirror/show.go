package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// Commit statuses wait in the store until the forge has them: a kill loses none,
// and a forge that is down is told later. Only the newest of each job is told.

// statusLife is how long a status waits for its commit to land, or for the forge.
const statusLife = 7 * 24 * time.Hour

// statusTries is how often a status is posted that the forge refuses: it may
// know the commit a moment after git has put it there.
const statusTries = 4

// Report owes statuses of a commit to the forge of every standing order that is
// to show them. They are told as soon as the commit is there.
func (k *Keeper) Report(ctx context.Context, gitDir, oid string, list []CommitStatus) error {
	now := k.engine.now()
	var owed []store.Status
	for _, o := range k.Orders {
		t, ok := o.For(gitDir)
		if !ok || !o.Statuses {
			continue
		}
		for _, s := range list {
			owed = append(owed, store.Status{GitDir: gitDir, URL: t.URL, OID: oid, Context: s.Context,
				State: string(s.State), Description: s.Description, Link: s.URL, At: now})
		}
	}
	if len(owed) == 0 {
		return nil
	}
	if err := k.engine.store.OweStatuses(ctx, owed); err != nil {
		return err
	}
	k.Wake()
	return nil
}

// show tells a target's forge the statuses whose commits are there. Its error is
// what the ledger could not be told.
func (k *Keeper) show(ctx context.Context, gitDir, url string) error {
	err := k.showDue(ctx, gitDir, url)
	if err == nil || ctx.Err() != nil {
		return nil
	}
	t, _ := k.standing(gitDir, url)
	k.Tell(Notice{GitDir: gitDir, Target: t.Name, Err: err})
	var here *unrecordedError
	if errors.As(err, &here) {
		return here
	}
	return nil
}

// unrecordedError is for what the ledger could not be told: it is due still.
type unrecordedError struct{ error }

func (e *unrecordedError) Unwrap() error { return e.error }

func (k *Keeper) showDue(ctx context.Context, gitDir, url string) error {
	st, now := k.engine.store, k.engine.now()
	ready, resting, over, err := k.dueStatuses(ctx, gitDir, url)
	if err == nil {
		err = st.SettleStatuses(ctx, over, resting)
	}
	if err == nil && len(resting) > 0 {
		err = k.stillResting(ctx, gitDir, url, resting)
	}
	if err != nil {
		return &unrecordedError{err}
	}
	if len(ready) == 0 {
		return nil
	}
	t, _ := k.standing(gitDir, url)
	req := Request{GitDir: gitDir, Target: t, Resolve: k.resolver(gitDir, t)}
	f, name, mask, err := k.engine.forgeFor(ctx, req)
	if err != nil {
		err = fmt.Errorf("mirror %s: commit statuses: %w", name, err)
		return errors.Join(err, k.notShown(ctx, ready, mask, err, now))
	}
	for i, s := range ready {
		err := f.setStatus(ctx, s.OID, CommitStatus{Context: s.Context, State: State(s.State), Description: s.Description, URL: s.Link})
		if ctx.Err() != nil {
			return nil // owed still
		}
		if err != nil {
			err = fmt.Errorf("mirror %s: commit status %s: %w", name, s.Context, err)
			// The next would most likely fare alike.
			return errors.Join(err, k.notShown(ctx, ready[i:], mask, err, now))
		}
		event.Reached(event.StepStatusShown)
		if err := st.SettleStatuses(ctx, []store.Status{s}, nil); err != nil {
			return &unrecordedError{err}
		}
	}
	return nil
}

// dueStatuses sorts what a target's forge is to be told: what can be told now,
// what waits for its commit to land, and what has waited too long or belongs to
// no order any more.
func (k *Keeper) dueStatuses(ctx context.Context, gitDir, url string) (ready, resting, over []store.Status, err error) {
	now := k.engine.now()
	_, orders := k.standing(gitDir, url)
	list, err := k.engine.store.Statuses(ctx, gitDir, url)
	if err != nil {
		return nil, nil, nil, err
	}
	rows, err := k.engine.rows(ctx, gitDir, url)
	if err != nil {
		return nil, nil, nil, err
	}
	l := newLanding(ctx, gitDir, slices.Collect(maps.Values(rows)))
	defer l.close()
	for _, s := range list {
		switch {
		case len(orders) == 0 || now.Sub(s.At) > statusLife:
			over = append(over, s)
		case s.NextAt.IsZero() || s.NextAt.After(now):
		case l.there(s.OID):
			ready = append(ready, s)
		default:
			s.NextAt = time.Time{}
			resting = append(resting, s)
		}
	}
	return ready, resting, over, nil
}

// stillResting looks again whether the commits of resting statuses have landed.
// Whoever brought one there meanwhile woke what was resting by then, and these
// were not yet.
func (k *Keeper) stillResting(ctx context.Context, gitDir, url string, list []store.Status) error {
	rows, err := k.engine.rows(ctx, gitDir, url)
	if err != nil {
		return err
	}
	l := newLanding(ctx, gitDir, slices.Collect(maps.Values(rows)))
	defer l.close()
	if slices.ContainsFunc(list, func(s store.Status) bool { return l.there(s.OID) }) {
		return k.engine.store.WakeStatuses(ctx, gitDir, url, k.engine.now())
	}
	return nil
}

// landing tells which commits are at a target: those that its refs were put on,
// and what its branches descend from. While a job runs, its branch may move on.
type landing struct {
	ctx    context.Context
	gitDir string
	at     map[string]bool
	heads  []string // where branches were put, the latest first
	repo   *gitrepo.Repo
	broken bool
}

// fewHeads is how many branches are asked whether they descend from a commit.
const fewHeads = 50

func newLanding(ctx context.Context, gitDir string, rows []store.Delivery) *landing {
	l := &landing{ctx: ctx, gitDir: gitDir, at: map[string]bool{}}
	slices.SortFunc(rows, func(a, b store.Delivery) int { return b.At.Compare(a.At) })
	for _, d := range rows {
		if d.Put == "" {
			continue
		}
		l.at[d.Put] = true
		if strings.HasPrefix(d.Ref, "refs/heads/") && len(l.heads) < fewHeads && !slices.Contains(l.heads, d.Put) {
			l.heads = append(l.heads, d.Put)
		}
	}
	return l
}

func (l *landing) there(oid string) bool {
	if is, known := l.at[oid]; known {
		return is
	}
	if l.repo == nil && !l.broken {
		var err error
		l.repo, err = gitrepo.Open(l.ctx, l.gitDir)
		l.broken = err != nil
	}
	is := !l.broken && slices.ContainsFunc(l.heads, func(tip string) bool {
		yes, err := l.repo.IsAncestor(oid, tip)
		return yes && err == nil
	})
	l.at[oid] = is
	return is
}

func (l *landing) close() {
	if l.repo != nil {
		l.repo.Close()
	}
}

// notShown records that statuses could not be told for a reason: those that may
// be later are tried again, the others are given up.
func (k *Keeper) notShown(ctx context.Context, list []store.Status, mask func(string) masked.Text, cause error, now time.Time) error {
	var over, later []store.Status
	var unfetched *unfetchedError
	passes := transientAPI(cause) || errors.As(cause, &unfetched)
	class := ClassNone
	if isLimited(cause) {
		class = ClassRateLimit
	}
	wish := min(retryAfter(cause), time.Hour) // a clock that is wrong must not wish for years
	for _, s := range list {
		s.Attempts++
		s.Error = mask(strings.Join(strings.Fields(cause.Error()), " "))
		s.NextAt = now.Add(max(k.engine.backoff(s.Attempts, class), wish))
		if passes || s.Attempts < statusTries && status(cause) != 0 {
			later = append(later, s)
		} else {
			over = append(over, s)
		}
	}
	if err := k.engine.store.SettleStatuses(ctx, over, later); err != nil {
		return &unrecordedError{err}
	}
	return nil
}
