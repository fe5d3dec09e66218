package procs

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// BecomeSubreaper makes this process the one that orphaned descendants are
// given to (PR_SET_CHILD_SUBREAPER, Linux 3.4), so that a daemon which forks
// twice stays below it. It holds until the process ends; children do not
// inherit it. Calling it again does nothing.
func BecomeSubreaper() error { return subreaper() }

var subreaper = sync.OnceValue(func() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the parent of orphaned processes: %w", err)
	}
	return nil
})
