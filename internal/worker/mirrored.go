package worker

import (
	"context"
	"errors"
	"time"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/secret/masked"
	"quire/internal/store"
	"quire/mirror"
)

// What became of a push at the mirrors that the configuration orders is told to
// its pusher once, when there is a first word of every mirror. It is read from
// the ledger, so a worker that takes over says what its predecessor would have.

// mirrorPatience is how long after a push, and after its runs, a mirror that has
// not answered is waited for. The delivery itself goes on.
const mirrorPatience = 10 * time.Second

// awaitMirrors notes that a push's mirrors are to be reported on, and returns
// their names.
func (w *worker) awaitMirrors(ctx context.Context, p event.Push) (names []string, err error) {
	r := store.MirrorReport{PushID: p.ID}
	for _, s := range w.mirrors.Shares(p) {
		t := store.ReportTarget{URL: s.Target.URL, Name: s.Target.Name}
		for _, want := range s.Wants {
			t.Refs = append(t.Refs, want.Ref)
		}
		r.Targets = append(r.Targets, t)
		names = append(names, t.Name)
	}
	if len(r.Targets) == 0 {
		return nil, nil
	}
	w.awaited = true
	return names, w.store.AwaitReport(ctx, r)
}

// reportMirrors writes the reports that can be written now. awaited stays set
// while there are others.
func (w *worker) reportMirrors(ctx context.Context) {
	if !w.awaited {
		return
	}
	list, err := w.store.AwaitedReports(ctx)
	if err != nil {
		w.tell("report on mirrors", err)
		return
	}
	w.awaited = false
	for _, r := range list {
		made, err := w.reportOn(ctx, r)
		if err != nil {
			w.tell("report on the mirrors of push "+r.PushID, err)
		}
		w.awaited = w.awaited || !made
	}
}

func (w *worker) reportOn(ctx context.Context, r store.MirrorReport) (made bool, err error) {
	p, _, err := w.store.Push(ctx, r.PushID)
	if errors.Is(err, store.ErrNone) { // past keeping
		return true, w.store.ReportMade(ctx, r.PushID)
	}
	if err != nil {
		return false, err
	}
	if w.spooled(r.PushID) {
		return false, nil // what it wants is not in the ledger yet
	}
	var said []masked.Text
	all := true
	for _, t := range r.Targets {
		report, settled, err := w.mirrors.Account(ctx, p, mirror.Target{Name: t.Name, URL: t.URL}, t.Refs)
		if err != nil {
			return false, err
		}
		all = all && settled
		for _, line := range report.Lines() {
			said = append(said, runlog.Mirrored(outside.Mask(line.Kind), outside.Mask(line.Text)))
		}
	}
	if !all {
		over, err := w.store.RunsOver(ctx, r.PushID)
		if err != nil || !over || time.Since(p.At) < mirrorPatience {
			return false, err
		}
		said = append(said, runlog.Mirrored(masked.Const("hint"),
			masked.Format("see how it goes on with: quire mirror status %s", outside.Mask(event.RepoName(p.GitDir)))))
	}
	if err := runlog.WriteMirrorReport(w.cfg.StateDir, r.PushID, masked.Join(said, "")); err != nil {
		return false, err
	}
	event.Reached(event.StepMirrorReported)
	return true, w.store.ReportMade(ctx, r.PushID)
}

// spooled reports whether a push waits in the spool.
func (w *worker) spooled(id string) bool {
	_, err := w.spool.Read(id)
	return err == nil
}
