package worker

import (
	"context"
	"errors"
	"os"
	"strconv"
	"syscall"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// child is a supervisor that this worker started.
type child struct {
	run  event.Run
	pid  int
	note *attempt // until the run is running
}

// dispatch starts supervisors for queued runs while there are places. Among
// repositories the one with the fewest runs at work comes first, then the
// oldest run; and no repository has more than max_runs_per_repository at work, since
// a run that has its place keeps it: a busy repository does not keep the others waiting.
func (w *worker) dispatch(ctx context.Context) {
	for ctx.Err() == nil {
		runs, err := w.store.Next(ctx, w.passedOver())
		if err != nil {
			w.tell("look for queued runs", err)
			return
		}
		if len(runs) == 0 {
			return
		}
		if len(w.children)+len(w.foreign) >= w.cfg.MaxRuns {
			w.sayWaiting(runs)
			return
		}
		free, held := w.byRepository(runs)
		w.sayHeld(held)
		if len(free) == 0 {
			return
		}
		w.start(ctx, w.fairest(free))
	}
}

// passedOver are the queued runs that are not to be chosen: a supervisor was
// started for them, or did not start and is tried later.
func (w *worker) passedOver() []string {
	var ids []string
	for id := range w.children {
		ids = append(ids, id)
	}
	for what := range w.backoff {
		if event.ValidID(what) && w.waiting(what) {
			ids = append(ids, what)
		}
	}
	return ids
}

// byRepository tells runs of repositories that may have one more at work from those
// that wait for the end of a run of their own repository.
func (w *worker) byRepository(runs []event.Run) (free, held []event.Run) {
	atWork := w.atWork()
	for _, r := range runs {
		if atWork[r.GitDir] < w.cfg.RunsOfOne() {
			free = append(free, r)
		} else {
			held = append(held, r)
		}
	}
	return free, held
}

// atWork is how many runs each repository has at work.
func (w *worker) atWork() map[string]int {
	atWork := map[string]int{}
	for _, c := range w.children {
		atWork[c.run.GitDir]++
	}
	for _, r := range w.foreign {
		atWork[r.GitDir]++
	}
	return atWork
}

func (w *worker) fairest(runs []event.Run) event.Run {
	atWork := w.atWork()
	best := runs[0] // the oldest
	for _, r := range runs[1:] {
		if atWork[r.GitDir] < atWork[best.GitDir] {
			best = r
		}
	}
	return best
}

// start starts a run's supervisor: in a session of its own and without our
// descriptors, so that it outlives us whatever happens. What it prints goes
// where our own words go.
func (w *worker) start(ctx context.Context, r event.Run) {
	if deaths := w.attempts.deaths(workStart, r.ID); deaths >= maxDeaths {
		if err := w.giveUp(ctx, r, deaths); err != nil {
			w.tell("give up run "+strconv.FormatInt(r.Number, 10), err)
			w.failed(r.ID)
		}
		return
	}
	if d := runlog.RunDir(w.cfg.StateDir, r.ID); d.Once() && !d.Ended() {
		if err := w.endedTwice(ctx, r); err != nil {
			w.tell("end run "+strconv.FormatInt(r.Number, 10), err)
			w.failed(r.ID)
		}
		return
	}
	note, err := w.attempts.begin(workStart, r.ID)
	if err != nil {
		w.tell("start the supervisor of run "+strconv.FormatInt(r.Number, 10), err)
		w.failed(r.ID)
		return
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		note.again()
		w.tell("start the supervisor of run "+strconv.FormatInt(r.Number, 10), err)
		w.failed(r.ID)
		return
	}
	defer null.Close()
	said, err := crashPipe(os.Stderr)
	if err != nil {
		note.again()
		w.tell("start the supervisor of run "+strconv.FormatInt(r.Number, 10), err)
		w.failed(r.ID)
		return
	}
	defer said.Close()
	p, err := os.StartProcess(w.Quire, []string{w.Quire, "supervise", r.ID}, &os.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []*os.File{null, null, said}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		note.again()
		w.tell("start the supervisor of run "+strconv.FormatInt(r.Number, 10), err)
		w.failed(r.ID)
		return
	}
	w.children[r.ID] = &child{run: r, pid: p.Pid, note: note}
	p.Release() // reaped by pid, see reap
	event.Reached(event.StepSpawned)
}

// reap takes note of supervisors that have ended. Each is waited for by its
// pid, when SIGCHLD came: so no goroutine waits for a process that may outlive
// the worker.
func (w *worker) reap(ctx context.Context) {
	for id, c := range w.children {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(c.pid, &status, syscall.WNOHANG, nil)
		if pid == 0 && err == nil || errors.Is(err, syscall.EINTR) {
			continue
		}
		delete(w.children, id)
		w.ended(ctx, c, status)
	}
}

// ended looks what a supervisor that is no more has left.
func (w *worker) ended(ctx context.Context, c *child, status syscall.WaitStatus) {
	r := c.run
	queued, err := w.settle(ctx, r.ID)
	if err != nil {
		if errors.Is(err, store.ErrHeld) && !status.Signaled() {
			c.note.again() // an earlier worker's supervisor has the run, and this one left
		}
		w.tell("settle run "+r.ID, err)
		w.foreign[r.ID] = r // look tries again
		return
	}
	if !queued {
		delete(w.backoff, r.ID)
		delete(w.told, waits(r))
		delete(w.collected, r.GitDir)
		return
	}
	if !status.Signaled() {
		c.note.again() // it ended by itself
	}
	// It has not even begun: no room for the database, say. It waits.
	if tries := w.failed(r.ID); tries == 3 {
		w.Log.Error("the supervisor of a run does not start", "run", r.Number, "status", statusWord(status))
		say(runlog.RunDir(w.cfg.StateDir, r.ID), report(r).Waits(masked.Format("its supervisor does not start and is tried again (%s)", outside.Mask(statusWord(status)))))
	}
}

func statusWord(s syscall.WaitStatus) string {
	if s.Signaled() {
		return s.Signal().String()
	}
	return "exit status " + strconv.Itoa(s.ExitStatus())
}

// sayWaiting tells the pushers of queued runs that all places are taken, once.
func (w *worker) sayWaiting(runs []event.Run) {
	n := len(w.children) + len(w.foreign)
	what := masked.Format("%d runs are at work", masked.Int(n))
	if n == 1 {
		what = masked.Const("another run is at work")
	}
	w.sayWhy(runs, func(event.Run) masked.Text { return what })
}

// sayHeld tells the pushers of queued runs, once, that their repository has as many at
// work as it may.
func (w *worker) sayHeld(runs []event.Run) {
	atWork := w.atWork()
	w.sayWhy(runs, func(r event.Run) masked.Text {
		if atWork[r.GitDir] == 1 {
			return masked.Const("another run of this repository is at work")
		}
		return masked.Format("%d runs of this repository are at work", masked.Int(atWork[r.GitDir]))
	})
}

func (w *worker) sayWhy(runs []event.Run, why func(event.Run) masked.Text) {
	for _, r := range runs {
		if w.told[waits(r)] {
			continue
		}
		w.told[waits(r)] = true
		d := runlog.RunDir(w.cfg.StateDir, r.ID)
		if _, err := os.Stat(d.PushLog()); err == nil {
			continue // said by an earlier worker
		}
		say(d, report(r).Waits(why(r)))
	}
}

func waits(r event.Run) string { return "waits " + r.ID }

// say adds a line to a run's report, if there is room for it.
func say(d runlog.Dir, text masked.Text) {
	if os.MkdirAll(string(d), 0o700) != nil {
		return
	}
	a, err := runlog.Append(d.PushLog())
	if err != nil {
		return
	}
	a.Line(text)
	a.Close()
}
