package supervise

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"quire/internal/executor"
	"quire/internal/jobfile"
	"quire/internal/runlog"
	"quire/pipeline"
)

// caches makes the directories of the pipeline's caches and says where commands
// are to find them. A cache belongs to its repository; runs at the same time
// share it. A relative path lies in the workspace: where nothing can be mounted
// (on the host) it becomes a link to the cache, unless the commit has something
// there. An absolute path can only be had in a sandbox or container.
func (s *supervision) caches(ctx context.Context, p *pipeline.Pipeline, use string) ([]executor.Mount, error) {
	if s.local {
		return nil, nil // a checkout keeps what it has by itself
	}
	var out []executor.Mount
	repo := sha256.Sum256([]byte(s.run.GitDir))
	base := filepath.Join(s.cfg.StateDir, "cache", fmt.Sprintf("%x", repo[:8]))
	for _, c := range p.Caches {
		for i, path := range c.Paths {
			dir := filepath.Join(base, runlog.EncodeJob(c.Name), strconv.Itoa(i))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, fmt.Errorf("cache %s: %w", c.Name, err)
			}
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
