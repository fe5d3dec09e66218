package procs

import (
	"fmt"
	"math"
	"sync"

	"golang.org/x/sys/unix"
)

// Supervise makes this process the one that a run's processes hang on; the
// executors call it. Orphaned descendants are given to it, and not to init;
// what it starts from now on has the run's tag; and descriptors that it was
// itself started with (by a shell, by sshd) stay out of what it starts, for Go
// closes only its own at exec.
//
// Nothing else that this process starts may be given a session of its own
// (SysProcAttr.Setsid): that is how the commands' orphans are known.
//
// A process supervises one run. A second call for another run leaves the tag
// with the last.
func Supervise(runID string) error {
	if err := BecomeSubreaper(); err != nil {
		return err
	}
	unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // Linux 5.11; before, they leak
	tagOfRun(runID).put()
	return nil
}

// BecomeSubreaper makes this process the one that orphaned descendants are
// given to (PR_SET_CHILD_SUBREAPER, Linux 3.4). It holds until the process
// ends; children do not inherit it. Calling it again does nothing.
func BecomeSubreaper() error { return subreaper() }

var subreaper = sync.OnceValue(func() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the parent of orphaned processes: %w", err)
	}
	return nil
})
