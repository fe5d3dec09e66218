package supervise

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"quire/internal/cache"
	"quire/internal/event"
	"quire/internal/executor"
	"quire/internal/jobfile"
	"quire/pipeline"
)

// caches makes the directories of the pipeline's caches and says where commands
// are to find them. They are those of the run's domain; runs of a domain at the
// same time share them. A relative path lies in the workspace: where nothing can
// be mounted (on the host) it becomes a link to the cache, unless the commit has
// something there. An absolute path can only be had in a sandbox or container.
func (s *supervision) caches(ctx context.Context, p *pipeline.Pipeline, use string) ([]executor.Mount, error) {
	if s.local || len(p.Caches) == 0 {
		return nil, nil // a checkout keeps what it has by itself
	}
	d := s.domain()
	kept, err := cache.Of(s.cfg.StateDir, s.run.GitDir).Use(ctx, d.own, s.run.Ref)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.cache = kept
	s.mu.Unlock()
	bound := &cache.Bound{Bytes: int64(s.cfg.Cache.Seed)}
	var out []executor.Mount
	for _, c := range p.Caches {
		for i, path := range c.Paths {
			dir, copied, err := kept.Dir(ctx, c.Name, i, d.trusted, bound)
			if err != nil {
				return nil, fmt.Errorf("cache %s: %w", c.Name, err)
			}
			s.sayCopied(c.Name, copied)
			target := path.String()
			if !path.Absolute() {
				if err := s.exclude(ctx, target); err != nil {
					return nil, fmt.Errorf("cache %s: %w", c.Name, err)
				}
				if use == "host" {
					if err := s.linkCache(ctx, target, dir); err != nil {
						return nil, fmt.Errorf("cache %s: %w", c.Name, err)
					}
					continue
				}
				target = filepath.Join(s.workspace, target)
			}
			out = append(out, executor.Mount{Source: dir, Target: target, Writable: true})
		}
	}
	return out, nil
}

// sayCopied tells of a cache that was begun with the default branch's, if that
// took long or did not do.
func (s *supervision) sayCopied(name string, c cache.Copied) {
	branch := event.ShortRef(s.standing.branch)
	text := ""
	switch {
	case errors.Is(c.Err, cache.ErrBound):
		text = fmt.Sprintf("cache %s begins empty: that of %s holds more than [cache] seed copies, %d MiB", name, branch, s.cfg.Cache.Seed>>20)
	case c.Err != nil:
		text = fmt.Sprintf("cache %s begins empty: that of %s cannot be copied: %v", name, branch, c.Err)
	case c.Took > time.Second:
		text = fmt.Sprintf("cache %s begins with that of %s: %d MiB copied in %s", name, branch, c.Bytes>>20, c.Took.Round(100*time.Millisecond))
	default:
		return
	}
	s.journal.say(s.journal.report.Progress(s.journal.mask(text)))
}

// exclude keeps a cache out of the workspace's git status.
func (s *supervision) exclude(ctx context.Context, target string) error {
	root, err := jobfile.OpenRoot(ctx, s.workspace)
	if err != nil {
		return err
	}
	defer root.Close()
	return root.Append(ctx, ".git/info/exclude", []byte("/"+excludePattern(target)+"\n"))
}

// excludePattern writes a path as gitignore(5) reads it back. That it is one line
// is checked.CachePath's doing.
func excludePattern(path string) string {
	path = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
	if strings.HasSuffix(path, " ") {
		path = strings.TrimSuffix(path, " ") + `\ ` // else it is taken for white space at the end
	}
	return path
}

func (s *supervision) linkCache(ctx context.Context, target, dir string) error {
	root, err := jobfile.OpenRoot(ctx, s.workspace)
	if err != nil {
		return err
	}
	defer root.Close()
	return root.Link(ctx, dir, target)
}

// closeCache lets go of the run's caches, when nothing of the run is left.
func (s *supervision) closeCache() {
	s.mu.Lock()
	kept := s.cache
	s.cache = nil
	s.mu.Unlock()
	if kept == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	kept.Close(ctx) // what was not measured is, by who wants to know
}
