package supervise

import (
	"context"
	"fmt"
	"slices"
	"time"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/secret/masked"
	"quire/internal/spool"
	"quire/internal/wall"
)

// Where commands run as quire's user in the machine's own file system (host), they can move
// refs of the repository: a release job tags. No hook reports that, and it is no
// lost push either: a run that tags would make a run that tags. So the refs are
// compared before the first job and after the last process, and what moved is put
// into the spool as what it is, the run's own: the copies follow, and nothing runs.
//
// A mark in the environment and a reference-transaction hook would tell whose move
// it is exactly, at the price of two more processes for each transaction of every
// push, and of a mark that a job can drop. What this cannot tell apart, it takes for
// the run's: a push during the run whose hook was killed. It is mirrored and not
// run, as unreported pushes are without [recover] unreported = "run". A push whose hook
// lives is reported by that, and runs.

// noteRefs remembers where the refs stand, if commands can move them.
func (s *supervision) noteRefs(ctx context.Context) {
	if s.local || s.store == nil {
		return
	}
	if rule, err := wall.Executor(s.cfg, s.run.GitDir); err != nil || rule.Use != "host" {
		return
	}
	refs, err := lookAtRefs(ctx, s.run.GitDir)
	if err != nil {
		return // unknown: then what moves is unreported
	}
	s.mu.Lock()
	s.refsBefore = refs.at
	s.mu.Unlock()
}

// reportOwnMoves puts what the run moved into the spool.
func (s *supervision) reportOwnMoves() {
	s.mu.Lock()
	before := s.refsBefore
	s.mu.Unlock()
	if before == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	push := event.Push{At: time.Now(), GitDir: s.run.GitDir, Pusher: fmt.Sprintf("run %d", s.run.Number), MadeBy: s.run.ID, Unwatched: true}
	push.ID = event.NewID(push.At) // before the refs are read: a push meanwhile is later
	now, err := lookAtRefs(ctx, s.run.GitDir)
	if err == nil {
		push.Updates, err = s.unreported(ctx, event.Moves(before, now.at, now.broken))
	}
	if err == nil && len(push.Updates) > 0 {
		err = spool.Dir(s.cfg.StateDir).Write(push)
	}
	if err != nil {
		s.journal.say(s.journal.report.Warning(masked.Format("the refs that this run moved cannot be told: %s", s.journal.mask(err.Error()))))
		return
	}
	if len(push.Updates) > 0 {
		names := make([]masked.Text, len(push.Updates))
		for i, u := range push.Updates {
			names[i] = s.journal.mask(event.ShortRef(u.Ref))
		}
		s.journal.say(s.journal.report.Progress(masked.Format("moved in the repository by this run, which starts no other: %s", someOf(names))))
	}
}

// unreported leaves out what a hook has reported meanwhile.
func (s *supervision) unreported(ctx context.Context, moves []event.Update) ([]event.Update, error) {
	if len(moves) == 0 {
		return nil, nil
	}
	// In this order: a push goes from the spool into the store.
	waiting := map[event.Update]bool{}
	box := spool.Dir(s.cfg.StateDir)
	names, err := box.List()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p, err := box.Read(name)
		if err != nil || p.GitDir != s.run.GitDir {
			continue
		}
		for _, u := range p.Updates {
			waiting[event.Update{Ref: u.Ref, New: u.New}] = true
		}
	}
	tips, _, err := s.store.Tips(ctx, s.run.GitDir)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(moves, func(u event.Update) bool {
		tip, known := tips[u.Ref]
		return waiting[event.Update{Ref: u.Ref, New: u.New}] || tip == u.New || u.Deletes() && !known
	}), nil
}

// refsNow is where the refs of a repository stand.
type refsNow struct {
	at     map[string]string
	broken map[string]gitrepo.BrokenRef
}

func lookAtRefs(ctx context.Context, gitDir string) (refsNow, error) {
	repo, err := gitrepo.Open(ctx, gitDir)
	if err != nil {
		return refsNow{}, err
	}
	defer repo.Close()
	at, err := repo.Standing()
	broken, readable := gitrepo.Broken(err)
	if !readable {
		return refsNow{}, err
	}
	return refsNow{at, broken}, nil
}
