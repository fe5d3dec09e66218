package jobfile

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Used is what a directory takes with all that is below it.
type Used struct {
	Bytes   int64 // on disk: a file's holes take none
	Entries int
	// Part says that there is more than was seen: what this process may not read, or
	// what is beyond the bounds.
	Part bool
}

// Usage measures a directory, which is not there if it is empty. No link is followed.
// A job can make it take long, and so it should be called with a context that ends; it
// takes constant memory. What comes and goes meanwhile counts or does not.
//
// A file with several names counts once in all, in equal parts: so nothing needs to be
// remembered of what was seen.
func Usage(ctx context.Context, dir string, bounds Bounds) (Used, error) {
	return Within(ctx, func() (Used, error) {
		u := usage{ctx: ctx, bounds: bounds}
		n, err := openNode(unix.AT_FDCWD, dir, unix.O_NOFOLLOW)
		if errors.Is(err, fs.ErrNotExist) {
			return u.used, nil
		}
		if err != nil {
			return u.used, reason(err)
		}
		l, err := n.list()
		n.Close()
		if err != nil {
			return u.used, reason(err)
		}
		u.add(l, 1)
		return u.used, context.Cause(ctx)
	}, nil)
}

type usage struct {
	ctx    context.Context
	bounds Bounds
	used   Used
}

// add counts what is below an open directory, and closes it.
func (u *usage) add(l *listing, depth int) {
	defer l.close()
	for u.ctx.Err() == nil {
		name, _, err := l.next()
		if name == "" {
			u.used.Part = u.used.Part || err != nil
			return
		}
		if u.used.Entries == u.bounds.Entries {
			u.used.Part = true
			return
		}
		u.used.Entries++
		var st unix.Stat_t
		if err := unix.Fstatat(l.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT); err != nil {
			u.used.Part = u.used.Part || !errors.Is(err, fs.ErrNotExist)
			continue
		}
		bytes := st.Blocks * 512 // stat(2), whatever the file system's own blocks are
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			u.used.Bytes += bytes / int64(max(st.Nlink, 1))
			continue
		}
		u.used.Bytes += bytes
		if depth == u.bounds.Depth {
			u.used.Part = true
			continue
		}
		fd, err := retry(func() (int, error) {
			return unix.Openat(l.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		})
		if err != nil {
			u.used.Part = u.used.Part || !errors.Is(err, fs.ErrNotExist)
			continue
		}
		u.add(&listing{fd: fd, buf: make([]byte, 8<<10)}, depth+1)
	}
}
