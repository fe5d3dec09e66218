package main

import (
	"path/filepath"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/network"
	"quire/internal/store"
	"quire/internal/worker"
	"quire/mirror"
)

// network looks whether the files that [network] and the mirrors name can be used.
func (e *exam) network(cfg *config.Config) {
	told := map[string]bool{}
	tell := func(of string, r network.Route) {
		if _, err := r.TLS(); err != nil && !told[err.Error()] {
			told[err.Error()] = true
			e.bad("network", "", "%s: %v", of, err)
		}
	}
	tell("[network]", network.Of(cfg))
	for _, m := range cfg.Mirrors {
		tell("mirror "+m.Name, network.OfMirror(cfg, m))
	}
}

// mirrors looks at what the ledger says of the copies; no remote is asked.
func (e *exam) mirrors(cfg *config.Config, s *store.Store) {
	engine, err := mirror.New(s, filepath.Join(cfg.StateDir, "locks"))
	var list []mirror.TargetStatus
	if err == nil {
		list, err = engine.Status(e.ctx, "", worker.MirrorOrders(cfg))
	}
	if err != nil {
		e.bad("mirrors", "", "%v", err)
		return
	}
	inStep := 0
	for _, t := range list {
		repo := event.RepoName(t.GitDir)
		found := len(e.findings)
		switch {
		case t.Retired != "":
			e.warn("mirrors", "quire mirror forget "+repo, "%s → %s: %s", repo, t.Target, t.Retired)
		case t.New:
			e.warn("mirrors", "quire mirror sync "+t.GitDir, "%s → %s: nothing was delivered there yet", repo, t.Target)
		case t.LookClass != "":
			e.warn("mirrors", "quire mirror status "+repo, "%s → %s could not be looked at: %s: %s", repo, t.Target, t.LookClass, t.LookError)
		case t.Drift():
			e.warn("mirrors", "quire mirror status "+repo, "%s → %s is not in step", repo, t.Target)
		}
		if t.EndsSoon(time.Now()) {
			e.warn("mirrors", "renew it in its source; nothing has to be set up anew", "secret %s of %s → %s ends on %s", t.Secret, repo, t.Target, t.Expires.Format(time.DateOnly))
		}
		if t.StatusError != "" {
			e.warn("mirrors", "", "%s → %s: commit statuses wait: %s", repo, t.Target, t.StatusError)
		}
		if len(e.findings) == found {
			inStep++
		}
	}
	if inStep > 0 {
		e.ok("mirrors", "%d in step", inStep)
	}
}
