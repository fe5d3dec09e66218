package worker

import (
	"os"
	"sync"
	"syscall"
	"time"

	"quire/internal/memory"
)

// maxMemory is how much memory, in bytes, a worker may take. It reads commits,
// trees and spool files, all within bounds, and keeps no run's output; so more is
// a fault, and must not become the machine's.
const maxMemory = 1 << 30

// boundMemory watches the worker's memory until the function it returns is called.
// A worker that takes too much becomes a fresh one, in the same process (execve):
// what it was at counts as a death of it, so that it is not tried for ever.
func (w *worker) boundMemory() (stop func()) {
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		memory.Watch(maxMemory, 100*time.Millisecond, over, func(resident int64) {
			w.Log.Error("the worker took more memory than it may, and begins anew", "MiB", resident>>20, "limit", maxMemory>>20)
			if self, err := os.Executable(); err == nil {
				syscall.Exec(self, os.Args, os.Environ()) // the lock is let go of: it is closed on exec
			}
			os.Exit(3)
		})
	})
	return func() {
		close(over)
		watching.Wait()
	}
}
