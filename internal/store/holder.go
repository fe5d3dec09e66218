package store

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Holder is the process that supervises a run. All three together name one
// process for ever; a pid alone comes again.
type Holder struct {
	PID   int
	Start uint64 // clock ticks after boot, as in /proc/PID/stat
	Boot  string // /proc/sys/kernel/random/boot_id
}

// Self is this process.
func Self() (Holder, error) {
	h := Holder{PID: os.Getpid()}
	var err error
	if h.Start, err = startOf(h.PID); err == nil {
		h.Boot, err = bootID()
	}
	if err != nil {
		return h, fmt.Errorf("identify this process: %w", err)
	}
	return h, nil
}

// ErrGone is the error of a signal to a process that is no more.
var ErrGone = errors.New("the process is gone")

// Signal sends a signal to the process, and to no other: a pid that another
// process has by now is ErrGone.
func (h Holder) Signal(sig syscall.Signal) error {
	if h.PID <= 0 {
		return ErrGone
	}
	// The handle is got first (a pidfd, where the kernel has them): what is
	// compared afterwards is then what is signalled.
	p, err := os.FindProcess(h.PID)
	if err != nil {
		return fmt.Errorf("signal process %d: %w", h.PID, err)
	}
	defer p.Release()
	if !h.Alive() {
		return ErrGone
	}
	if err := p.Signal(sig); errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
		return ErrGone
	} else if err != nil {
		return fmt.Errorf("signal process %d: %w", h.PID, err)
	}
	return nil
}

// Alive reports whether the process is there: not another of its pid, not one
// of before the last boot. One that waits to be reaped is there.
func (h Holder) Alive() bool {
	boot, err := bootID()
	if err != nil || boot != h.Boot || h.PID <= 0 {
		return false
	}
	start, err := startOf(h.PID)
	return err == nil && start == h.Start
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// startOf reads field 22 of /proc/PID/stat (proc_pid_stat(5)). The name in the
// second field may hold spaces and parentheses.
func startOf(pid int) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 20 {
		return 0, fmt.Errorf("malformed /proc/%d/stat", pid)
	}
	return strconv.ParseUint(f[19], 10, 64)
}
