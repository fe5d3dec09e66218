// Package worker turns pushes into runs and sees that every run comes to an
// outcome. There is one worker for a state directory, held to be alone by a
// lock; it comes when there is work and leaves when there has been none for a
// while.
//
// It does no work of a run itself. It takes pushes from the spool into the
// store, starts a supervising process for each run when it is its turn, and
// settles what a supervisor that died has left: its processes, its last words,
// its final state. All it knows is in the spool, the store and the run
// directories; it may be killed at any moment, and the next worker goes on.
package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/spool"
	"quire/internal/store"
	"quire/mirror"
)

// Options change how a worker works.
type Options struct {
	// Once makes it leave when everything is done, instead of waiting for more.
	Once bool

	// Quire is the program that is started as `quire supervise RUN`; "" is
	// $QUIRE_BIN or this program itself.
	Quire string

	// Log tells of what nobody else is told: spool files set aside, supervisors
	// that died. nil is silence.
	Log *slog.Logger

	// Hooked reports whether quire's hook is what a push to the repository
	// calls. Moves of refs that nobody reported are looked for in no others; nil
	// is nowhere.
	Hooked func(gitDir string) bool

	// Dropped puts into the spool what users other than the runner left in the
	// drop directories of repositories, those known by pushes among them, and
	// reports whether there was anything; nil: nothing is looked for.
	Dropped func(ctx context.Context, known []string) bool

	// Kill ends every process and container that is left of a run whose
	// supervisor is dead, and returns when none is.
	Kill func(ctx context.Context, runID string) error
}

// slowLook is how often the worker looks although nothing woke it.
const slowLook = 2 * time.Second

// collectEvery is how often what is past keeping is looked for in a repository that
// has no runs.
const collectEvery = time.Hour

// foreignLook is how often it looks after supervisors that are not its
// children: nobody tells it of their end.
const foreignLook = 100 * time.Millisecond

// Run is the whole life of a worker. It returns nil when there was nothing to
// do any more, when another worker is at it, and when ctx has ended; the runs
// under way go on in that case, and the next worker takes over.
func Run(ctx context.Context, cfg *config.Config, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var err error
	if o.Quire, err = program(o.Quire); err != nil {
		return err
	}
	lock, err := lockPatiently(ctx, cfg.StateDir)
	if errors.Is(err, store.ErrHeld) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	event.Reached(event.StepWorkerUp)
	self, err := store.Self()
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	w := &worker{
		attempts: attemptsIn(cfg.StateDir, self.Boot),
		cfg:      cfg, version: configVersion(), Options: o, spool: spool.Dir(cfg.StateDir), lock: lock,
		children: map[string]*child{}, foreign: map[string]event.Run{}, backoff: map[string]*delay{},
		shown: map[string]map[string]event.JobState{}, awaited: true,
		wake: make(chan struct{}, 1), collectedAt: time.Now(), told: map[string]bool{}, toldAt: map[string]time.Time{}, moved: map[move]time.Time{}, queued: map[queuedMove]bool{}, collected: map[string]bool{},
	}
	defer func() {
		if w.lock != nil {
			w.lock.Release()
		}
	}()
	if err := w.spool.Make(); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	w.attempts.sweep()
	defer w.boundMemory()()
	stop := w.listen(ctx)
	defer stop()
	if w.store, err = store.Open(ctx, cfg.StateDir); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	defer w.store.Close()
	w.tidier = newTidier(ctx, w.stir)
	defer w.tidier.stop()
	w.database, _ = os.Stat(store.Path(cfg.StateDir)) // if it is gone already, sameDatabase says so
	if w.stopMirrors, err = w.keepMirrors(ctx); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	defer w.telling.Wait() // after stopMirrors, which may tell a last thing
	defer func() { w.stopMirrors() }()
	return w.work(ctx)
}

// lockPatiently takes the worker's lock. Hooks that look whether there is a
// worker hold it for a moment, so the first refusal is not the last word.
func lockPatiently(ctx context.Context, stateDir string) (*store.Lock, error) {
	for try := 0; ; try++ {
		lock, err := store.LockWorker(stateDir)
		if !errors.Is(err, store.ErrHeld) || try == 20 || ctx.Err() != nil {
			return lock, err
		}
		time.Sleep(time.Millisecond << min(try/4, 4))
	}
}

// program finds what to start supervisors with. The path is settled now: an
// installation that replaces the file does not change what runs.
func program(given string) (string, error) {
	if given == "" {
		given = os.Getenv("QUIRE_BIN")
	}
	if given != "" {
		return filepath.Abs(given)
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("worker: find the program: %w", err)
	}
	return self, nil
}

// worker is the state of one worker. Only the goroutine of Run uses it.
type worker struct {
	Options
	cfg   *config.Config
	store *store.Store
	spool spool.Dir

	database fs.FileInfo // the file that store has open
	lock     *store.Lock // nil while it was let go of

	version version // of the configuration that cfg is

	mirrors     *mirror.Keeper
	stopMirrors func()
	telling     sync.WaitGroup // notifications under way
	tidier      *tidier

	children map[string]*child    // supervisors started here, by run
	foreign  map[string]event.Run // runs whose supervisors an earlier worker started
	attempts attempts
	backoff  map[string]*delay    // runs, spool files and repositories to be let alone for a while
	wake     chan struct{}        // somebody wrote into the spool, or poked
	told     map[string]bool      // what was logged once
	toldAt   map[string]time.Time // when an error of a thing was last logged

	shown   map[string]map[string]event.JobState // by run and job: what forges were told last
	awaited bool                                 // a pusher is still to be told of mirrors

	settledOld bool // what an earlier worker left half done was looked for
	queued     map[queuedMove]bool
	moved      map[move]time.Time // refs found elsewhere than expected, and since when
	undecided  bool               // a ref has moved, and its push may still be reported
	collected  map[string]bool    // repositories whose old runs were removed

	returnedAt  time.Time // when parked pushes were looked at
	collectedAt time.Time // when collected was last emptied
}

// listen wakes the worker when something appears in the spool. The function it
// returns ends that.
func (w *worker) listen(ctx context.Context) (stop func()) {
	watch := runlog.NewWatcher()
	os.WriteFile(w.wakeFile(), nil, 0o600) // if it cannot be made, pokes are heard at the next look
	watch.Add(w.spool.New())
	watch.Add(w.wakeFile())
	ctx, cancel := context.WithCancel(ctx)
	var listening sync.WaitGroup
	listening.Go(func() {
		for watch.Wait(ctx) == nil {
			w.stir()
		}
	})
	return func() {
		cancel()
		listening.Wait()
		watch.Close()
	}
}

// stir wakes the worker. Any goroutine may call it.
func (w *worker) stir() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *worker) wakeFile() string { return wakeFile(w.cfg.StateDir) }

func wakeFile(stateDir string) string { return filepath.Join(spool.Dir(stateDir).Root(), "wake") }

// work is the worker's loop.
func (w *worker) work(ctx context.Context) error {
	exits := make(chan os.Signal, 1)
	signal.Notify(exits, syscall.SIGCHLD)
	defer signal.Stop(exits)
	if err := w.adopt(ctx); err != nil {
		return err
	}
	var idleSince time.Time // zero: there is work
	looked := time.Now()
	for {
		// Without this, one that owes deliveries would stay for days over a
		// directory that somebody removed.
		if _, err := os.Stat(w.cfg.StateDir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("worker: the state directory %s is gone", w.cfg.StateDir)
		}
		if err := w.sameDatabase(); err != nil {
			return err
		}
		if leave, err := w.reread(ctx); leave || err != nil {
			return err
		}
		w.round(ctx)
		switch busy := w.busy(ctx); {
		case ctx.Err() != nil:
			return nil
		case busy:
			idleSince = time.Time{}
		default:
			// Once when the work is done, and again while a push is under way
			// that may or may not be reported.
			if (idleSince.IsZero() || w.undecided) && w.idle(ctx) {
				continue
			}
			if idleSince.IsZero() {
				idleSince = time.Now()
				debug.FreeOSMemory() // waiting takes little
			}
			if w.Once || time.Since(idleSince) >= w.cfg.Linger.D() {
				if !w.Once && w.idle(ctx) { // what came about while it waited
					continue
				}
				left, err := w.leave(ctx)
				if left || err != nil {
					return err
				}
				continue
			}
		}
		every := slowLook
		if len(w.foreign) > 0 {
			every = foreignLook
		}
		pause := every - time.Since(looked)
		if !idleSince.IsZero() {
			pause = min(pause, w.cfg.Linger.D()-time.Since(idleSince))
		}
		t := time.NewTimer(max(pause, 0))
		select {
		case <-ctx.Done():
		case <-exits:
		case <-w.wake:
		case <-t.C:
		}
		t.Stop()
		// By the clock, and not when nothing woke it: something may all the while.
		if time.Since(looked) >= every {
			looked = time.Now()
			w.look(ctx)
		}
	}
}

// sameDatabase reports that the database was removed, or another put in its place,
// while it is open here. What is written to it then is lost with this process, and
// pushes that were taken with it: the next worker has to take them.
func (w *worker) sameDatabase() error {
	path := store.Path(w.cfg.StateDir)
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(w.database, now) {
		return fmt.Errorf("worker: the database %s was removed or replaced while it was in use: runs under way go on and are not recorded; the next push starts a new worker", path)
	}
	return nil // an error that may pass: the store tells of it
}

// round does what can be done now. What goes wrong is told and tried again.
func (w *worker) round(ctx context.Context) {
	w.reap(ctx)
	w.seeToInterrupted(ctx)
	w.take(ctx)
	w.dispatch(ctx)
	w.reportMirrors(ctx)
	for _, c := range w.tidier.take() {
		w.tell(c.what, c.err)
	}
}

// look is for what nothing wakes the worker for.
func (w *worker) look(ctx context.Context) {
	w.tell("begin a new worker.log", turnLog(w.cfg.StateDir))
	if time.Since(w.collectedAt) > collectEvery {
		// What is too old, or too much, becomes so without a run, too.
		w.collectedAt = time.Now()
		clear(w.collected)
		w.collect(ctx) // one that is never idle, too
	}
	w.remind(ctx)
	w.takeDropped(ctx)
	if err := w.adopt(ctx); err != nil {
		w.tell("look for running runs", err)
	}
	for id := range w.children {
		w.showJobs(ctx, id)
	}
	for id := range w.foreign {
		w.showJobs(ctx, id)
	}
}

// busy reports whether the worker must stay.
func (w *worker) busy(ctx context.Context) bool {
	if len(w.children) > 0 || len(w.foreign) > 0 || w.awaited || w.tidier.busy() {
		return true
	}
	if names, err := w.spool.List(); err != nil || len(names) > 0 {
		return true
	}
	n, err := w.store.Queued(ctx)
	return err != nil || n > 0 || w.mirroring(ctx)
}

// leave gives the lock back, and looks once more: a hook that wrote into the
// spool while the lock was held saw a worker and started none. If there is
// something, the worker stays, unless another has the lock by now.
func (w *worker) leave(ctx context.Context) (left bool, err error) {
	w.lock.Release()
	w.lock = nil
	if !w.busy(ctx) {
		return true, nil
	}
	w.lock, err = lockPatiently(ctx, w.cfg.StateDir)
	if errors.Is(err, store.ErrHeld) {
		return true, nil
	}
	return false, err
}

// tell logs an error, each only once: the same full disk is met every other
// second. Errors of one thing that differ (by the name of a temporary file, say) are
// logged once a minute.
func (w *worker) tell(what string, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	key := what + ": " + err.Error()
	if len(w.told) > 1000 { // a worker may stay for months
		clear(w.told)
	}
	if len(w.toldAt) > 1000 {
		clear(w.toldAt)
	}
	if w.told[key] || time.Since(w.toldAt[what]) < time.Minute {
		return
	}
	w.told[key], w.toldAt[what] = true, time.Now()
	w.Log.Error(what, "error", err)
}

// delay spaces out attempts at what failed.
type delay struct {
	tries int
	until time.Time
}

// waiting reports whether something that failed is to be let alone still.
func (w *worker) waiting(what string) bool {
	d := w.backoff[what]
	return d != nil && time.Now().Before(d.until)
}

// failed lets something alone for a while: a second, then twice as long each
// time, half a minute at most.
func (w *worker) failed(what string) (tries int) {
	d := w.backoff[what]
	if d == nil {
		d = &delay{}
		w.backoff[what] = d
	}
	d.until = time.Now().Add(min(time.Second<<min(d.tries, 5), 30*time.Second))
	d.tries++
	return d.tries
}
