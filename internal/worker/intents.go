package worker

import (
	"context"
	"errors"
	"time"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/spool"
)

// settleIntents turns what pre-receive announced, and no post-receive took up,
// into pushes of those refs that did move.
func (w *worker) settleIntents(ctx context.Context) (found bool) {
	names, err := w.spool.Intents()
	if err != nil {
		w.tell("look for announced pushes", err)
		return false
	}
	for _, name := range names {
		p, err := w.spool.ReadIntent(name)
		if errors.Is(err, spool.ErrTorn) {
			w.tell("clear announced push", w.spool.Forget(name))
			continue
		}
		if err != nil || pushing(p.GitDir) && time.Since(p.At) < patience {
			w.undecided = true
			continue
		}
		got, err := w.settleIntent(ctx, p)
		w.tell("settle announced push "+name, err)
		found = found || got
	}
	return found
}

func (w *worker) settleIntent(ctx context.Context, p event.Push) (bool, error) {
	repo, err := gitrepo.Open(ctx, p.GitDir)
	if err != nil {
		if awaited(p) {
			return false, nil
		}
		if gitrepo.Gone(p.GitDir) {
			return false, w.spool.Forget(p.ID)
		}
		return false, err
	}
	defer repo.Close()
	var did []event.Update
	for _, u := range p.Updates {
		oid, there, err := repo.ResolveRef(u.Ref)
		if err != nil {
			return false, err
		}
		if there && oid == u.New || !there && u.Deletes() {
			did = append(did, u)
		}
	}
	if len(did) == 0 {
		return false, w.spool.Forget(p.ID) // git refused it
	}
	p.Updates, p.Recovered = did, true
	return true, w.spool.Fulfil(p)
}
