package runlog

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// pollEvery is how often a waiter looks when the kernel does not tell it: the
// user's inotify instances are used up, or the file system does not report (NFS).
const pollEvery = 100 * time.Millisecond

// slowPoll is how often it looks although the kernel ought to tell.
const slowPoll = 2 * time.Second

// Watcher waits until something happened to files or directories. It may wake
// for nothing; whoever waits looks again. Add before looking, look, then Wait:
// so nothing is missed.
type Watcher struct {
	file *os.File // inotify; nil: polling only
	mu   sync.Mutex
	all  bool // every path so far is watched by the kernel
}

// NewWatcher makes a watcher, which Close ends. It never fails: without
// inotify it polls.
func NewWatcher() *Watcher {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return &Watcher{}
	}
	return &Watcher{file: os.NewFile(uintptr(fd), "inotify"), all: true}
}

// Add watches a file for growth, or a directory for entries that appear. It
// reports whether the kernel will tell; if not (the path is missing, say) Wait
// polls.
func (w *Watcher) Add(path string) bool {
	if w.file == nil {
		return false
	}
	ok := false
	if conn, err := w.file.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) {
			const mask = syscall.IN_MODIFY | syscall.IN_CREATE | syscall.IN_MOVED_TO |
				syscall.IN_CLOSE_WRITE | syscall.IN_DELETE_SELF
			_, err := syscall.InotifyAddWatch(int(fd), path, mask)
			ok = err == nil
		})
	}
	if !ok {
		w.mu.Lock()
		w.all = false
		w.mu.Unlock()
	}
	return ok
}

// Wait returns when something happened, when it is time to look in any case,
// or with ctx's cause when ctx is done.
func (w *Watcher) Wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.mu.Lock()
	pause := slowPoll
	if w.file == nil || !w.all {
		pause = pollEvery
	}
	w.mu.Unlock()
	if w.file == nil {
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
			return nil
		}
	}
	if err := w.file.SetReadDeadline(time.Now().Add(pause)); err != nil {
		return err
	}
	// The deadline of the past ends the Read below when ctx does.
	stop := context.AfterFunc(ctx, func() { w.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var buf [4096]byte
	_, err := w.file.Read(buf[:])
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// Close gives the kernel's watch back.
func (w *Watcher) Close() error {
	if w.file == nil {
		return nil
	}
	return w.file.Close()
}
