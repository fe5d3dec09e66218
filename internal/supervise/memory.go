package supervise

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// watchMemory calls over once when this process has more than limit bytes
// resident, and returns at the latest when stop is closed. A Lua VM in Go
// cannot count what its program allocates, so the process is what is bounded.
//
// Looking takes some µs; between two looks a program can take some 20 MB more.
func watchMemory(limit int64, stop <-chan struct{}, over func(resident int64)) {
	// Near the limit the collector works harder: what is only garbage must not
	// be what ends a run.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit * 3 / 4))
	tick := time.NewTicker(10 * time.Millisecond)
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
