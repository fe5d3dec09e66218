package worker

import (
	"context"
	"fmt"
	"time"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/store"
)

// Some pushes have no watcher to see how they end: one that was taken from a drop
// directory, and one whose run was interrupted. Their pusher is told at the next push
// to the repository that somebody watches.

// untold is what the pusher of a push has not heard of earlier ones, as notes, and the
// pushes that these are about.
func (w *worker) untold(ctx context.Context, p event.Push) (notes []string, about []store.Untold, err error) {
	if p.Unwatched || p.Dropped || p.Recovered || p.MadeBy != "" {
		return nil, nil, nil
	}
	about, err = w.store.Untold(ctx, p.GitDir, p.Pusher)
	if err != nil {
		return nil, nil, err
	}
	for _, u := range about {
		lines, err := w.newsOf(ctx, u)
		if err != nil {
			return nil, nil, err
		}
		notes = append(notes, lines...)
	}
	return notes, about, nil
}

// newsOf is what there is to say of one push.
func (w *worker) newsOf(ctx context.Context, u store.Untold) (lines []string, err error) {
	for _, r := range u.Runs {
		what := fmt.Sprintf("run %d (%s %s)", r.Number, runlog.Plain(event.ShortRef(r.Ref)), event.ShortOID(r.New))
		switch {
		case r.Interrupted:
			after, err := AfterInterruption(ctx, w.cfg, w.store, r)
			if err != nil {
				return nil, err
			}
			lines = append(lines, "warning: "+what+" of your push of "+when(u.At)+": "+after)
			continue
		case r.State != event.RunSucceeded:
			what = "warning: " + what + " of your push of " + when(u.At) + ": " + string(r.State)
		default:
			what += " of your push of " + when(u.At) + ": " + string(r.State)
		}
		if !r.Reason.IsZero() {
			what += ": " + runlog.Plain(r.Reason.String())
		}
		lines = append(lines, what)
	}
	if len(u.Runs) == 0 {
		lines = append(lines, "your push of "+when(u.At)+" was taken in, and made no run")
	}
	return lines, nil
}

func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
