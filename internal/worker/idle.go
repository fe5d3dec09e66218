package worker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/store"
)

// idle is what the worker does when it has nothing to do: look for what others
// left undone. It reports whether there is work now.
func (w *worker) idle(ctx context.Context) bool {
	if !w.settledOld {
		w.settledOld = true
		w.settleOld(ctx)
	}
	// In this order: a ref that was moved by a push which is still in a drop
	// directory was not moved behind our back.
	if w.takeDropped(ctx) || w.recover(ctx) {
		return true
	}
	w.collect(ctx)
	return false
}

// recent is how many runs settleOld looks at. A run's files are completed
// moments after its row; older ones were looked at by earlier workers.
const recent = 300

// settleOld completes what a kill left half done. A supervisor removes the file
// of its lock last of all, so one that is there and not held stands for a run
// that is not wholly over; runs that never had a supervisor are found by their
// missing outcome.
func (w *worker) settleOld(ctx context.Context) {
	locks, err := filepath.Glob(filepath.Join(w.cfg.StateDir, "locks", "run-*.lock"))
	w.tell("look for unfinished runs", err)
	for _, name := range locks {
		id := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "run-"), ".lock")
		if !event.ValidID(id) || w.children[id] != nil {
			continue
		}
		if _, err := w.settle(ctx, id); !errors.Is(err, store.ErrHeld) {
			w.tell("settle run "+id, err)
		}
	}
	for _, id := range w.attempts.started() { // by a worker that did not see how it went on
		if r, err := w.store.Run(ctx, id); err == nil && r.State != event.RunQueued || errors.Is(err, store.ErrNone) {
			w.attempts.forget(workStart, id)
		}
	}
	runs, err := w.store.Runs(ctx, store.Filter{Limit: recent})
	w.tell("look for runs without outcome", err)
	for _, r := range runs {
		w.tell("end run "+r.ID, Conclude(ctx, w.cfg, w.store, r))
		w.removeOldWorkspace(r)
	}
}

// removeOldWorkspace deletes what a run has left that is over, when a worker died
// before it had deleted that. While the file of the run's lock is there, its
// supervisor or settle sees to it.
func (w *worker) removeOldWorkspace(r event.Run) {
	if !r.State.Final() {
		return
	}
	there := func(path string) bool { _, err := os.Lstat(path); return err == nil }
	if there(store.RunLockPath(w.cfg.StateDir, r.ID)) {
		return
	}
	d := runlog.RunDir(w.cfg.StateDir, r.ID)
	if there(d.Scratch()) || there(d.Workspace()) && !keepsWorkspace(w.cfg, r) {
		w.removeWorkspace(r)
	}
}
