// Package memory bounds how much of the machine's memory this process may take. A
// program in Go cannot count what a part of it allocates, so the process is what
// is bounded.
package memory

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// Watch calls over once when this process has more than limit bytes resident, and
// returns at the latest when stop is closed.
//
// Looking takes some µs; in 10 ms a program can take some 20 MB more.
func Watch(limit int64, every time.Duration, stop <-chan struct{}, over func(resident int64)) {
	// Near the limit the collector works harder: what is only garbage must not
	// be what ends it.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit * 3 / 4))
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if n, err := resident(); err == nil && n > limit {
				over(n)
				return
			}
		}
	}
}

// resident is the second field of /proc/self/statm (proc_pid_statm(5)), in
// bytes.
func resident() (int64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0, fmt.Errorf("malformed /proc/self/statm")
	}
	pages, err := strconv.ParseInt(string(f[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}
