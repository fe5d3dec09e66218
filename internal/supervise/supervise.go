package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"quire/internal/cache"
	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/executor"
	"quire/internal/gitrepo"
	"quire/internal/jobfile"
	"quire/internal/memory"
	"quire/internal/network"
	"quire/internal/runlog"
	"quire/internal/runner"
	"quire/internal/secret"
	"quire/internal/secret/masked"
	"quire/internal/store"
	"quire/mirror"
	"quire/pipeline"
)

// Run is the whole life of the process that supervises one queued run. It
// returns nil when the run is over, however it ended, and also when there is
// nothing to do because another supervisor has the run or it is over already.
// An error means that the run could not even be started: it is queued still.
//
// SIGTERM, SIGINT or ctx's end ask the run to stop; the store says what for.
func Run(ctx context.Context, cfg *config.Config, runID string) error {
	lock, err := store.LockRun(cfg.StateDir, runID)
	if errors.Is(err, store.ErrHeld) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("supervise run %s: %w", runID, err)
	}
	defer lock.Release()
	event.Reached(event.StepHeld)
	if err := secret.Shield(); err != nil {
		return fmt.Errorf("supervise run %s: %w", runID, err)
	}
	// Heard from before the run can be found and signalled, and until the end:
	// a second SIGTERM must not kill us half-way through the teardown.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	asked := ctx
	ctx = context.WithoutCancel(ctx)
	st, err := store.OpenRelaxed(ctx, cfg.StateDir)
	if err != nil {
		return fmt.Errorf("supervise run %s: %w", runID, err)
	}
	defer st.Close()
	self, err := store.Self()
	if err != nil {
		return fmt.Errorf("supervise run %s: %w", runID, err)
	}
	if runlog.RunDir(cfg.StateDir, runID).Ended() {
		// It was run to its end, and a power cut took that back from the store.
		return adopt(ctx, st, cfg, runID)
	}
	r, err := st.Start(ctx, runID, self, time.Now())
	if errors.Is(err, store.ErrNotQueued) {
		lock.Remove()
		return nil
	}
	if err != nil {
		return err
	}
	event.Reached(event.StepStarted)

	s := newSupervision(cfg, r, runlog.RunDir(cfg.StateDir, r.ID))
	s.store = st
	s.workspace = s.dir.Workspace()
	runCtx, cancel := context.WithCancelCause(ctx)
	s.stop = newStopper(cancel)
	over := make(chan struct{})
	var listening sync.WaitGroup
	listening.Go(func() {
		done := asked.Done()
		for {
			select {
			case <-over:
				return
			case <-done:
				done = nil
			case <-signals:
			}
			s.stop.ask(readStop(ctx, st, r.ID))
		}
	})
	s.supervise(runCtx)
	close(over)
	listening.Wait()
	cancel(nil)
	s.removeWorkspace()
	s.closeCache()
	lock.Remove()
	return nil
}

// adopt records in the store what a run's outcome file says.
func adopt(ctx context.Context, st *store.Store, cfg *config.Config, runID string) error {
	out, err := runlog.RunDir(cfg.StateDir, runID).Outcome()
	if err != nil {
		return fmt.Errorf("supervise run %s: %w", runID, err)
	}
	f := store.Final{State: out.State, Reason: out.Reason, FinishedAt: out.FinishedAt, Duration: out.Duration, ReplacedBy: out.ReplacedBy, Interrupted: out.Interrupted}
	for _, j := range out.Jobs {
		f.Jobs = append(f.Jobs, event.Job{RunID: runID, ID: j.ID, State: j.State, Attempt: j.Attempt, Reason: j.Reason, Duration: j.Duration})
	}
	_, err = st.Finish(ctx, runID, f)
	return err
}

// supervision is one run under way.
type supervision struct {
	cfg       *config.Config
	store     *store.Store // nil: the run is in none
	run       event.Run
	dir       runlog.Dir
	workspace string
	local     bool      // the workspace is a person's checkout
	echo      io.Writer // gets the report too; nil: nobody
	began     time.Time // with its monotonic reading
	vault     *secret.Vault
	logs      *runlog.Budget
	stop      *stopper
	journal   *journal
	standing  *standing     // set by prepare, as domain is
	domain    func() domain // which takes a look at trees
	die       func()        // ends the process at once, after the end is recorded

	newExecutor func(ctx context.Context, use string, spec executor.Spec) (executor.Executor, error)

	mu         sync.Mutex // guards what the watchdog may meet half made
	repo       *gitrepo.Repo
	ground     executor.Ground // nil: the executor makes its own
	exec       executor.Executor
	cache      *cache.Domain // nil: the pipeline has none
	world      *world
	pipeline   *pipeline.Pipeline
	refsBefore map[string]string             // where the refs stood before the first job; nil: commands cannot move them
	ended      map[string]pipeline.JobResult // jobs that are over, by id

	overDisk atomic.Bool // it was ended for what it takes on disk

	ending sync.Once
	final  runlog.Outcome
}

func newSupervision(cfg *config.Config, r event.Run, dir runlog.Dir) *supervision {
	return &supervision{cfg: cfg, run: r, dir: dir, began: time.Now(), vault: secret.Open(cfg), logs: runlog.NewBudget(int64(cfg.Log.MaxRunBytes)),
		die: func() { os.Exit(0) }, newExecutor: chooseExecutor}
}

// supervise performs the run and records its end.
func (s *supervision) supervise(ctx context.Context) {
	if err := s.open(); err != nil {
		s.finishUnwritten(err)
		return
	}
	s.journal.record(event.Record{Type: event.RunStarted})
	s.again(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if limit := s.cfg.RunTimeout.D(); limit > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, limit, timeout(limit))
		defer stop()
	}
	finished := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		memory.Watch(int64(s.cfg.Eval.Memory), 10*time.Millisecond, finished, func(resident int64) {
			end := &stopped{state: event.RunFailed, reason: fmt.Sprintf(
				"its pipeline took more memory than [eval] memory allows: %d MiB of %d MiB", resident>>20, s.cfg.Eval.Memory>>20)}
			cancel(end)
			s.end(conclusion{state: end.state, reason: s.journal.mask(end.reason)})
			// What takes the memory may be a library call that nothing stops.
			s.die()
		})
	})
	if !s.local { // what a person runs in a checkout is theirs to watch
		watching.Go(func() {
			s.watchDisk(ctx, func(reason string) { cancel(s.endForDisk(reason)) })
		})
	}
	performed := make(chan conclusion, 1)
	go func() { performed <- s.perform(ctx) }() // waited for, except when nothing ends it
	overdue, forget := s.overdue(ctx)
	select {
	case end := <-performed:
		s.end(end)
	case <-overdue:
		end := conclusion{state: event.RunCanceled}
		if stop := stopOf(ctx); stop != nil {
			end = s.concludedBy(stop)
		}
		s.end(end)
	}
	forget()
	cancel(nil)
	close(finished)
	watching.Wait()
}

// late is how long after the grace a run that was told to end may take.
const late = 5 * time.Second

// overdue is closed when the run was told to end and its grace has been over for
// so long that it will not. All that is known to take its time ends with ctx;
// this is for what is not known: a system call or a library that does not return
// must not keep a run from its end. What hangs goes with this process.
func (s *supervision) overdue(ctx context.Context) (over <-chan struct{}, forget func()) {
	closed := make(chan struct{})
	var mu sync.Mutex
	var clock *time.Timer
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		clock = time.AfterFunc(s.cfg.KillGrace.D()+late, func() { close(closed) })
	})
	return closed, func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if clock != nil {
			clock.Stop()
		}
	}
}

func (s *supervision) open() error {
	if err := os.MkdirAll(string(s.dir), 0o700); err != nil {
		return err
	}
	j, err := openJournal(s.dir, s.vault.Redactor(), s.run, s.store)
	if err != nil {
		return err
	}
	j.echo = s.echo
	s.journal = j
	s.vault.OnWarning(func(text secret.Masked) { j.say(j.report.Warning(text)) })
	return nil
}

// conclusion is how the jobs ended, before anything of it is recorded.
type conclusion struct {
	state  event.RunState
	reason secret.Masked
	by     string
	jobs   []pipeline.JobResult

	interrupted bool // see stopped
}

func (s *supervision) concludedBy(stop *stopped) conclusion {
	return conclusion{state: stop.state, reason: s.journal.mask(stop.reason), by: stop.by, interrupted: stop.interrupted}
}

// perform does everything between the start of a run and the end of its last
// job.
func (s *supervision) perform(ctx context.Context) conclusion {
	p, commit, err := s.prepare(ctx)
	if err != nil {
		return s.notPerformed(ctx, err)
	}
	exec, err := s.openExecutor(ctx, p)
	if err != nil {
		return s.notPerformed(ctx, err)
	}
	h, err := s.openWorld(ctx, exec, commit.OID, declared(p))
	if err != nil {
		return s.notPerformed(ctx, err)
	}
	s.announce(p)
	if err := s.noteOnce(p); err != nil {
		return s.notPerformed(ctx, err)
	}
	push := pipeline.Push{
		SHA: commit.OID, Ref: s.run.Ref, PreviousSHA: s.run.Old, Pusher: s.run.Pusher, CommitMessage: commit.Message,
		PushedAt: s.run.PushedAt, GitDir: s.run.GitDir, Options: s.run.Options,
		FilesChanged: func(context.Context) ([]string, error) { return s.changedFiles(commit.OID) },
	}
	out := p.Run(ctx, h, pipeline.Options{Push: push, MaxJobs: s.cfg.MaxJobs, Observe: newObserver(s, p).observe})
	event.Reached(event.StepJobsOver)
	end := conclusion{state: out.State, reason: out.Reason, jobs: out.Jobs}
	if stop := stopOf(ctx); stop != nil && out.State == event.RunCanceled {
		jobs := end.jobs
		end = s.concludedBy(stop)
		end.jobs = jobs
	}
	return end
}

// prepare makes the workspace while the pipeline is loaded: the one waits for
// git, the other computes.
func (s *supervision) prepare(ctx context.Context) (*pipeline.Pipeline, gitrepo.Commit, error) {
	if !s.local { // the worker has looked, and a retry may be of an earlier runner's run
		if err := runner.Check(s.run.GitDir); err != nil {
			return nil, gitrepo.Commit{}, err
		}
	}
	repo, err := gitrepo.Open(ctx, s.run.GitDir)
	if err != nil {
		return nil, gitrepo.Commit{}, err
	}
	s.mu.Lock()
	s.repo = repo
	s.mu.Unlock()
	commit, err := repo.Commit(s.run.New)
	if err != nil {
		return nil, commit, err
	}
	s.standing = elsewhere()
	if !s.local {
		s.standing = newStanding(repo, s.run.Ref, commit.OID)
	}
	s.domain = sync.OnceValue(func() domain { return domainOf(s.cfg, s.run, s.standing) })
	var made error
	var making sync.WaitGroup
	if !s.local {
		ground, err := s.hold()
		if err != nil {
			return nil, commit, err
		}
		bounds := gitrepo.ExtentBounds{Entries: int64(s.cfg.Limits.Files), Bytes: int64(s.cfg.Limits.Workspace)}
		making.Go(func() {
			if made = makeWorkspace(ctx, ground, repo, commit.OID, bounds, s.workspace); made == nil {
				bounds, made = s.submodules(ctx, ground, repo, commit.OID, bounds)
			}
			if made == nil {
				made = s.lfs(ctx, ground, repo, commit.OID, bounds)
			}
		})
	}
	making.Go(func() { s.noteRefs(ctx) })
	p, err := s.load(ctx, repo, commit.OID)
	making.Wait()
	repo.Rest() // a child of ours that waits would be met whenever a command's last process is looked for
	event.Reached(event.StepWorkspace)
	if err == nil {
		err = made
	}
	return p, commit, err
}

func (s *supervision) load(ctx context.Context, repo *gitrepo.Repo, commit string) (*pipeline.Pipeline, error) {
	source := func() (pipeline.Source, error) { return sourceAt(repo, commit) }
	if s.local {
		source = func() (pipeline.Source, error) { return sourceIn(ctx, s.workspace) }
	}
	src, err := source()
	if err != nil {
		return nil, err
	}
	return pipeline.Load(ctx, src, pipeline.Limits{Stretch: s.cfg.Eval.Timeout.D()})
}

// notPerformed is the end of a run that came to no job.
func (s *supervision) notPerformed(ctx context.Context, err error) conclusion {
	if stop := stopOf(ctx); stop != nil {
		return s.concludedBy(stop)
	}
	s.journal.say(s.journal.report.Broken(s.journal.mask(err.Error())))
	end := conclusion{state: event.RunFailed, reason: s.journal.mask(err.Error())}
	var faults pipeline.Diagnostics
	if errors.As(err, &faults) {
		end.reason = s.journal.mask(faults.Summary())
	}
	return end
}

func (s *supervision) changedFiles(commit string) ([]string, error) {
	if event.IsZero(s.run.Old) {
		return s.repo.ChangedPaths("", commit)
	}
	files, err := s.repo.ChangedPaths(s.run.Old, commit)
	if errors.Is(err, gitrepo.ErrNotFound) {
		// The old commit was pruned: everything may have changed.
		return s.repo.ChangedPaths("", commit)
	}
	return files, err
}

func (s *supervision) openWorld(ctx context.Context, exec executor.Executor, commit string, names []string) (*world, error) {
	files, err := jobfile.OpenRoot(ctx, s.workspace)
	if err != nil {
		return nil, fmt.Errorf("open the workspace: %w", err)
	}
	h := &world{
		cfg: s.cfg, run: s.run, commit: commit, dir: s.dir, repo: s.repo, vault: s.vault, journal: s.journal,
		exec: exec, files: files, keeper: newArtifactKeeper(s.dir, int64(s.cfg.Limits.Artifacts)), store: s.store, names: names, jobs: map[string]*jobState{}, revealed: map[string]bool{},
		standing: s.standing, logs: s.logs,
	}
	if s.store != nil {
		if h.engine, err = mirror.New(s.store, lockDir(s.cfg), mirror.Network(network.Of(s.cfg))); err != nil {
			files.Close()
			return nil, err
		}
	}
	s.mu.Lock()
	s.world = h
	s.mu.Unlock()
	return h, nil
}

// noteOnce makes durable that the run has a job which must not be done twice, before
// any job begins.
func (s *supervision) noteOnce(p *pipeline.Pipeline) error {
	if s.local || !slices.ContainsFunc(p.Jobs, func(j *pipeline.Job) bool { return j.Once }) {
		return nil
	}
	return s.dir.MarkOnce()
}

// again says in the report why a commit is run once more.
func (s *supervision) again(ctx context.Context) {
	if !s.run.Rerun || s.store == nil {
		return
	}
	if old, err := s.store.Run(ctx, s.run.RetryOf); err == nil {
		s.journal.say(s.journal.report.Progress(masked.Format("run %d was interrupted: its commit is run once more", masked.Int(old.Number))))
	}
}

// announce tells which jobs there are.
func (s *supervision) announce(p *pipeline.Pipeline) {
	s.mu.Lock()
	s.pipeline = p
	s.mu.Unlock()
	ids := make([]string, len(p.Jobs))
	for i, j := range p.Jobs {
		ids[i] = j.ID
		s.journal.job(event.Job{RunID: s.run.ID, ID: j.ID, State: event.JobPending})
	}
	s.journal.report.Width = runlog.JobWidth(ids)
	s.journal.say(s.journal.report.Begin(len(p.Jobs)))
	for _, d := range p.IgnoredInputs() {
		s.journal.say(s.journal.report.Warning(s.journal.mask(fmt.Sprintf("%s:%d: %s", d.File, d.Line, d.Message))))
	}
}
