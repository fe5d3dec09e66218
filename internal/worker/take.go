package worker

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/runner"
	"quire/internal/spool"
	"quire/internal/store"
)

// take brings every waiting push from the spool into the store. One that cannot
// be taken now holds back the later ones of its repository: taken after them, it
// would end their runs as those of older pushes.
func (w *worker) take(ctx context.Context) {
	w.returnParked()
	names, err := w.spool.List()
	if err != nil {
		w.tell("read the spool", err)
		return
	}
	held := map[string]bool{} // repositories
	for _, q := range w.line(names) {
		name := q.name
		if ctx.Err() != nil {
			return
		}
		if held[q.gitDir] {
			continue
		}
		if w.waiting(name) {
			held[q.gitDir] = q.gitDir != "" && w.holds(name)
			continue
		}
		if err := w.takeOne(ctx, name); err != nil {
			w.tell("take push "+name, err)
			w.failed(name)
			held[q.gitDir] = q.gitDir != "" && w.holds(name)
			continue
		}
		delete(w.backoff, name)
	}
}

// takeDropped brings what other users handed over into the spool.
func (w *worker) takeDropped(ctx context.Context) (found bool) {
	if w.Dropped == nil {
		return false
	}
	known, err := w.store.Repositories(ctx)
	if err != nil {
		w.tell("look for pushes that were handed over", err)
		return false
	}
	return w.Dropped(ctx, known)
}

// calm is how long after its hook began a push nobody watches is let alone. Git
// takes about this long to end it (bench/push, 2 processors); a run that begins
// meanwhile competes with it, and cost the pusher a tenth of the push.
const calm = 18 * time.Millisecond

func letPushEnd(p event.Push) {
	if p.Unwatched {
		time.Sleep(min(calm, calm-time.Since(p.At))) // min: the clock may have been set
	}
}

func (w *worker) takeOne(ctx context.Context, name string) error {
	p, err := w.spool.Read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, spool.ErrTorn):
		w.Log.Error("a file in the spool is no push and is set aside", "file", name, "error", err)
		return w.spool.Bad(name, err.Error())
	case err != nil:
		return err
	}
	var other *runner.OtherError
	if err := runner.Check(p.GitDir); errors.As(err, &other) && other.Runner.Ignored == "" { // else it waits until that is mended
		w.Log.Error("a push to another user's repository is set aside", "push", p.ID, "error", err)
		return w.spool.Bad(name, err.Error())
	} else if err != nil {
		return err
	}
	if awaited(p) {
		return w.park(p)
	}
	letPushEnd(p)
	deaths := w.attempts.deaths(workPush, p.ID)
	note, err := w.attempts.begin(workPush, p.ID)
	if err != nil {
		return err
	}
	if deaths >= maxDeaths {
		err = w.setAside(ctx, p, deaths)
	} else {
		event.Reached(event.StepReading)
		err = w.takeIn(ctx, p)
	}
	if err != nil {
		note.again()
		return err
	}
	note.done()
	return nil
}

// takeIn records a push in the store and the ledger.
func (w *worker) takeIn(ctx context.Context, p event.Push) error {
	if err := w.record(ctx, p); err != nil {
		return err
	}
	if err := w.mirrors.Owe(ctx, p); err != nil {
		return err
	}
	if err := w.spool.Remove(p.ID); err != nil {
		return err
	}
	event.Reached(event.StepUnspooled)
	return nil
}

// record makes the runs of a push and answers its hook. It may be called again
// for the same push, and then completes what is missing.
func (w *worker) record(ctx context.Context, p event.Push) error {
	plan, err := w.plan(ctx, p)
	if err != nil {
		return err
	}
	news, about, err := w.untold(ctx, p)
	if err != nil {
		return err
	}
	taken, err := w.store.TakePush(ctx, p, plan.runs, runlog.FewNotes(append(news, plan.notes...)), time.Now())
	if err != nil {
		return err
	}
	event.Reached(event.StepTaken)
	w.dispatch(ctx) // first of all: the rest is done while supervisors begin
	answer := runlog.Taken{Push: p.ID}
	if answer.Mirrors, err = w.awaitMirrors(ctx, p); err != nil {
		return err
	}
	if err := w.answer(taken, answer); err != nil {
		return err
	}
	if len(about) > 0 { // after the answer: to be told twice is better than never
		if err := w.store.Told(ctx, about); err != nil {
			return err
		}
	}
	event.Reached(event.StepAnswered)
	// Not before: the hook waits for the answer, and git takes its milliseconds. After
	// a kill here the push, which is in the spool still, is taken again.
	w.tell("keep the commits of push "+p.ID, keepCommits(ctx, p.GitDir, taken.Runs...))
	for _, d := range taken.Displaced {
		event.Reached(event.StepDisplacing)
		if d.Over {
			w.tell("end run "+d.Run.ID, Conclude(ctx, w.cfg, w.store, d.Run))
		}
	}
	if len(taken.Displaced) > 0 {
		w.remind(ctx)
	}
	return nil
}

// remind signals supervisors of what was asked of them. The signal may have
// been lost with whoever was to send it; that it comes twice does no harm.
func (w *worker) remind(ctx context.Context) {
	running, err := w.store.Running(ctx)
	if err != nil {
		w.tell("look for running runs", err)
		return
	}
	for _, r := range running {
		if r.Stop.State == "" {
			continue
		}
		if err := r.Holder.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, store.ErrGone) {
			w.tell("stop run "+r.ID, err)
		}
	}
}

// some names the first few of many refs.
func some(refs []string) string {
	const few = 5
	short := make([]string, 0, few)
	for i, ref := range refs {
		if i == few {
			short = append(short, "…")
			break
		}
		short = append(short, runlog.Plain(event.ShortRef(ref)))
	}
	return strings.Join(short, ", ")
}
