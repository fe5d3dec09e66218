package secret

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Shield keeps the values in this process's memory from other processes of the
// same user. It sets RLIMIT_CORE to 0, which children inherit, and makes the
// process not dumpable (prctl(2), PR_SET_DUMPABLE): no core goes to a
// core_pattern pipe, which would ignore the limit, nobody but root attaches to
// it, and /proc/PID/environ and mem are root's. The latter ends at execve, so
// a child is not affected. Call it in a process before its first Reveal.
func Shield() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid tracing: %w", err)
	}
	return nil
}

// waitExited returns when the child pid has exited, and leaves it to be reaped.
func waitExited(pid int) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}
