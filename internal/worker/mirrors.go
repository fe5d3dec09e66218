package worker

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"sync"

	"quire/internal/config"
	"quire/internal/secret"
	"quire/mirror"
)

// MirrorOrders are the configuration's [[mirror]] tables.
func MirrorOrders(cfg *config.Config) []mirror.Order {
	var out []mirror.Order
	for _, m := range cfg.Mirrors {
		out = append(out, mirror.Order{
			Target: mirror.Target{Name: m.Name, URL: m.URL, Secret: m.Secret, Force: m.Force, Delete: m.Delete,
				RetryFor: m.RetryFor.D(), Forge: m.Forge, API: m.API, Create: m.Create},
			Repos: m.Repos, Refs: m.Refs, Exclude: m.Exclude, Statuses: m.Status,
		})
	}
	return out
}

// MirrorSecret reveals the secret of a mirror outside of any run. A secret's
// refs and jobs limit which pipelines may have it. Here the operator's own
// order names it, or a pipeline's that was admitted when it was given; so only
// the limit to repositories counts.
func MirrorSecret(ctx context.Context, cfg *config.Config, gitDir, name string) (secret.Value, error) {
	ours := *cfg
	ours.Secrets = maps.Clone(cfg.Secrets)
	if s, ok := ours.Secrets[name]; ok {
		s.Refs, s.Jobs, s.Protect = nil, nil, false
		ours.Secrets[name] = s
	}
	return secret.Open(&ours).Reveal(ctx, name, secret.Scope{GitDir: gitDir, Protected: true})
}

// keepMirrors starts what delivers to mirrors beside the worker's own loop. The
// function it returns ends that; what is owed then stays owed.
func (w *worker) keepMirrors(ctx context.Context) (stop func(), err error) {
	engine, err := mirror.New(w.store, filepath.Join(w.cfg.StateDir, "locks"), mirror.Log(w.Log))
	if err != nil {
		return nil, err
	}
	w.mirrors = mirror.NewKeeper(engine, mirror.KeeperOptions{
		Orders: MirrorOrders(w.cfg), KnownHosts: w.cfg.SSH.KnownHosts, Tell: w.sayMirrored,
		Secret: func(ctx context.Context, gitDir, name string, _ []string) (secret.Value, error) {
			return MirrorSecret(ctx, w.cfg, gitDir, name)
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

// sayMirrored logs what a person should know of a mirror. It is called from the
// keeper's goroutines, so it touches nothing of the worker's but the log.
func (w *worker) sayMirrored(n mirror.Notice) {
	log := w.Log.With("repository", n.GitDir)
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
	if !n.Expires.IsZero() {
		log.Warn("a mirror's credential ends soon", "mirror", n.Target, "on", n.Expires)
	}
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
