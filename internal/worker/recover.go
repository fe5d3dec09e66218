package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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
	there, err := refsAt(repo)
	if err != nil {
		return false, err
	}
	if !known {
		return false, w.store.Survey(ctx, gitDir, there)
	}
	push := event.Push{At: time.Now(), GitDir: gitDir, Pusher: "unknown", Recovered: true}
	for ref, oid := range there {
		if tips[ref] == oid {
			continue
		}
		old := tips[ref]
		if old == "" {
			old = strings.Repeat("0", len(oid))
		}
		push.Updates = append(push.Updates, event.Update{Old: old, New: oid, Ref: ref})
	}
	gone := map[string]string{}
	for ref := range tips {
		if there[ref] == "" {
			gone[ref] = ""
		}
	}
	if len(push.Updates) == 0 && len(gone) == 0 {
		return false, nil
	}
	if pushing(gitDir) && !w.long(push) || w.reported(gitDir) {
		w.undecided = true
		return false, nil
	}
	if len(gone) > 0 {
		// A deletion makes no run: that it is known is all there is to do.
		if err := w.store.Survey(ctx, gitDir, gone); err != nil {
			return false, err
		}
	}
	if len(push.Updates) == 0 {
		return false, nil
	}
	push.ID = event.NewID(push.At)
	w.Log.Warn("refs moved and nobody reported the push", "repository", gitDir, "refs", len(push.Updates))
	return true, w.spool.Write(push)
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

// refsAt is where a repository's branches and tags stand.
func refsAt(repo *gitrepo.Repo) (map[string]string, error) {
	out := map[string]string{}
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		refs, err := repo.Refs(prefix)
		if err != nil {
			return nil, err
		}
		for _, r := range refs {
			out[r.Name] = r.OID
		}
	}
	return out, nil
}
