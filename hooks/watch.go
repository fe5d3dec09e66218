package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/runlog"
)

// Why watching ends before the runs do.
var (
	errLimit  = errors.New("the wait limit is reached")
	errClient = errors.New("git has gone away")
)

// watch shows the push's report, as far as wait says, and at most for the
// configured time.
func (r *reception) watch(ctx context.Context, k *keeper, wait event.Wait) {
	if limit := r.conf.Hook.WaitLimit.D(); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errLimit)
		defer cancel()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { k.keep(ctx, cancel) })
	report := Report{StateDir: r.conf.StateDir, PushID: r.push.ID}
	var err error
	if wait == event.WaitStart {
		err = r.showStart(ctx, report)
	} else {
		_, err = report.Follow(ctx, r.term, 0)
	}
	cut := ctx.Err() != nil // by a signal, the limit, or the keeper
	cancel(nil)
	keeping.Wait()

	var dead *workerError
	switch {
	case errors.Is(err, errLimit):
		r.term.line("hint: the wait limit is over and the work goes on; watch it with: " + r.goOn(report))
	case errors.As(err, &dead):
		r.term.line("error: the push is recorded and waits: " + dead.Error())
	case err != nil && !cut && r.term.err == nil:
		r.term.line("error: the report cannot be read: " + err.Error())
	}
	// What is left is a pusher who left or was cut off: nobody is there to tell.
}

// showStart shows which runs there are.
func (r *reception) showStart(ctx context.Context, report Report) error {
	t, err := report.Taken(ctx)
	if err != nil {
		return err
	}
	text := Head(t)
	if len(t.Runs) == 1 {
		text = list(t.Runs) + text
	}
	if _, err := r.term.Write([]byte(text)); err != nil || len(t.Runs) == 0 {
		return err
	}
	r.term.line("hint: watch with: " + r.goOn(report))
	return r.term.err
}

// goOn is the command that goes on watching where this hook stops.
func (r *reception) goOn(report Report) string {
	t, err := runlog.ReadTaken(report.StateDir, report.PushID)
	if err != nil || len(t.Runs) != 1 || len(t.Mirrors) > 0 {
		return "quire show --push " + report.PushID
	}
	return fmt.Sprintf("quire log -f %d", t.Runs[0].Number)
}

// keeper sees to it that a worker is there while somebody waits for its work.
type keeper struct {
	conf   *config.Config
	child  *os.Process // the worker that we started; nil: another was there, or ours left
	starts int
	calm   bool // nobody watches: the worker may begin a little later
}

// maxStarts bounds how often one push starts a worker. The second start makes
// good for a worker that was killed; more would not help.
const maxStarts = 3

// workerError says that there is no worker, and why.
type workerError struct{ cause error }

func (e *workerError) Error() string { return e.cause.Error() }

func (k *keeper) start() error {
	p, err := startWorker(k.conf, k.calm)
	if err != nil {
		return &workerError{err}
	}
	k.child = p
	k.starts++
	return nil
}

// keep looks after the worker, and after git, until ctx is done. It cancels when
// one of them is gone for good.
func (k *keeper) keep(ctx context.Context, cancel context.CancelCauseFunc) {
	parent, client := os.Getppid(), findClient()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if os.Getppid() != parent || n%5 == 0 && client.gone() {
			cancel(errClient)
			return
		}
		err := k.childDied()
		if err == nil && n%5 == 0 && k.child == nil && k.starts < maxStarts && !workerRuns(k.conf.StateDir) {
			err = k.start()
		}
		if err != nil {
			cancel(err)
			return
		}
	}
}

// childDied reports whether the worker that we started ended with an error. One
// that ended well found nothing to do, or another worker at it.
func (k *keeper) childDied() error {
	if k.child == nil {
		return nil
	}
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(k.child.Pid, &status, syscall.WNOHANG, nil)
	if pid == 0 && err == nil || errors.Is(err, syscall.EINTR) {
		return nil
	}
	k.child = nil
	if err != nil || !status.Exited() || status.ExitStatus() == 0 {
		return nil // ended well, or was killed: another is started
	}
	words := lastWords(k.conf.StateDir)
	if words == "" {
		words = "see " + workerLog(k.conf.StateDir)
	}
	return &workerError{fmt.Errorf("quire's worker ended with status %d: %s", status.ExitStatus(), words)}
}
