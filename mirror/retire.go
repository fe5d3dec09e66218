package mirror

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"quire/internal/gitrepo"
	"quire/internal/runner"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// A target that nobody asks for any more is not pushed to and not looked at. The
// ledger keeps it, with its leases, until somebody asks again or forgets it.

// retired is why a target is to be kept no more, "" if it is: its order is gone
// from the configuration, and no pipeline ever asked; or its repository is gone.
func retired(t store.MirrorTarget, orders []Order) (why string) {
	switch other := otherRunner(t.GitDir); {
	case gitrepo.Gone(t.GitDir):
		return absent
	case other != nil:
		return other.Error()
	case !t.Asked && !ordered(orders, t.GitDir, t.URL):
		return unordered
	}
	return ""
}

// absent is why nothing is delivered of a repository that was deleted, renamed, or
// is not mounted yet. What it owed is owed again when it is back.
const absent = "the repository is not there any more"

// unretire owes again what was retired because its repository was not there, and
// is back. It reports whether there was something.
func (e *Engine) unretire(ctx context.Context) (found bool, err error) {
	rows, err := e.store.RefusedFor(ctx, string(ClassRetired), absent)
	if err != nil {
		return false, err
	}
	gone := map[string]bool{}
	rows = slices.DeleteFunc(rows, func(d store.Delivery) bool {
		is, known := gone[d.GitDir]
		if !known {
			is = gitrepo.Gone(d.GitDir)
			gone[d.GitDir] = is
		}
		return is
	})
	for i := range rows {
		d := &rows[i]
		d.State, d.Class, d.Error, d.At, d.NextAt = store.DeliveryWaiting, "", masked.Text{}, e.now(), e.now()
	}
	return len(rows) > 0, e.store.Settle(ctx, rows)
}

// otherRunner is the error of a repository whose mirrors another user's worker
// pushes; nil if they are this one's.
func otherRunner(gitDir string) *runner.OtherError {
	var other *runner.OtherError
	errors.As(runner.Check(gitDir), &other)
	return other
}

// unordered is why the operator's own deliveries to a target are made no more,
// though a pipeline asks for it still.
const unordered = "no [[mirror]] in the configuration asks for it any more"

// retire ends what is owed at a target, on that behalf, for a reason of retired.
// What was put there stays there and in the ledger.
func (e *Engine) retire(ctx context.Context, t store.DueTarget, why string) error {
	rows, err := e.store.Deliveries(ctx, t.GitDir, t.URL, nil)
	if err != nil {
		return err
	}
	maps.DeleteFunc(rows, func(_ string, d store.Delivery) bool { return d.Authority != t.Authority })
	for ref, d := range rows {
		d.State, d.Class, d.Error, d.At, d.NextAt = store.DeliveryRefused, string(ClassRetired), noRedactor.Mask(why), e.now(), time.Time{}
		rows[ref] = d
	}
	return e.store.Settle(ctx, slices.Collect(maps.Values(rows)))
}

// excluded is why a ref that was owed is not delivered any more: the operator took
// it out of the mirror, as the hint of a refusal says.
const excluded = "no [[mirror]] in the configuration takes this ref any more"

// exclude ends what is owed at a target, by the operator's own orders, of refs that
// they do not take any more. left is how many refs are owed still.
func (e *Engine) exclude(ctx context.Context, gitDir, url string, takes func(ref string) bool) (left int, err error) {
	rows, err := e.store.Deliveries(ctx, gitDir, url, nil)
	if err != nil {
		return 0, err
	}
	var out []store.Delivery
	for _, d := range rows {
		if d.Authority != "" {
			continue
		}
		if takes(d.Ref) {
			left++
			continue
		}
		d.State, d.Class, d.Error, d.At, d.NextAt = store.DeliveryRefused, string(ClassRetired), noRedactor.Mask(excluded), e.now(), time.Time{}
		out = append(out, d)
	}
	return left, e.store.Settle(ctx, out)
}

// Forget takes a target of a repository out of the ledger, with its leases. It
// reports whether there was one; nothing is changed at the target.
func (e *Engine) Forget(ctx context.Context, gitDir, url string) (found bool, err error) {
	to, err := parseRemote(url)
	if err != nil {
		return false, err
	}
	unlock, _, err := (&delivery{Engine: e, to: to}).lock(ctx, true)
	if err != nil {
		return false, err
	}
	defer unlock()
	return e.store.ForgetTarget(ctx, gitDir, to.url)
}
