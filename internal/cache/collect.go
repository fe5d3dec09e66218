package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"quire/internal/jobfile"
)

// Keep is which domains are kept.
type Keep struct {
	Ref   func(ref string) bool // whether it exists still
	Age   time.Duration         // since the last use; 0: any
	Bytes int64                 // of all domains but the default branch's; 0: any
}

// aDay is how long after it was begun a copy or removal is taken for forgotten.
const aDay = 24 * time.Hour

// Collect removes the domains of refs that are gone, those that were not used
// for long, and of the others those used least lately, until what is left is
// within the bound. A domain in use stays. It says how many it removed.
func (s Store) Collect(ctx context.Context, keep Keep) (int, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("caches: %w", err)
	}
	var errs []error
	removed := 0
	drop := func(d held) {
		gone, err := s.remove(ctx, d.name)
		if gone {
			removed++
		}
		errs = append(errs, err)
	}
	var left []held
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > aDay {
				errs = append(errs, jobfile.Remove(ctx, filepath.Join(s.dir, e.Name())))
			}
			continue
		}
		if !e.IsDir() {
			continue
		}
		d := s.heldBy(e.Name())
		if !keep.Ref(d.ref) || keep.Age > 0 && time.Since(d.used) > keep.Age {
			drop(d)
			continue
		}
		left = append(left, d)
	}
	slices.SortFunc(left, func(a, b held) int { return b.used.Compare(a.used) })
	var sum int64
	for _, d := range left {
		if keep.Bytes <= 0 || strings.HasPrefix(d.name, Trusted) {
			continue
		}
		size, err := s.size(ctx, d.name)
		if errors.Is(err, errHeld) {
			continue // told when its run is over
		}
		errs = append(errs, err)
		if sum += min(size, math.MaxInt64-sum); sum > keep.Bytes {
			drop(d)
			sum -= size // what is older may fit
		}
	}
	return removed, errors.Join(errs...)
}

// RemoveAll removes the caches of a repository that is gone.
func (s Store) RemoveAll(ctx context.Context) (int, error) {
	n, err := s.Collect(ctx, Keep{Ref: func(string) bool { return false }})
	if err != nil {
		return n, err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.IsDir() }) {
		return n, err // a domain is in use
	}
	return n, os.RemoveAll(s.dir)
}

// held is a domain and what is known of it.
type held struct {
	name, ref string
	used      time.Time
}

func (s Store) heldBy(name string) held {
	d := held{name: name}
	if ref, err := os.ReadFile(s.file(name, ".ref")); err == nil {
		d.ref = string(ref)
	}
	if info, err := os.Stat(s.file(name, ".lock")); err == nil {
		d.used = info.ModTime()
	}
	return d
}

// remove takes a domain away, unless it is in use.
func (s Store) remove(ctx context.Context, name string) (bool, error) {
	lock, err := s.lock(ctx, name, exclusive)
	if errors.Is(err, errHeld) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	temp, err := os.MkdirTemp(s.dir, tempPrefix)
	if err == nil {
		err = os.Rename(filepath.Join(s.dir, name), filepath.Join(temp, "domain"))
	}
	if err == nil {
		err = errors.Join(remove(s.file(name, ".ref")), remove(s.file(name, ".size")), remove(s.file(name, ".lock")))
	}
	lock.Close()
	if err != nil {
		return false, fmt.Errorf("remove caches: %w", err)
	}
	if err := jobfile.Remove(ctx, temp); err != nil {
		return true, fmt.Errorf("remove caches: %w", err)
	}
	return true, nil
}

// size is how much a domain holds that is not in use; errHeld if it is.
func (s Store) size(ctx context.Context, name string) (int64, error) {
	text, err := os.ReadFile(s.file(name, ".size"))
	if err == nil {
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			return n, nil
		}
	}
	lock, err := s.lock(ctx, name, exclusive)
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	n, err := s.measure(ctx, name)
	if err == nil {
		err = write(s.file(name, ".size"), strconv.FormatInt(n, 10))
	}
	return n, err
}

// measure adds up the sizes of a domain's files, each as whole blocks. What is
// too much to be counted counts as more than any bound.
func (s Store) measure(ctx context.Context, name string) (int64, error) {
	root, err := jobfile.OpenRoot(ctx, filepath.Join(s.dir, name))
	if err != nil {
		return 0, err
	}
	defer root.Close()
	const block = 4096
	var sum int64
	err = root.Walk(ctx, ".", jobfile.Bounds{Entries: 1_000_000, Depth: 1000}, func(e jobfile.Entry) error {
		sum += block
		if e.IsRegular() {
			sum += min((e.Size()+block-1)&^(block-1), math.MaxInt64/2)
		}
		if sum < 0 || sum > math.MaxInt64/2 {
			return errTooMuch
		}
		return nil
	})
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err != nil {
		return math.MaxInt64 / 2, nil
	}
	return sum, nil
}

var errTooMuch = errors.New("too much to count")
