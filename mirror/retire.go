package mirror

import (
	"context"
	"maps"
	"slices"
	"time"

	"quire/internal/store"
)

// A target that nobody asks for any more is not pushed to and not looked at. The
// ledger keeps it, with its leases, until somebody asks again or forgets it.

// retired reports whether nobody asks for a target any more: its order is gone
// from the configuration, and no pipeline ever asked.
func (k *Keeper) retired(t store.MirrorTarget) bool {
	return !t.Asked && !ordered(k.Orders, t.GitDir, t.URL)
}

// retire ends what is owed at a target that nobody asks for any more. What was
// put there stays there and in the ledger.
func (e *Engine) retire(ctx context.Context, t store.MirrorTarget) error {
	rows, err := e.store.Deliveries(ctx, t.GitDir, t.URL, nil)
	if err != nil {
		return err
	}
	for ref, d := range rows {
		d.State, d.Class, d.Error, d.At, d.NextAt = store.DeliveryRefused, string(ClassRetired), "no [[mirror]] in the configuration asks for it any more", e.now(), time.Time{}
		rows[ref] = d
	}
	return e.store.Settle(ctx, slices.Collect(maps.Values(rows)))
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
