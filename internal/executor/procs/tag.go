package procs

import (
	"bytes"
	"hash/fnv"
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A tag marks a command's processes where env -i, setsid and a double fork do
// not wash it off: in the soft limit RLIMIT_RTTIME, which children inherit,
// which anybody may read in /proc/PID/limits, even of a set-uid process or of
// one that waits to be reaped, and which means nothing at this size (it is the
// processor time, in µs, that a real-time process may use without sleeping:
// the smallest tag is 146,000 years).
type tag uint64

const tagMark = 1 << 62

// newTag makes a tag that no other command of this process has had within the
// last million.
func newTag(runID string) tag {
	return tagMark | runHash(runID)<<20 | tag(commands.Add(1)&(1<<20-1))
}

var commands atomic.Uint64

func runHash(runID string) tag {
	h := fnv.New64a()
	h.Write([]byte(runID))
	return tag(h.Sum64() >> 24) // 40 bits
}

func (t tag) ofRun(runID string) bool {
	return t&tagMark != 0 && t>>63 == 0 && t>>20&(1<<40-1) == runHash(runID)
}

// put marks a process. Children that it made before are not marked; it is
// called right after the start, when the program is being loaded.
func (t tag) put(pid int) {
	var old unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_RTTIME, nil, &old) != nil || old.Max < uint64(t) {
		return
	}
	unix.Prlimit(pid, unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: uint64(t), Max: old.Max}, nil)
}

// tagOf reads a process's tag, 0 if it has none.
func tagOf(pid int) tag {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil {
		return 0
	}
	_, b, found := bytes.Cut(b, []byte("Max realtime timeout"))
	if !found {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(string(f[0]), 10, 64)
	if err != nil || n&tagMark == 0 || n>>63 != 0 { // "unlimited" among others
		return 0
	}
	return tag(n)
}
