package cache

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

type mode int

const (
	shared    mode = syscall.LOCK_SH
	exclusive mode = syscall.LOCK_EX
)

// errHeld is a domain that is in use.
var errHeld = errors.New("the domain is in use")

// lock takes a domain's lock: shared for a run, waiting for a removal to be over;
// exclusive to remove it, without waiting.
func (s Store) lock(ctx context.Context, domain string, m mode) (*os.File, error) {
	path := s.file(domain, ".lock")
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), int(m)|syscall.LOCK_NB)
		if err == nil && s.same(f, path) {
			return f, nil
		}
		f.Close()
		switch {
		case err == nil: // it was removed with its domain in between
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return nil, err
		case m == exclusive:
			return nil, errHeld
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

func (s Store) same(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
