package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/runlog"
	"quire/internal/store"
)

// pipelineFile is what a commit must hold for its push to have a run.
const pipelineFile = ".quire/ci.fnl"

// plan is which runs a push gets, and what its pusher must be told besides.
type plan struct {
	runs  []store.Planned
	notes []string
}

func (p *plan) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// plan decides: a run for each updated branch or tag whose commit holds the
// pipeline file, the default branch first, and no more than the limit. An error
// means that it cannot be said now, and that the push stays in the spool.
func (w *worker) plan(ctx context.Context, p event.Push) (plan, error) {
	var out plan
	var wanted []event.Update
	for _, u := range p.Updates {
		if !u.Deletes() && (u.Branch() != "" || u.Tag() != "") {
			wanted = append(wanted, u)
		}
	}
	if len(wanted) == 0 {
		return out, nil
	}
	if p.MadeBy == event.MadeByNobody && w.cfg.Recover.Unreported != config.UnreportedRun {
		out.note("no run: found moved without a report of a push, and [recover] unreported is %s: %s", w.cfg.Recover.Unreported, some(refsIn(wanted)))
	}
	if p.MadeBy != "" && (p.MadeBy != event.MadeByNobody || w.cfg.Recover.Unreported != config.UnreportedRun) {
		return out, nil // what a run moved makes no run
	}
	// What was wrong with the options, the hook has said.
	if options, _ := event.ParseOptions(p.Options); options.Skip {
		out.note("no run: the push said ci.skip")
		return out, nil
	}
	repo, err := gitrepo.Open(ctx, p.GitDir)
	if err != nil {
		if gitrepo.Gone(p.GitDir) {
			out.note("error: no run: the repository %s is not there any more", p.GitDir)
			return out, nil
		}
		return out, err
	}
	defer repo.Close()
	if len(wanted) > 1 {
		first, err := repo.DefaultBranch()
		if err == nil {
			wanted = defaultFirst(wanted, first)
		}
	}
	covered, err := w.coveredBy(ctx, p)
	if err != nil {
		return out, err
	}
	if p.Recovered {
		if wanted, err = w.stillUnreported(ctx, p.GitDir, wanted); err != nil {
			return out, err
		}
	}
	var plain, over []string
	for _, u := range wanted {
		if r, ok := covered[ran{u.Ref, u.New}]; ok {
			out.note("%s is run %d already: quire had found the ref moved before its push was reported", runlog.Plain(event.ShortRef(u.Ref)), r.Number)
			continue
		}
		has, err := hasPipeline(repo, u.New)
		if err != nil && gitrepo.Gone(p.GitDir) {
			return out, err
		}
		switch {
		case !has:
			plain = append(plain, u.Ref)
		case len(out.runs) == w.cfg.MaxRunsPerPush:
			over = append(over, u.Ref)
		default:
			out.runs = append(out.runs, store.Planned{ID: event.NewID(time.Now()), Update: u, Name: refName(u.Ref)})
		}
	}
	if p.Recovered && len(out.runs) > 0 {
		out.note("warning: found moved without a report of the push (its hook was killed, or had no disk): %s", some(refsOf(out.runs)))
	}
	switch {
	case len(w.mirrors.Shares(p)) > 0 && len(out.runs) == 0:
		// A repository that is only mirrored: that it has no pipeline is no news.
	case len(plain) > 0 && len(plain) < 4:
		out.note("no run for %s: no %s there", some(plain), pipelineFile)
	case len(plain) > 0:
		out.note("no run for %d refs (%s): no %s there", len(plain), some(plain), pipelineFile)
	}
	if len(over) > 0 {
		out.note("warning: %d more refs were not run, since max_runs_per_push is %d: %s", len(over), w.cfg.MaxRunsPerPush, some(over))
	}
	return out, nil
}

// hasPipeline reports whether a push to oid has something to run. What cannot
// be read gets its run too: the run then fails with the reason, where a silent
// "no" would hide it. The file itself is not read here, but by its run. An object that is gone (a later push dropped it) or no
// commit has none.
func hasPipeline(repo *gitrepo.Repo, oid string) (bool, error) {
	if _, err := repo.Commit(oid); err != nil {
		return !errors.Is(err, gitrepo.ErrNotFound) && !isNoCommit(err), err
	}
	found, err := repo.Has(oid, pipelineFile)
	return found || err != nil, err
}

// isNoCommit tells a tag of a file or a tree from a commit that cannot be read.
func isNoCommit(err error) bool {
	var not *gitrepo.NotCommitError
	return errors.As(err, &not)
}

// defaultFirst moves the default branch to the front; the others keep their
// order.
func defaultFirst(updates []event.Update, branch string) []event.Update {
	out := make([]event.Update, 0, len(updates))
	for _, u := range updates {
		if u.Ref == branch {
			out = append(out, u)
		}
	}
	for _, u := range updates {
		if u.Ref != branch {
			out = append(out, u)
		}
	}
	return out
}

func refsOf(runs []store.Planned) []string {
	var out []string
	for _, r := range runs {
		out = append(out, r.Ref)
	}
	return out
}

// stillUnreported leaves out moves whose report came after recovery saw them.
func (w *worker) stillUnreported(ctx context.Context, gitDir string, updates []event.Update) ([]event.Update, error) {
	tips, _, err := w.store.Tips(ctx, gitDir)
	if err != nil {
		return nil, err
	}
	var out []event.Update
	for _, u := range updates {
		if tips[u.Ref] != u.New {
			out = append(out, u)
		}
	}
	return out, nil
}

// ran is what a run was of.
type ran struct{ ref, oid string }

// coveredBy is what recovery ran before this push was reported, because its
// hook took its time. A recovered push itself has been compared with what is
// known already.
func (w *worker) coveredBy(ctx context.Context, p event.Push) (map[ran]event.Run, error) {
	if p.Recovered {
		return nil, nil
	}
	runs, err := w.store.Recovered(ctx, p.GitDir, p.At)
	if err != nil {
		return nil, err
	}
	out := map[ran]event.Run{}
	for _, r := range runs {
		out[ran{r.Ref, r.New}] = r
	}
	return out, nil
}
