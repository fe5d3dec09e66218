package worker

import (
	"context"
	"os"
	"path/filepath"

	"quire/internal/cache"
	"quire/internal/config"
	"quire/internal/gitrepo"
	"quire/internal/jobfile"
)

// allCaches removes the caches that are not kept, of every repository that has
// some, and those of a quire that knew no domains: anybody may have written them.
func (c *Collected) allCaches(ctx context.Context, cfg *config.Config) {
	stores, err := cache.All(cfg.StateDir)
	c.try(err)
	for _, s := range stores {
		c.caches(ctx, cfg, s)
	}
	old := filepath.Join(cfg.StateDir, "cache")
	if _, err := os.Lstat(old); err == nil {
		c.leftover(jobfile.Remove(ctx, old))
	}
}

// caches removes what is not kept of a repository's caches.
func (c *Collected) caches(ctx context.Context, cfg *config.Config, s cache.Store) {
	if s.Empty() {
		return
	}
	if gitrepo.Gone(s.GitDir) {
		n, err := s.RemoveAll(ctx)
		c.Caches += n
		c.try(err)
		return
	}
	repo, err := gitrepo.Open(ctx, s.GitDir)
	if err != nil {
		c.try(err)
		return
	}
	defer repo.Close()
	n, err := s.Collect(ctx, cache.Keep{
		Ref: func(ref string) bool {
			_, found, err := repo.ResolveRef(ref)
			return err != nil || found // what cannot be told is kept
		},
		Age: cfg.Retention.Age.D(), Bytes: int64(cfg.Cache.Keep),
	})
	c.Caches += n
	c.try(err)
}
