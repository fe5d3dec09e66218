package gitrepo

import (
	"errors"
	"syscall"
	"time"
)

// EndGroup kills what is left of a process group whose leader was waited for, and
// takes it off the process table. git's children are not this process's; but
// where it is a subreaper (a run's supervisor is) they are given to it when git
// is killed, and nobody else waits for them.
//
// A process that has the leader's number by now is not of this group: the kernel
// gives the number of a group to nobody while it has a member.
func EndGroup(leader int) {
	exists := func() bool { return !errors.Is(syscall.Kill(leader, 0), syscall.ESRCH) }
	if exists() || syscall.Kill(-leader, syscall.SIGKILL) != nil {
		return
	}
	for pause, waited := 100*time.Microsecond, time.Duration(0); waited < receiveGrace && !exists(); {
		pid, err := syscall.Wait4(-leader, nil, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR) || pid > 0:
		case err != nil:
			return // none of them is a child of this process, or all are reaped
		default:
			time.Sleep(pause)
			waited += pause
			pause = min(2*pause, 20*time.Millisecond)
		}
	}
}
