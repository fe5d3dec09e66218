package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/secret/masked"
	"quire/internal/spool"
	"quire/internal/store"
)

// Cancel ends a run because a person wants it: a queued one at once, a running
// one as soon as its supervisor has ended its last process, for which Cancel
// does not wait. who is for the reason. A run that is over is an error.
func Cancel(ctx context.Context, cfg *config.Config, st *store.Store, id, who string) (event.Run, error) {
	before, err := st.Run(ctx, id)
	if err != nil {
		return before, err
	}
	if before.State.Final() {
		return before, fmt.Errorf("run %d is over: it %s", before.Number, past(before.State))
	}
	r, err := st.AskStop(ctx, id, store.Stop{State: event.RunCanceled, Reason: masked.Format("canceled by %s", outside.Mask(who))}, time.Now())
	if err != nil {
		return r.Run, err
	}
	switch {
	case r.State == event.RunRunning:
		// A supervisor that is gone is the worker's business.
		if err := r.Holder.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, store.ErrGone) {
			return r.Run, err
		}
	case r.State.Final():
		if err := Conclude(ctx, cfg, st, r.Run); err != nil {
			return r.Run, err
		}
	}
	return r.Run, nil
}

func past(s event.RunState) string {
	switch s {
	case event.RunSucceeded, event.RunFailed:
		return string(s)
	}
	return "was " + string(s)
}

// Retry queues a new run of an old run's commit and wakes the worker, if there
// is one; see Running.
func Retry(ctx context.Context, cfg *config.Config, st *store.Store, id string) (event.Run, error) {
	now := time.Now()
	r, err := st.Retry(ctx, id, event.NewID(now), now)
	if err != nil {
		return r, err
	}
	// Its commit is kept by the old run's ref until now, and that is enough to begin
	// with: a fault here is the run's own to meet.
	keepCommits(ctx, r.GitDir, r)
	Poke(cfg)
	return r, nil
}

// Poke wakes a waiting worker, to look for work that is not in the spool.
func Poke(cfg *config.Config) {
	os.WriteFile(wakeFile(cfg.StateDir), nil, 0o600) // else it looks by itself, within seconds
}

// Running reports whether a worker holds the lock of the state directory.
func Running(cfg *config.Config) bool {
	lock, err := store.LockWorker(cfg.StateDir)
	if err == nil {
		lock.Release()
	}
	return errors.Is(err, store.ErrHeld)
}

// Start starts a worker if none runs: detached, in a session of its own, its
// words going to worker.log in the state directory. quire is the program.
func Start(cfg *config.Config, quire string) error {
	Poke(cfg)
	if Running(cfg) {
		return nil
	}
	if err := spool.Dir(cfg.StateDir).Make(); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	defer null.Close()
	log, err := openLog(cfg.StateDir)
	if err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	defer log.Close()
	p, err := os.StartProcess(quire, []string{quire, "worker"}, &os.ProcAttr{
		Dir: "/", Env: cfg.WorkerEnv(os.LookupEnv), Files: []*os.File{null, log, log}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	return p.Release()
}
