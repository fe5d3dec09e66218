package main

import (
	"context"
	"fmt"
	"log/slog"

	"quire/hooks/install"
	"quire/internal/account"
	"quire/internal/config"
	"quire/internal/intake"
	"quire/internal/spool"
)

// dropped takes pushes out of the drop directories of the repositories that this
// user is the runner of, and reports whether one is in the spool now, or there is
// more to look at.
func dropped(cfg *config.Config, log *slog.Logger) func(ctx context.Context, known []string) bool {
	drops := intake.Drops{Check: intake.Checker{Runs: mine}, Spool: spool.Dir(cfg.StateDir), Account: account.ByUID}
	var registry install.Registry
	if libexec, err := install.Libexec(); err == nil {
		registry = install.RegistryOf(libexec)
	}
	said := map[string]bool{}
	return func(ctx context.Context, known []string) bool {
		notes, err := registry.Notes() // somebody's word: mine asks the repository
		if err != nil && !said[err.Error()] {
			said[err.Error()] = true
			log.Error("list repositories", "error", err)
		}
		for _, note := range notes {
			known = append(known, note.Path)
		}
		found, seen := false, map[string]bool{}
		for _, gitDir := range known {
			if runs, err := mine(gitDir); seen[gitDir] || !runs || err != nil {
				continue
			}
			seen[gitDir] = true
			t, err := drops.Take(ctx, gitDir)
			found = found || len(t.Pushes) > 0 || t.More
			for _, p := range t.Pushes {
				log.Info("a push was handed over", "repository", gitDir, "push", p.ID, "pusher", p.Pusher)
			}
			for _, why := range t.Refused {
				log.Warn("what was handed over is no push and is removed", "repository", gitDir, "error", why)
			}
			if t.Removed > len(t.Refused) {
				log.Warn("more such files are removed", "repository", gitDir, "files", t.Removed-len(t.Refused))
			}
			if stuck := fmt.Sprintf("%d directories in %s can be removed only by root or their owners", t.Stuck, intake.DropDir(gitDir)); t.Stuck > 0 && !said[stuck] {
				said[stuck] = true
				log.Warn(stuck)
			}
			if err != nil && !said[err.Error()] {
				said[err.Error()] = true
				log.Error("take in what was handed over", "repository", gitDir, "error", err)
			}
		}
		return found
	}
}
