package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"quire/internal/cache"
	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/jobfile"
	"quire/internal/runlog"
	"quire/internal/spool"
	"quire/internal/store"
)

// Collected is what Collect removed, and what it could not.
type Collected struct {
	Runs       int
	Pushes     int
	Workspaces int
	Leftovers  int // run directories and locks that no run belongs to
	Caches     int // domains of caches
	Cut        int // runs and caches that went, in whole or part, for [retention] disk
	Errors     []error
}

// Collect removes what retention does not keep: rows, logs, and answers to
// pushes together, for each repository; besides, workspaces whose deletion
// failed, and files of runs that are in no store. What cannot be removed is
// told and stays for the next time. A run that somebody follows is left alone.
func Collect(ctx context.Context, cfg *config.Config, st *store.Store) (Collected, error) {
	var c Collected
	repos, err := st.Repositories(ctx)
	if err != nil {
		return c, err
	}
	for _, gitDir := range repos {
		if err := c.repository(ctx, cfg, st, gitDir); err != nil {
			return c, err
		}
	}
	if err := c.leftovers(ctx, cfg, st); err != nil {
		return c, err
	}
	c.allCaches(ctx, cfg)
	if err := c.disk(ctx, cfg, st, repos); err != nil {
		return c, err
	}
	c.spool(cfg)
	return c, nil
}

// maxAside is how many files are kept of each kind that was set aside.
const maxAside = 1000

func (c *Collected) spool(cfg *config.Config) {
	d := spool.Dir(cfg.StateDir)
	c.try(d.Clean(time.Hour))
	c.try(d.Expire(cfg.Retention.Age.D(), maxAside))
}

func (c *Collected) try(err error) {
	if err != nil {
		c.Errors = append(c.Errors, err)
	}
}

func (c *Collected) repository(ctx context.Context, cfg *config.Config, st *store.Store, gitDir string) error {
	var before time.Time
	if age := cfg.Retention.Age.D(); age > 0 {
		before = time.Now().Add(-age)
	}
	var gone []string
	for at := int64(0); ; {
		expired, err := st.Expired(ctx, gitDir, cfg.Retention.Runs, before, at)
		if err != nil {
			return err
		}
		if len(expired) == 0 {
			break
		}
		at = expired[len(expired)-1].Number
		var ids []string
		for _, r := range expired {
			d := runlog.RunDir(cfg.StateDir, r.ID)
			if followed(d) {
				continue
			}
			// Files first: a kill in between leaves a row without logs, which the next
			// time removes; the other way round would leave logs nobody knows of.
			if err := jobfile.Remove(ctx, string(d)); err != nil {
				c.try(err)
				continue
			}
			ids = append(ids, r.ID)
		}
		some, err := st.Remove(ctx, ids)
		if err != nil {
			return err
		}
		c.Runs += len(ids)
		gone = append(gone, some...)
	}
	if !before.IsZero() {
		idle, err := st.RemoveIdlePushes(ctx, gitDir, before)
		if err != nil {
			return err
		}
		gone = append(gone, idle...)
	}
	c.try(forgetCommits(ctx, st, gitDir))
	for _, id := range gone {
		c.try(runlog.RemoveTaken(cfg.StateDir, id))
		c.Pushes++
	}
	return nil
}

// followed reports whether somebody reads the run's files as they grow: a
// follower holds a shared lock on what it has open (runlog.Follow). Only logs are
// followed, and only quire writes those.
func followed(d runlog.Dir) bool {
	logs := []string{d.PushLog(), d.Events()}
	for _, pattern := range []string{"jobs/*/*.log", "services/*.log"} {
		found, _ := filepath.Glob(filepath.Join(string(d), pattern)) // the pattern is well formed
		logs = append(logs, found...)
	}
	return slices.ContainsFunc(logs, func(log string) bool {
		f, err := os.Open(log)
		if err != nil {
			return false // what cannot be read, nobody follows
		}
		defer f.Close()
		return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
	})
}

// leftovers looks at the run directories themselves.
func (c *Collected) leftovers(ctx context.Context, cfg *config.Config, st *store.Store) error {
	entries, err := os.ReadDir(filepath.Join(cfg.StateDir, "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for leftovers: %w", err)
	}
	for _, e := range entries {
		id := e.Name()
		if !event.ValidID(id) {
			continue // none of ours
		}
		d := runlog.RunDir(cfg.StateDir, id)
		r, err := st.Run(ctx, id)
		switch {
		case errors.Is(err, store.ErrNone):
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
				c.leftover(jobfile.Remove(ctx, string(d)))
			}
		case err != nil:
			return err
		case r.State.Final():
			var left []string
			for _, dir := range []string{d.Scratch(), d.Workspace()} {
				if _, err := os.Lstat(dir); err == nil && (dir == d.Scratch() || !keepsWorkspace(cfg, r)) {
					left = append(left, dir)
				}
			}
			if len(left) == 0 {
				continue
			}
			lock, err := store.LockRun(cfg.StateDir, id)
			if err != nil {
				continue // its supervisor is about to remove it
			}
			for _, dir := range left {
				err := jobfile.Remove(ctx, dir)
				c.try(err)
				if err == nil && dir == d.Workspace() {
					c.Workspaces++
				}
			}
			lock.Remove()
		}
	}
	return nil
}

func (c *Collected) leftover(err error) {
	c.try(err)
	if err == nil {
		c.Leftovers++
	}
}

// collect removes old runs of the repositories that had new ones since.
func (w *worker) collect(ctx context.Context) {
	repos, err := w.store.Repositories(ctx)
	if err != nil {
		w.tell("look for old runs", err)
		return
	}
	cfg := w.cfg
	const spooled = "" // no repository's
	if !w.collected[spooled] {
		w.collected[spooled] = true
		w.tidier.add("remove what was set aside", func(context.Context) error {
			var c Collected
			c.spool(cfg)
			return errors.Join(c.Errors...)
		})
	}
	looked := false
	for _, gitDir := range repos {
		if w.collected[gitDir] {
			continue
		}
		looked = true
		w.collected[gitDir] = true
		st := w.store
		w.tidier.add("remove old runs", func(ctx context.Context) error {
			var c Collected
			c.try(c.repository(ctx, cfg, st, gitDir))
			c.caches(ctx, cfg, cache.Of(cfg.StateDir, gitDir))
			return errors.Join(c.Errors...)
		})
	}
	if !looked {
		return
	}
	st := w.store
	w.tidier.add("keep to [retention] disk", func(ctx context.Context) error {
		var c Collected
		c.try(c.disk(ctx, cfg, st, repos))
		return errors.Join(c.Errors...)
	})
}
