package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrHeld is the error of a lock that another process holds.
var ErrHeld = errors.New("another process holds it")

// Lock is a held lock. The kernel lets go of it when the process ends, however
// it ends.
type Lock struct{ f *os.File }

// LockWorker takes the lock of the one worker of a state directory.
func LockWorker(stateDir string) (*Lock, error) { return lock(stateDir, "worker.lock") }

// LockRun takes the lock that a run's supervisor holds as long as it lives.
func LockRun(stateDir, runID string) (*Lock, error) { return lock(stateDir, runLock(runID)) }

// RunLockPath is the file of a run's lock.
func RunLockPath(stateDir, runID string) string {
	return filepath.Join(stateDir, "locks", runLock(runID))
}

func runLock(runID string) string { return "run-" + runID + ".lock" }

func lock(stateDir, name string) (*Lock, error) {
	if err := CheckOwner(stateDir); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	path := filepath.Join(stateDir, "locks", name)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
				f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = ErrHeld
			}
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		// Whoever removed the file in between (Remove) left us with a
		// lock that nobody else can meet.
		var held, there syscall.Stat_t
		if syscall.Fstat(int(f.Fd()), &held) == nil && syscall.Stat(path, &there) == nil && held.Ino == there.Ino && held.Dev == there.Dev {
			return &Lock{f}, nil
		}
		f.Close()
	}
}

// Release lets go of the lock.
func (l *Lock) Release() {
	l.f.Close() // closing lets go; there is nothing to be done about an error
}

// Remove lets go of the lock and removes its file, of a run that is over.
func (l *Lock) Remove() {
	os.Remove(l.f.Name())
	l.f.Close()
}
