package supervise

import (
	"context"
	"fmt"
	"time"

	"quire/internal/event"
	"quire/internal/jobfile"

	"golang.org/x/sys/unix"
)

// [limits] disk bounds what a run's files take while it runs: its directory, with
// workspace, /tmp, home and logs, and what its caches have grown by. Nobody is asked
// before a command writes; so it is measured, and a run that has more is ended.
//
// A file system that is full takes no push any more. So the runs on it are also ended
// when it is about to be: first those whose files grow; and those of which that is
// not known, if it shrinks further. A process can hold a file that has no name.

const (
	diskLook  = 500 * time.Millisecond // between two looks at what is free
	diskPause = 3 * time.Second        // between two measurements, at least
	diskShare = 20                     // a measurement takes at most this part of the time
	diskSlow  = time.Minute            // one that takes longer is given up
)

var diskBounds = jobfile.Bounds{Entries: 4_000_000, Depth: 200}

// watchDisk calls over once, with the reason, when the run is to be ended for what it
// takes on disk. It returns at the latest soon after ctx's end.
func (s *supervision) watchDisk(ctx context.Context, over func(reason string)) {
	tick := time.NewTicker(diskLook)
	defer tick.Stop()
	guard := diskGuard{limit: int64(s.cfg.Limits.Disk), place: s.cfg.StateDir}
	var next, soon time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		free, err := jobfile.Within(ctx, func() (room, error) { return roomAt(s.cfg.StateDir) }, nil)
		now := time.Now()
		due := next
		if free.low() {
			due = soon
		}
		if err != nil || now.Before(due) {
			continue
		}
		used := s.diskUsed(ctx)
		if ctx.Err() != nil {
			return
		}
		took := time.Since(now)
		next, soon = now.Add(max(diskPause, took*diskShare)), now.Add(2*took)
		if reason := guard.judge(used, free); reason != "" {
			over(reason)
			return
		}
	}
}

// diskUsed measures the run's directory and caches.
func (s *supervision) diskUsed(ctx context.Context) diskUse {
	ctx, cancel := context.WithTimeout(ctx, diskSlow)
	defer cancel()
	var out diskUse
	var err error
	if out.own, err = jobfile.Usage(ctx, string(s.dir), diskBounds); err != nil {
		out.own.Part = true
	}
	s.mu.Lock()
	kept := s.cache
	s.mu.Unlock()
	if kept == nil {
		return out
	}
	out.cached = true
	if out.caches, err = jobfile.Usage(ctx, kept.Path(), diskBounds); err != nil {
		out.caches.Part = true
	}
	return out
}

type diskUse struct {
	own    jobfile.Used
	caches jobfile.Used
	cached bool // it has some
}

// diskGuard judges measurements as they come.
type diskGuard struct {
	limit int64  // 0: none
	place string // for a person

	cached bool
	before int64 // what the caches took when they were first seen

	full bool // the last look found the file system almost full
	then int64
	seen diskUse
}

// judge says why the run must end, or "".
func (g *diskGuard) judge(u diskUse, free room) string {
	if u.cached && !g.cached {
		g.cached, g.before = true, u.caches.Bytes
	}
	grown := max(0, u.caches.Bytes-g.before)
	if sum := u.own.Bytes + grown; g.limit > 0 && sum > g.limit {
		return fmt.Sprintf("its files take %d MiB on disk, and [limits] disk allows %d MiB", sum>>20, g.limit>>20)
	}
	if !free.low() {
		g.full = false
		return ""
	}
	if !g.full { // how it goes on from here counts
		g.full, g.then, g.seen = true, free.bytes, u
		return ""
	}
	step := max(1<<20, free.reserve()/16)
	left := fmt.Sprintf("%s has only %d MiB and %d files left for everybody, and ", g.place, free.bytes>>20, free.files)
	switch {
	case u.own.Bytes+u.caches.Bytes-g.seen.own.Bytes-g.seen.caches.Bytes > step,
		u.own.Entries+u.caches.Entries-g.seen.own.Entries-g.seen.caches.Entries > manyFiles:
		return left + "its files grow"
	case g.then-free.bytes > 4*step:
		return left + "they become fewer, by what is not seen in anybody's files"
	}
	return ""
}

// manyFiles is how many files more are growth.
const manyFiles = 10_000

// room is what a file system has left for this user.
type room struct{ bytes, size, files, allFiles int64 }

func roomAt(dir string) (room, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return room{}, err
	}
	unit := int64(st.Bsize)
	return room{int64(st.Bavail) * unit, int64(st.Blocks) * unit, int64(st.Ffree), int64(st.Files)}, nil
}

// reserve is what is kept for pushes: 1 GiB, and of a small file system 2 %.
func (r room) reserve() int64 { return min(1<<30, r.size/50) }

// low also says whether the file system, if it bounds files, has few left.
func (r room) low() bool {
	return r.bytes < r.reserve() || r.allFiles > 0 && r.files < min(manyFiles, r.allFiles/50)
}

// endForDisk is the end of a run for what it takes. Its workspace is not kept either.
func (s *supervision) endForDisk(reason string) *stopped {
	s.overDisk.Store(true)
	return &stopped{state: event.RunFailed, reason: reason}
}
