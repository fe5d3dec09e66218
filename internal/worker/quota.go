package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"quire/internal/cache"
	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/jobfile"
	"quire/internal/runlog"
	"quire/internal/store"
)

// [retention] disk bounds what the finished runs and the caches of a repository
// take, and disk_total those of all repositories. The oldest go first: of a run
// its logs and the files that it kept, while its row, its report and its outcome
// stay and say so; of the caches whole domains, those of default branches last.

// holding is something on the disk that can go.
type holding struct {
	used  time.Time // the oldest goes first
	last  bool      // after all others
	bytes int64
	// remove is what makes it go. It says how many bytes that gave: none if it is in
	// use.
	remove func(context.Context) (int64, error)
}

// fit removes holdings until the rest is within the bound, and returns the rest.
func fit(ctx context.Context, all []holding, bound config.Size) (rest []holding, removed int, err error) {
	var sum int64
	for _, h := range all {
		sum += h.bytes
	}
	if bound <= 0 || sum <= int64(bound) {
		return all, 0, nil
	}
	slices.SortStableFunc(all, func(a, b holding) int {
		if a.last != b.last {
			if a.last {
				return 1
			}
			return -1
		}
		return a.used.Compare(b.used)
	})
	var errs []error
	for i, h := range all {
		if sum <= int64(bound) || ctx.Err() != nil {
			return append(rest, all[i:]...), removed, errors.Join(errs...)
		}
		freed, err := h.remove(ctx)
		errs = append(errs, err)
		if freed > 0 {
			removed++
		}
		sum -= freed
		if h.bytes -= freed; h.bytes > 0 {
			rest = append(rest, h)
		}
	}
	return rest, removed, errors.Join(errs...)
}

// repositoryDisk brings a repository within its bound, and returns what it holds.
func (c *Collected) repositoryDisk(ctx context.Context, cfg *config.Config, st *store.Store, gitDir string) ([]holding, error) {
	if cfg.Retention.Disk <= 0 && cfg.Retention.DiskTotal <= 0 {
		return nil, nil
	}
	all, err := runHoldings(ctx, cfg, st, gitDir)
	if err != nil {
		return nil, err
	}
	caches, err := cacheHoldings(ctx, cache.Of(cfg.StateDir, gitDir))
	c.try(err)
	rest, removed, err := fit(ctx, append(all, caches...), cfg.Retention.Disk)
	c.Cut += removed
	c.try(err)
	return rest, nil
}

// disk brings each of the repositories, and all together, within their bounds.
func (c *Collected) disk(ctx context.Context, cfg *config.Config, st *store.Store, repos []string) error {
	var all []holding
	for _, gitDir := range repos {
		rest, err := c.repositoryDisk(ctx, cfg, st, gitDir)
		if err != nil {
			return err
		}
		all = append(all, rest...)
	}
	_, removed, err := fit(ctx, all, cfg.Retention.DiskTotal)
	c.Cut += removed
	c.try(err)
	return nil
}

func runHoldings(ctx context.Context, cfg *config.Config, st *store.Store, gitDir string) ([]holding, error) {
	var out []holding
	before := int64(0) // the newest page
	for {
		page, err := st.Runs(ctx, store.Filter{GitDir: gitDir, Before: before, Limit: 500})
		if err != nil || len(page) == 0 {
			return out, err
		}
		before = page[len(page)-1].Number
		for _, r := range page {
			if !r.State.Final() {
				continue
			}
			d := runlog.RunDir(cfg.StateDir, r.ID)
			if bytes := runSize(ctx, d); bytes > 0 {
				out = append(out, holding{used: r.FinishedAt, bytes: bytes, remove: func(ctx context.Context) (int64, error) {
					return cutRun(ctx, cfg, r, bytes)
				}})
			}
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
	}
}

// lasting are the files of a finished run that say what it was, and stay.
var lasting = []string{"push.log", "outcome", runlog.RemovedName, sizeName}

// sizeName is the file of a finished run that holds how much it takes, since
// nothing is added to it any more.
const sizeName = "size"

// cutRun removes all of a run but what says how it ended.
func cutRun(ctx context.Context, cfg *config.Config, r event.Run, bytes int64) (freed int64, err error) {
	d := runlog.RunDir(cfg.StateDir, r.ID)
	lock, err := store.LockRun(cfg.StateDir, r.ID)
	if errors.Is(err, store.ErrHeld) || err == nil && followed(d) {
		if lock != nil {
			lock.Remove()
		}
		return 0, nil // its supervisor is about to end, or somebody reads it
	}
	if err != nil {
		return 0, err
	}
	defer lock.Remove()
	// Said first: a kill in between leaves logs that are told to be gone, and are the
	// next time.
	if err := d.MarkRemoved(); err != nil {
		return 0, err
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return 0, err
	}
	os.Remove(filepath.Join(string(d), sizeName))
	var errs []error
	for _, e := range entries {
		if !slices.Contains(lasting, e.Name()) {
			errs = append(errs, jobfile.Remove(ctx, filepath.Join(string(d), e.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return 0, fmt.Errorf("remove the logs of run %d: %w", r.Number, err)
	}
	return max(0, bytes-runSize(ctx, d)), nil
}

// runSize is what a finished run takes on disk, in bytes.
func runSize(ctx context.Context, d runlog.Dir) int64 {
	name := filepath.Join(string(d), sizeName)
	if text, err := os.ReadFile(name); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	n, err := diskUse(ctx, string(d))
	if err != nil {
		return n // what could be counted
	}
	for _, dir := range []string{d.Workspace(), d.Scratch()} {
		if _, err := os.Lstat(dir); err == nil {
			return n // which a person, or the next look for leftovers, takes away
		}
	}
	os.WriteFile(name, fmt.Appendf(nil, "%d\n", n), 0o600) // if not, it is counted again
	return n
}

// diskUse adds up the files below a directory, each as whole blocks. An error
// comes with what was counted until then.
func diskUse(ctx context.Context, dir string) (sum int64, err error) {
	const block = 4096
	root, err := jobfile.OpenRoot(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	err = root.Walk(ctx, ".", jobfile.Bounds{Entries: 2_000_000, Depth: 500}, func(e jobfile.Entry) error {
		sum += block
		if e.IsRegular() {
			// A file with holes counts for more than it takes: it is the job's to say so.
			sum += min((e.Size()+block-1)&^(block-1), 1<<50)
		}
		return nil
	})
	return sum, err
}

func cacheHoldings(ctx context.Context, s cache.Store) ([]holding, error) {
	held, err := s.Holdings(ctx)
	var out []holding
	for _, h := range held {
		out = append(out, holding{used: h.Used, last: h.Trusted, bytes: min(h.Bytes, 1<<50), remove: func(ctx context.Context) (int64, error) {
			gone, err := s.Drop(ctx, h.Name)
			if !gone {
				return 0, err
			}
			return min(h.Bytes, 1<<50), err
		}})
	}
	return out, err
}
