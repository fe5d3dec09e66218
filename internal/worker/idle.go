package worker

import (
	"context"

	"quire/internal/store"
)

// idle is what the worker does when it has nothing to do: look for what others
// left undone. It reports whether there is work now.
func (w *worker) idle(ctx context.Context) bool {
	if !w.settledOld {
		w.settledOld = true
		w.settleOld(ctx)
	}
	if w.recover(ctx) {
		return true
	}
	w.collect(ctx)
	return false
}

// recent is how many runs settleOld looks at. A run's files are completed
// moments after its row; older ones were looked at by earlier workers.
const recent = 300

// settleOld completes the files of runs that were over in the store before a
// kill kept their files from saying so.
func (w *worker) settleOld(ctx context.Context) {
	runs, err := w.store.Runs(ctx, store.Filter{Limit: recent})
	if err != nil {
		w.tell("look for runs without outcome", err)
		return
	}
	for _, r := range runs {
		w.tell("end run "+r.ID, Conclude(ctx, w.cfg, w.store, r))
	}
}
