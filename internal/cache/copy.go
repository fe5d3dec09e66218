package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"quire/internal/jobfile"
)

// Bound is how much may be copied for a run, all its caches together.
type Bound struct {
	Bytes int64
	used  int64
}

// Copied is what was copied of the trusted domain's cache.
type Copied struct {
	Files   int
	Bytes   int64
	Missing int // files that could not be read, or were written meanwhile
	Took    time.Duration
	Err     error // why nothing was: the cache is empty
}

// What a cache may hold to be copied, besides bytes.
var walkBounds = jobfile.Bounds{Entries: 200_000, Depth: 128}

// ErrBound is the error for a cache that is more than may be copied.
var ErrBound = errors.New("it is more than is copied")

const tempPrefix = ".tmp-"

// copyTo copies a cache to where there is none, wholly or not at all: plain
// files, directories and links as they are, with their times, by which build
// tools go; no pipes, sockets or devices, nor bits that give rights. A file that
// is written meanwhile, by a run of the default branch, is left out.
func (s Store) copyTo(ctx context.Context, from, to string, bound *Bound) (Copied, error) {
	began := time.Now()
	temp, err := os.MkdirTemp(s.dir, tempPrefix)
	if err != nil {
		return Copied{}, err
	}
	defer func() {
		jobfile.Remove(context.WithoutCancel(ctx), temp) // only ours so far; Collect removes what this cannot
	}()
	before := bound.used
	c, err := copyTree(ctx, from, filepath.Join(temp, "copy"), bound)
	if err != nil {
		bound.used = before
		return Copied{}, err
	}
	c.Took = time.Since(began)
	err = os.Rename(filepath.Join(temp, "copy"), to)
	if err != nil {
		if _, there := os.Lstat(to); there == nil {
			return Copied{}, nil // another run of the domain was first
		}
	}
	return c, err
}

func copyTree(ctx context.Context, from, to string, bound *Bound) (Copied, error) {
	var c Copied
	src, err := jobfile.OpenRoot(ctx, from)
	if err != nil {
		return c, err
	}
	defer src.Close()
	// Sizes first: most of what is too large need not be copied to know.
	total := bound.used
	err = src.Walk(ctx, ".", walkBounds, func(e jobfile.Entry) error {
		if !e.IsRegular() {
			return nil
		}
		if e.Size() > bound.Bytes-total {
			return ErrBound
		}
		total += e.Size()
		return nil
	})
	if err != nil {
		return c, err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return c, err
	}
	dst, err := os.OpenRoot(to)
	if err != nil {
		return c, err
	}
	defer dst.Close()
	type made struct {
		name string
		mode fs.FileMode
		time time.Time
	}
	dirs := []made{{".", 0o755, time.Time{}}}
	err = src.Walk(ctx, ".", walkBounds, func(e jobfile.Entry) error {
		switch {
		case e.IsDir():
			dirs = append(dirs, made{e.Name, e.Mode().Perm() | 0o700, e.ModTime()})
			return dst.Mkdir(e.Name, 0o700)
		case e.IsLink():
			return dst.Symlink(e.Target, e.Name)
		case !e.IsRegular():
			c.Missing++
			return nil
		}
		n, err := copyFile(ctx, dst, e, bound)
		if errors.Is(err, errLeftOut) {
			c.Missing++
			return nil
		}
		c.Files++
		c.Bytes += n
		return err
	})
	// From below: what is in a directory changes its time.
	for _, d := range slices.Backward(dirs) {
		if err != nil {
			break
		}
		if err = dst.Chmod(d.name, d.mode); err == nil && !d.time.IsZero() {
			err = dst.Chtimes(d.name, d.time, d.time)
		}
	}
	return c, err
}

var errLeftOut = errors.New("left out")

func copyFile(ctx context.Context, dst *os.Root, e jobfile.Entry, bound *Bound) (int64, error) {
	src, err := e.Open(ctx)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err != nil {
		return 0, errLeftOut
	}
	defer src.Close()
	f, err := dst.OpenFile(e.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, io.LimitReader(src, e.Size()+1))
	bound.used += n
	if err == nil {
		err = f.Chmod(e.Mode().Perm())
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %w", e.Name, err)
	case bound.used > bound.Bytes:
		return 0, ErrBound
	case n != e.Size():
		return 0, errors.Join(errLeftOut, dst.Remove(e.Name))
	}
	return n, dst.Chtimes(e.Name, e.ModTime(), e.ModTime())
}
