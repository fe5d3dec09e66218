package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Holding is a domain that is not in use, and how much it takes.
type Holding struct {
	Name    string
	Used    time.Time // last
	Bytes   int64
	Trusted bool // the default branch's
}

// Holdings lists the domains of the repository that are not in use.
func (s Store) Holdings(ctx context.Context) ([]Holding, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("caches: %w", err)
	}
	var out []Holding
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		size, err := s.size(ctx, e.Name())
		if errors.Is(err, errHeld) {
			continue
		}
		errs = append(errs, err)
		out = append(out, Holding{Name: e.Name(), Used: s.heldBy(e.Name()).used, Bytes: size, Trusted: strings.HasPrefix(e.Name(), Trusted)})
	}
	return out, errors.Join(errs...)
}

// Drop removes a domain, unless it is in use.
func (s Store) Drop(ctx context.Context, name string) (gone bool, err error) {
	return s.remove(ctx, name)
}
