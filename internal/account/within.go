package account

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// ErrNoAnswer is the error of a command that took too long.
var ErrNoAnswer = errors.New("no answer")

// Within runs a command for no longer than a limit. Then it is killed, with what
// it started: what another user's process reads, or that user itself, can stop
// it for ever. The command must lead a session or process group, as those of
// Account.Command do.
func Within(cmd *exec.Cmd, limit time.Duration) error {
	cmd.WaitDelay = time.Second // for what holds its output open
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended by now
	select {
	case <-done:
	case <-time.After(2 * time.Second): // in a system call that does not return
		// Its output goes on into the caller's buffers, which nobody reads then.
	}
	return fmt.Errorf("%w within %s", ErrNoAnswer, limit)
}
