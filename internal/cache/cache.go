// Package cache keeps the directories that a pipeline wants between its runs
// (ci.cache), so that what a run leaves there reaches only runs that may trust
// it.
//
// The caches of a repository are divided into domains (supervise.domain says
// which run has which). A run writes its own domain's alone. Where that has none
// yet, it begins with a copy of the trusted domain's, the default branch's: a
// copy and not an overlay, which would change under the run while the default
// branch's own runs write below it, and not hard links, which would write
// through.
//
//	STATE/caches/REPO/repository     path of the repository
//	                 /DOMAIN/NAME/N  the Nth path of the cache NAME
//	                 /DOMAIN.ref     the ref whose runs it is of
//	                 /DOMAIN.size    how much it holds, once measured
//	                 /DOMAIN.lock    held shared (flock) by its runs
//	                 /.tmp-*         being copied, or being removed
//
// Only what is below N is a job's; the rest is quire's own.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"quire/internal/runlog"
)

// Trusted is how the name of a default branch's domain begins.
const Trusted = "default-"

// Store is the caches of one repository.
type Store struct {
	GitDir string
	dir    string
}

// Of is the caches of the repository at gitDir, of which there may be none.
func Of(stateDir, gitDir string) Store {
	sum := sha256.Sum256([]byte(gitDir))
	return Store{gitDir, filepath.Join(stateDir, "caches", hex.EncodeToString(sum[:16]))}
}

// Empty reports whether the repository has no caches.
func (s Store) Empty() bool {
	_, err := os.Lstat(s.dir)
	return errors.Is(err, fs.ErrNotExist)
}

// All are the repositories that have caches.
func All(stateDir string) ([]Store, error) {
	dirs, err := os.ReadDir(filepath.Join(stateDir, "caches"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []Store
	for _, d := range dirs {
		dir := filepath.Join(stateDir, "caches", d.Name())
		if gitDir, err := os.ReadFile(filepath.Join(dir, "repository")); err == nil {
			out = append(out, Store{string(gitDir), dir})
		}
	}
	return out, err
}

// Domain is the caches of a domain, in use by one run until Close.
type Domain struct {
	store Store
	name  string
	lock  *os.File
}

// Use takes a domain into use. ref is whose runs have it; when that is gone, so
// is the domain.
func (s Store) Use(ctx context.Context, domain, ref string) (*Domain, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("caches: %w", err)
	}
	lock, err := s.lock(ctx, domain, shared)
	if err != nil {
		return nil, fmt.Errorf("caches: %w", err)
	}
	d := &Domain{s, domain, lock}
	err = errors.Join(
		write(filepath.Join(s.dir, "repository"), s.GitDir),
		write(s.file(domain, ".ref"), ref),
		os.MkdirAll(filepath.Join(s.dir, domain), 0o700),
		remove(s.file(domain, ".size")), // not true for much longer
	)
	now := time.Now()
	if err = errors.Join(err, os.Chtimes(lock.Name(), now, now)); err != nil {
		d.lock.Close()
		return nil, fmt.Errorf("caches: %w", err)
	}
	return d, nil
}

// Path is the directory that holds the domain.
func (d *Domain) Path() string { return filepath.Join(d.store.dir, d.name) }

// Close lets go of the domain, after a look at how much it holds.
func (d *Domain) Close(ctx context.Context) error {
	if strings.HasPrefix(d.name, Trusted) {
		return d.lock.Close() // never removed for its size
	}
	size, err := d.store.measure(ctx, d.name)
	if err == nil {
		err = write(d.store.file(d.name, ".size"), strconv.FormatInt(size, 10))
	}
	return errors.Join(err, d.lock.Close())
}

func (s Store) file(domain, suffix string) string { return filepath.Join(s.dir, domain+suffix) }

func (s Store) path(domain, name string, n int) string {
	return filepath.Join(s.dir, domain, runlog.EncodeJob(name), strconv.Itoa(n))
}

// Dir is the directory of a cache's nth path. If the domain has none yet it is
// made: of the trusted domain's, if that has one and the bound allows it.
func (d *Domain) Dir(ctx context.Context, name string, n int, trusted string, bound *Bound) (string, Copied, error) {
	dir := d.store.path(d.name, name, n)
	var c Copied
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, c, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", c, err
	}
	if trusted != "" && trusted != d.name {
		from := d.store.path(trusted, name, n)
		if _, err := os.Lstat(from); err == nil {
			c, err = d.store.copyTo(ctx, from, dir, bound)
			if ctx.Err() != nil {
				return "", c, context.Cause(ctx)
			}
			c.Err = err
		}
	}
	// After a copy it is there; it may also be another run's by now.
	return dir, c, os.MkdirAll(dir, 0o755)
}

// write replaces a small file of our own, if it says something else.
func write(path, text string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
