package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/spool"
	"quire/internal/store"
)

// setAside takes a push out of the way that workers died over: it is recorded as
// a push without runs (else its refs would be found to have moved, and be taken
// for another push) and owed to the mirrors, which git alone serves; its pusher is
// told, and its file is kept where `quire retry` finds it.
func (w *worker) setAside(ctx context.Context, p event.Push, deaths int) error {
	why := fmt.Sprintf("%d workers died while they read what was pushed", deaths)
	w.Log.Error("a push is set aside", "push", p.ID, "repository", p.GitDir, "reason", why, "again", "quire retry "+p.ID)
	if deaths > maxDeaths {
		// One died of recording it, too: it may be the push's own size.
		if err := w.store.Survey(ctx, p.GitDir, movedTo(p.Updates)); err != nil {
			return err
		}
		return w.spool.SetAside(p.ID, why)
	}
	note := "error: no run: " + why + ", so it was set aside; try it again with: quire retry " + p.ID
	taken, err := w.store.TakePush(ctx, p, nil, []string{note}, time.Now())
	if err != nil {
		return err
	}
	if taken.Again { // they died after that
		note = "error: " + why + ", so what is left to do of it was set aside; try it again with: quire retry " + p.ID
		taken.Notes = append(taken.Notes, note)
	}
	if err := w.answer(taken, runlog.Taken{Push: p.ID}); err != nil {
		return err
	}
	if err := w.mirrors.Owe(ctx, p); err != nil {
		return err
	}
	return w.spool.SetAside(p.ID, why)
}

// answer tells a push's hook what became of it.
func (w *worker) answer(taken store.Taken, a runlog.Taken) error {
	a.Notes = taken.Notes
	for _, r := range taken.Runs {
		a.Runs = append(a.Runs, runlog.TakenRun{ID: r.ID, Number: r.Number, Ref: event.EscapeRef(r.Ref), New: r.New})
	}
	return runlog.WriteTaken(w.cfg.StateDir, a)
}

// RetryPush puts a push that was set aside into the spool again, as a push of
// now. spool.ErrNotAside is the error if it is not there.
func RetryPush(cfg *config.Config, id string) (event.Push, error) {
	return spool.Dir(cfg.StateDir).Restore(id, time.Now())
}

// giveUp ends a queued run whose supervisors die before it is running.
func (w *worker) giveUp(ctx context.Context, r event.Run, deaths int) error {
	reason := fmt.Sprintf("its supervisor died %d times before the run began; try it again with: quire retry %d", deaths, r.Number)
	w.Log.Error("a run is set aside", "run", r.Number, "reason", reason)
	if _, err := w.store.Finish(ctx, r.ID, store.Final{State: event.RunOrphaned, Reason: outside.Mask(reason), FinishedAt: time.Now()}); err != nil {
		return err
	}
	now, err := w.store.Run(ctx, r.ID)
	if err == nil {
		err = Conclude(ctx, w.cfg, w.store, now)
	}
	if err == nil {
		w.attempts.forget(workStart, r.ID)
	}
	return err
}

// settleUnread ends a run without looking at what it wrote, but for the ends of its
// report and its events, after workers died over that. Each step is left out that
// a worker before this one has done: it can have died over the next.
func (w *worker) settleUnread(ctx context.Context, r event.Run, deaths int) error {
	d := runlog.RunDir(w.cfg.StateDir, r.ID)
	if w.Kill != nil {
		if err := w.Kill(ctx, r.ID); err != nil {
			return err
		}
	}
	out := runlog.Outcome{Run: r.ID, Number: r.Number, State: r.State, Reason: r.Reason, FinishedAt: time.Now().UTC()}
	if !r.State.Final() {
		out.State = event.RunOrphaned
		out.Reason = outside.Mask(fmt.Sprintf("its supervisor died, and %d workers died while they read what it left; try it again with: quire retry %d", deaths, r.Number))
	}
	w.Log.Error("a run's records are not read", "run", r.Number, "reason", out.Reason)
	if !d.Ended() {
		events, err := endOf(d.Events())
		if err != nil {
			return err
		}
		said, err := endOf(d.PushLog())
		if err != nil {
			return err
		}
		end, ended := endRecord(events)
		if ended {
			out.State, out.Reason, out.FinishedAt = event.RunState(end.State), end.Reason, time.UnixMilli(end.AtMS).UTC()
		}
		if !endSaid(said, r.Number) {
			say(d, report(r).End(out.State, 0, out.Reason, nil))
		}
		if !ended {
			if err := recordEnd(d, out); err != nil {
				return err
			}
		}
		if err := d.WriteOutcome(out); err != nil {
			return err
		}
	}
	_, err := w.store.Finish(ctx, r.ID, store.Final{State: out.State, Reason: out.Reason, FinishedAt: out.FinishedAt})
	return err
}

// endRecord is the event that ends a run, if the end of its list of events holds
// it.
func endRecord(events string) (end event.Record, found bool) {
	line := strings.TrimSuffix(events, "\n")
	line = line[strings.LastIndexByte(line, '\n')+1:]
	if json.Unmarshal([]byte(line), &end) != nil || end.Type != event.RunFinished {
		return event.Record{}, false
	}
	return end, true
}

// errSetAside is the error for what is not done, because workers died over it.
var errSetAside = errors.New("workers died over it, so it is left alone until somebody has it tried again")
