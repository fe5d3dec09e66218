package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// A run is interrupted if nobody asked for its end: its supervisor was killed, or the
// machine went down under it. It is run once more where that is safe, and in any
// case it is told: by notification, in the report of its pusher's next push, and
// on its page.

// seeToInterrupted decides of the interrupted runs whether they are run again. What
// it decides is one transaction with its result, so a kill repeats nothing.
func (w *worker) seeToInterrupted(ctx context.Context) {
	runs, err := w.store.Interrupted(ctx)
	if err != nil {
		w.tell("look for interrupted runs", err)
		return
	}
	for _, r := range runs {
		w.tell(fmt.Sprintf("see to interrupted run %d", r.Number), w.seeTo(ctx, r))
	}
}

func (w *worker) seeTo(ctx context.Context, r event.Run) error {
	why, newID := notRerun(w.cfg, r), ""
	if why == "" {
		newID = event.NewID(time.Now())
	}
	again, later, err := w.store.Rerun(ctx, r.ID, newID, time.Now())
	if err != nil {
		return err
	}
	switch {
	case again.ID != "":
		keepCommits(ctx, again.GitDir, again) // a fault is the run's own to meet, as a retry's
		w.Log.Error("a run was interrupted and is run again", "run", r.Number, "again", again.Number)
	case later != 0:
		w.Log.Error("a run was interrupted and is not run again", "run", r.Number, "reason", laterRun(later))
	default:
		w.Log.Error("a run was interrupted and is not run again", "run", r.Number, "reason", why)
	}
	w.notify(ctx, r.ID)
	return nil
}

// notRerun is why an interrupted run is not run again; "" if it may be.
func notRerun(cfg *config.Config, r event.Run) string {
	switch {
	case cfg.Recover.Interrupted == config.InterruptedReport:
		return "[recover] interrupted is report"
	case r.Rerun:
		return "it had been run again already"
	case runlog.RunDir(cfg.StateDir, r.ID).Once():
		return "a job of it is declared :once"
	}
	return ""
}

func laterRun(number int64) string {
	return fmt.Sprintf("run %d is of a later push to its ref", number)
}

// AfterInterruption says in a sentence what became of an interrupted run.
func AfterInterruption(ctx context.Context, cfg *config.Config, st *store.Store, r event.Run) (string, error) {
	again, err := st.RerunOf(ctx, r.ID)
	if err == nil {
		return fmt.Sprintf("it was interrupted, and is run again as run %d", again.Number), nil
	}
	if !errors.Is(err, store.ErrNone) {
		return "", err
	}
	why := notRerun(cfg, r)
	if later, err := st.Later(ctx, r); err != nil {
		return "", err
	} else if later != 0 && why == "" {
		why = laterRun(later)
	}
	if why != "" {
		why = " (" + why + ")"
	}
	return fmt.Sprintf("it was interrupted, and not run again%s; repeat it with: quire retry %d", why, r.Number), nil
}

// endedTwice ends a queued run that has begun once already: a power cut took that
// back from the database, and a job of it must not be done twice.
func (w *worker) endedTwice(ctx context.Context, r event.Run) error {
	if w.Kill != nil {
		if err := w.Kill(ctx, r.ID); err != nil {
			return err
		}
	}
	reason := masked.Const("a power cut ended it, and a job of it is declared :once")
	if _, err := w.store.Finish(ctx, r.ID, store.Final{State: event.RunOrphaned, Reason: reason, FinishedAt: time.Now(), Interrupted: true}); err != nil {
		return err
	}
	now, err := w.store.Run(ctx, r.ID)
	if err == nil {
		err = Conclude(ctx, w.cfg, w.store, now)
	}
	return err
}
