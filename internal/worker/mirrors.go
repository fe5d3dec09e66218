package worker

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/network"
	"quire/internal/secret"
	"quire/internal/wall"
	"quire/mirror"
)

// MirrorOrders are the configuration's [[mirror]] tables.
func MirrorOrders(cfg *config.Config) []mirror.Order {
	var out []mirror.Order
	for _, m := range cfg.Mirrors {
		out = append(out, mirror.Order{
			Target: mirror.Target{Name: m.Name, URL: m.URL, Secret: m.Secret, Force: m.Force, Delete: m.Delete,
				RetryFor: m.RetryFor.D(), Forge: m.Forge, API: m.API, Create: m.Create, Route: network.OfMirror(cfg, m)},
			Repos: m.Repos, Refs: m.Refs, Exclude: m.Exclude, Statuses: m.Status,
		})
	}
	return out
}

// MirrorSecret reveals the secret of a mirror outside of any run. A secret's
// refs, jobs and pushers limit which pipelines may have it. Here the operator's own
// order names it, or a pipeline's that was admitted when it was given; so only
// the limit to repositories counts.
func MirrorSecret(ctx context.Context, cfg *config.Config, gitDir, name string) (secret.Value, error) {
	ours := *cfg
	ours.Secrets = maps.Clone(cfg.Secrets)
	if s, ok := ours.Secrets[name]; ok {
		s.Refs, s.Jobs, s.Pushers, s.Protect = nil, nil, nil, config.Unprotected
		ours.Secrets[name] = s
	}
	return secret.Open(&ours).Reveal(ctx, name, secret.Scope{GitDir: gitDir, Protected: true})
}

// keepMirrors starts what delivers to mirrors beside the worker's own loop. The
// function it returns ends that; what is owed then stays owed.
func (w *worker) keepMirrors(ctx context.Context) (stop func(), err error) {
	cfg := w.cfg // other goroutines see this one
	// What fails is tried again by the ledger's clock, and not within an attempt:
	// so a pusher hears of it at once.
	engine, err := mirror.New(w.store, filepath.Join(cfg.StateDir, "locks"), mirror.Log(w.Log), mirror.Pauses(), mirror.Network(network.Of(cfg)))
	if err != nil {
		return nil, err
	}
	w.mirrors = mirror.NewKeeper(engine, mirror.KeeperOptions{
		Orders: MirrorOrders(cfg), KnownHosts: cfg.SSH.KnownHosts, Ended: w.stir, Begin: w.beginMirror, Aside: w.mirrorAside,
		Tell: func(n mirror.Notice) { w.sayMirrored(cfg, n) },
		Wall: func(gitDir string) (mirror.Wall, error) { return wall.Mirrors(cfg, gitDir) },
		Secret: func(ctx context.Context, gitDir, name string) (secret.Value, error) {
			return MirrorSecret(ctx, cfg, gitDir, name)
		},
	})
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { w.mirrors.Run(ctx) })
	return func() {
		cancel()
		keeping.Wait()
	}, nil
}

// beginMirror notes that a delivery is in work. It is called from the keeper's
// goroutines, and uses nothing of the worker that changes.
func (w *worker) beginMirror(gitDir, url string) (end func(), err error) {
	note, err := w.attempts.begin(workMirror, mirrorNote(gitDir, url))
	if err != nil {
		return nil, err
	}
	return note.done, nil
}

// mirrorAside is why a target is left alone.
func (w *worker) mirrorAside(gitDir, url string) error {
	what := mirrorNote(gitDir, url)
	if deaths := w.attempts.deaths(workMirror, what); deaths >= maxDeaths {
		return fmt.Errorf("%w (quire mirror sync, or removing %s)", errSetAside, w.attempts.file(workMirror, what))
	}
	return nil
}

func mirrorNote(gitDir, url string) string { return gitDir + " → " + url }

// RetryMirror lets a target be delivered to again that was set aside.
func RetryMirror(cfg *config.Config, gitDir, url string) {
	attemptsIn(cfg.StateDir, "").forget(workMirror, mirrorNote(gitDir, url))
}

// sayMirrored logs what a person should know of a mirror. It is called from the
// keeper's goroutines, so it touches nothing of the worker's but the log.
func (w *worker) sayMirrored(cfg *config.Config, n mirror.Notice) {
	log := w.Log.With("repository", n.GitDir)
	for _, text := range n.Report.Warnings {
		log.Warn("mirror", "mirror", n.Report.Target, "warning", text)
	}
	switch {
	case n.Err != nil:
		log.Error("mirror", "error", n.Err)
	case len(n.Drift) > 0:
		for _, d := range n.Drift {
			log.Warn("somebody changed a mirror", "mirror", n.Target, "ref", d.Ref, "put", d.Put, "there", d.There)
		}
	case !n.Report.OK():
		log.Error("mirror", "error", n.Report.Err())
	}
	w.tellOfMirror(cfg, n)
	if !n.Expires.IsZero() {
		log.Warn("a mirror's credential ends soon", "mirror", n.Target, "on", n.Expires)
	}
}

// showJobs has a run's jobs shown as commit statuses at the mirrors that want
// them: how they end when the run is over, and before that which ones there are,
// if anybody has the time to see it.
func (w *worker) showJobs(ctx context.Context, id string) {
	if !slices.ContainsFunc(w.cfg.Mirrors, func(m config.Mirror) bool { return m.Status }) {
		return
	}
	r, err := w.store.Run(ctx, id)
	if err != nil || r.Branch() == "" {
		w.tell("show the jobs of run "+id, err)
		return
	}
	jobs, err := w.store.Jobs(ctx, id)
	if err != nil {
		w.tell("show the jobs of run "+id, err)
		return
	}
	shown := w.shown[id]
	if shown == nil {
		shown = map[string]event.JobState{}
		w.shown[id] = shown
	}
	var list []mirror.CommitStatus
	for _, j := range jobs {
		if shown[j.ID] == j.State {
			continue
		}
		shown[j.ID] = j.State
		if s := statusOf(j); s.State != "" {
			s.URL = w.page(r)
			list = append(list, s)
		}
	}
	if r.State.Final() {
		delete(w.shown, id)
	}
	w.tell("show the jobs of run "+id, w.mirrors.Report(ctx, r.GitDir, r.New, list))
}

// statusOf is a job as a forge shows it. None has a state for a skipped one, and
// one that was pending must not stay so: it is a success, whose text says more.
func statusOf(j event.Job) mirror.CommitStatus {
	s := mirror.CommitStatus{Context: "quire/" + strings.TrimPrefix(j.ID, "quire/"), Description: string(j.State)}
	switch j.State {
	case event.JobPending:
		s.State = mirror.StatePending
	case event.JobRunning:
		s.State = mirror.StateRunning
	case event.JobSkipped:
		s.State = mirror.StateSuccess
	case event.JobSucceeded:
		s.State, s.Description = mirror.StateSuccess, "in "+j.Duration.Round(100*time.Millisecond).String()
	case event.JobFailed:
		s.State = mirror.StateFailure
	case event.JobBlocked, event.JobCanceled:
		s.State = mirror.StateError
	}
	if !j.Reason.IsZero() && j.State != event.JobSucceeded {
		s.Description += ": " + j.Reason.String()
	}
	return s
}

// mirroring reports whether the worker must stay for mirrors: something is under
// way, or is owed and will be tried again. With Once, only what is due now.
func (w *worker) mirroring(ctx context.Context) bool {
	busy, next, err := w.mirrors.Busy(ctx)
	if err != nil {
		w.tell("look for deliveries", fmt.Errorf("mirrors: %w", err))
		return false
	}
	return busy || !next.IsZero() && !w.Once
}
