package worker

import (
	"context"
	"errors"
	"sync"

	"quire/internal/jobfile"
	"quire/internal/runlog"
)

// tidier removes what runs have left, one thing after the other, beside the
// worker's loop: a job can leave so many files that deleting them takes longer
// than a pusher waits.
type tidier struct {
	ctx    context.Context
	cancel context.CancelFunc
	stir   func() // called when something is done

	mu      sync.Mutex
	todo    []chore
	at      bool // one is under way
	done    []chore
	working sync.WaitGroup
}

// chore is something to remove, and, when it is done, what went wrong.
type chore struct {
	what string
	do   func(context.Context) error
	err  error
}

func newTidier(ctx context.Context, stir func()) *tidier {
	t := &tidier{stir: stir}
	t.ctx, t.cancel = context.WithCancel(ctx)
	return t
}

// add puts something at the end of the list.
func (t *tidier) add(what string, do func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.todo = append(t.todo, chore{what: what, do: do})
	if !t.at {
		t.at = true
		t.working.Go(t.work)
	}
}

func (t *tidier) work() {
	for {
		t.mu.Lock()
		if len(t.todo) == 0 || t.ctx.Err() != nil {
			t.at = false
			t.mu.Unlock()
			t.stir()
			return
		}
		c := t.todo[0]
		t.todo = t.todo[1:]
		t.mu.Unlock()
		c.err = c.do(t.ctx)
		t.mu.Lock()
		t.done = append(t.done, c)
		t.mu.Unlock()
	}
}

// busy reports whether there is something left to do.
func (t *tidier) busy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at
}

// take returns what was done since the last call.
func (t *tidier) take() []chore {
	t.mu.Lock()
	defer t.mu.Unlock()
	done := t.done
	t.done = nil
	return done
}

// stop ends the work, where it is. The next worker, or `quire gc`, goes on.
func (t *tidier) stop() {
	t.cancel()
	t.working.Wait()
}

// removeWorkspace deletes what a run's commands could write to.
func removeWorkspace(ctx context.Context, d runlog.Dir) error {
	return errors.Join(jobfile.Remove(ctx, d.Scratch()), jobfile.Remove(ctx, d.Workspace()))
}
