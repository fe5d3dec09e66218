package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/runner"
	"quire/internal/spool"
)

// move is a ref that is not where it was.
type move struct{ gitDir, ref, oid string }

// patience is how long a move without a report is believed to be still on its
// way although a push to the repository seems to be going on all the time.
const patience = 10 * time.Minute

// recover finds pushes that git accepted and nobody reported: the hook was
// killed between the two, or had no disk to write to. What pre-receive announced
// is settled exactly; otherwise the refs are compared with where they were when
// last known. It reports whether it put something into the spool.
func (w *worker) recover(ctx context.Context) (found bool) {
	w.undecided = false
	if w.Hooked == nil {
		return false
	}
	if w.settleIntents(ctx) {
		found = true
	}
	repos, err := w.store.Repositories(ctx)
	if err != nil {
		w.tell("look for unreported pushes", err)
		return found
	}
	for _, gitDir := range repos {
		if ctx.Err() != nil || runner.Check(gitDir) != nil || !w.Hooked(gitDir) {
			continue
		}
		if w.attempts.stopped(gitDir) {
			continue // it was told then, and doctor tells
		}
		if w.attempts.deaths(workRecover, gitDir) >= maxDeaths {
			w.tell("look for unreported pushes to "+gitDir, fmt.Errorf("%w (by removing %s)", errSetAside, w.attempts.file(workRecover, gitDir)))
			continue
		}
		note, err := w.attempts.begin(workRecover, gitDir)
		if err != nil {
			w.tell("look for unreported pushes to "+gitDir, err)
			continue
		}
		got, err := w.recoverIn(ctx, gitDir)
		note.done()
		w.tell("look for unreported pushes to "+gitDir, err)
		found = found || got
	}
	return found
}

// recoverIn compares one repository with what is known of it. The order
// matters: refs first, then whether a push is going on, then the spool; a hook
// that ended in between has written there.
func (w *worker) recoverIn(ctx context.Context, gitDir string) (found bool, err error) {
	tips, known, err := w.store.Tips(ctx, gitDir)
	if err != nil {
		return false, err
	}
	repo, err := gitrepo.Open(ctx, gitDir)
	if err != nil {
		if gitrepo.Gone(gitDir) {
			return false, nil
		}
		return false, err
	}
	defer repo.Close()
	push := event.Push{At: time.Now(), GitDir: gitDir, Pusher: "unknown", Recovered: true, MadeBy: event.MadeByNobody}
	push.ID = event.NewID(push.At) // before the refs are read: a push meanwhile is later
	there, err := repo.Standing()
	broken, readable := gitrepo.Broken(err)
	if !readable {
		return false, err
	}
	w.tell("read the refs of "+gitDir, err)
	if !known {
		return false, w.store.Survey(ctx, gitDir, there)
	}
	push.Updates = w.notQueued(gitDir, tips, event.Moves(tips, there, broken))
	if len(push.Updates) == 0 {
		return false, nil
	}
	if pushing(gitDir) && !w.long(push) || w.reported(gitDir) {
		w.undecided = true
		return false, nil
	}
	log := w.Log.With("repository", gitDir, "refs", some(refsIn(push.Updates)))
	switch w.cfg.Recover.Unreported {
	case config.UnreportedIgnore:
		log.Warn("refs moved and nobody reported a push; [recover] unreported is ignore")
		return false, w.store.Survey(ctx, gitDir, movedTo(push.Updates))
	case config.UnreportedRun:
		log.Warn("refs moved and nobody reported the push: it is taken as one")
		if stopped, err := w.tooManyOwnRuns(ctx, gitDir); stopped || err != nil {
			return false, err
		}
	default:
		log.Warn("refs moved and nobody reported a push: they are mirrored and not run; [recover] unreported is mirror")
	}
	for _, u := range push.Updates {
		w.queued[queuedMove{gitDir, u}] = true
	}
	return true, w.spool.Write(push)
}

// queuedMove is a move that this worker has put into the spool.
type queuedMove struct {
	gitDir string
	event.Update
}

// notQueued leaves out the moves that this worker has put into the spool already,
// and that are still not known: whatever keeps them from becoming known, no
// move is taken for two pushes.
func (w *worker) notQueued(gitDir string, tips map[string]string, moves []event.Update) []event.Update {
	for m := range w.queued {
		if m.gitDir == gitDir && (tips[m.Ref] == m.New || m.Deletes() && tips[m.Ref] == "") {
			delete(w.queued, m)
		}
	}
	return slices.DeleteFunc(moves, func(u event.Update) bool { return w.queued[queuedMove{gitDir, u}] })
}

func refsIn(updates []event.Update) []string {
	out := make([]string, len(updates))
	for i, u := range updates {
		out[i] = u.Ref
	}
	return out
}

// movedTo is where updates lead, as Survey takes it.
func movedTo(updates []event.Update) map[string]string {
	out := map[string]string{}
	for _, u := range updates {
		if out[u.Ref] = u.New; u.Deletes() {
			out[u.Ref] = ""
		}
	}
	return out
}

// long reports whether all of these moves have been seen for so long that
// whoever made them will not report them any more.
func (w *worker) long(p event.Push) bool {
	all := true
	for _, u := range p.Updates {
		m := move{p.GitDir, u.Ref, u.New}
		if w.moved[m].IsZero() {
			w.moved[m] = time.Now()
		}
		all = all && time.Since(w.moved[m]) > patience
	}
	return all
}

// reported reports whether something about the repository waits in the spool.
func (w *worker) reported(gitDir string) bool {
	for _, part := range []struct {
		list func() ([]string, error)
		read func(string) (event.Push, error)
	}{{w.spool.List, w.spool.Read}, {w.spool.Intents, w.spool.ReadIntent}} {
		names, err := part.list()
		if err != nil {
			return true
		}
		for _, name := range names {
			p, err := part.read(name)
			if errors.Is(err, spool.ErrTorn) {
				continue
			}
			if err != nil || p.GitDir == gitDir {
				return true
			}
		}
	}
	return false
}
