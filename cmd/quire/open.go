package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/store"
)

// desk is what the commands that look at runs, or ask something of them, work
// on: the configuration and the open store.
type desk struct {
	cfg   *config.Config
	store *store.Store
}

// openDesk opens both. Close it.
func openDesk(ctx context.Context) (*desk, error) {
	cfg, err := config.Load()
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, cfg.StateDir)
	if err != nil {
		return nil, err
	}
	return &desk{cfg, s}, nil
}

func (d *desk) Close() error { return d.store.Close() }

// resolve finds the run that a person named; not finding one is their mistake.
func (d *desk) resolve(ctx context.Context, name string) (event.Run, error) {
	run, err := d.store.Resolve(ctx, name)
	if errors.Is(err, store.ErrNone) {
		return run, usageError{fmt.Errorf("no run %q; quire runs lists them (a run is named by its number, the beginning of its id, or \"last\")", name)}
	}
	return run, err
}

// onRun does something with the run that a person named.
func onRun(ctx context.Context, name string, do func(*desk, event.Run) error) error {
	d, err := openDesk(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	run, err := d.resolve(ctx, name)
	if err != nil {
		return err
	}
	return do(d, run)
}

// findRepository finds a repository that quire knows by the name or path that a
// person gave.
func (d *desk) findRepository(ctx context.Context, name string) (string, error) {
	known, err := d.store.Repositories(ctx)
	if err != nil {
		return "", err
	}
	return findAmong(known, name)
}

// findAmong is the one of known repositories that a person means.
func findAmong(known []string, name string) (string, error) {
	if abs, err := filepath.Abs(name); err == nil && slices.Contains(known, abs) {
		return abs, nil
	}
	var found []string
	for _, dir := range known {
		if ok, err := event.MatchRepo(name, dir); ok && err == nil {
			found = append(found, dir)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", usageError{fmt.Errorf("quire has seen no push to a repository %q; it knows %s", name, listing(known))}
	}
	return "", usageError{fmt.Errorf("%q fits %s: say which, by more of its path", name, listing(found))}
}

// listing joins a few names for a sentence.
func listing(names []string) string {
	switch {
	case len(names) == 0:
		return "none yet"
	case len(names) > 8:
		return strings.Join(names[:8], ", ") + fmt.Sprintf(" and %d more", len(names)-8)
	}
	return strings.Join(names, ", ")
}
