package worker

import (
	"fmt"
	"time"

	"quire/internal/event"
	"quire/internal/gitrepo"
)

// A repository that is not there may be back soon: its file system is not mounted
// yet, somebody renamed it for a moment. Its pushes are parked, outside of what
// keeps a worker busy, until it is back.

// AbsentLimit is how long after a push its repository may be away.
const AbsentLimit = 30 * 24 * time.Hour

// returnEvery is how often a worker looks whether a repository is back.
const returnEvery = 10 * time.Second

// awaited reports whether a push is to wait for its repository.
func awaited(p event.Push) bool {
	return gitrepo.Gone(p.GitDir) && time.Since(p.At) < AbsentLimit
}

// park puts a push away until its repository is back.
func (w *worker) park(p event.Push) error {
	w.Log.Warn("a push waits until its repository is there again", "push", p.ID, "repository", p.GitDir)
	return w.spool.Park(p.ID)
}

// returnParked puts the pushes of repositories that are back, or that are away for too
// long, into the spool.
func (w *worker) returnParked() {
	if time.Since(w.returnedAt) < returnEvery {
		return
	}
	w.returnedAt = time.Now()
	names, err := w.spool.Parked()
	if err != nil {
		w.tell("look for pushes whose repository was not there", err)
		return
	}
	for _, name := range names {
		p, err := w.spool.ReadParked(name)
		if err == nil && awaited(p) {
			continue
		}
		// One that cannot be read is told of when it is taken.
		if err := w.spool.Return(name); err != nil {
			w.tell("take push "+name, fmt.Errorf("its repository is back: %w", err))
		}
	}
}
