package procs

import (
	"bytes"
	"hash/fnv"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A run's tag is not washed off by env -i, setsid and a double fork: it is a
// soft limit RLIMIT_RTTIME, which everything started by the run's process has,
// and which anybody may read in /proc/PID/limits, even of a set-uid process.
// The limit is the processor time, in µs, that a real-time process may use
// without sleeping; the smallest tag is 146,000 years of it.
type runTag uint64

const runTagMark = 1 << 62

func tagOfRun(runID string) runTag {
	h := fnv.New64a()
	h.Write([]byte(runID))
	return runTag(runTagMark | h.Sum64()>>2)
}

// put marks this process and with it everything that it will start.
func (t runTag) put() {
	var old unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_RTTIME, &old) == nil && old.Max >= uint64(t) {
		unix.Setrlimit(unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: uint64(t), Max: old.Max})
	}
}

// on says whether the process has the tag.
func (t runTag) on(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil {
		return false
	}
	_, b, found := bytes.Cut(b, []byte("Max realtime timeout"))
	f := bytes.Fields(b)
	if !found || len(f) == 0 {
		return false
	}
	n, err := strconv.ParseUint(string(f[0]), 10, 64) // "unlimited" among others
	return err == nil && runTag(n) == t
}
