package procs

import (
	"bytes"
	"hash/fnv"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Two tags that env -i, setsid and a double fork do not wash off: settings that
// the kernel hands down to children and shows in /proc, and that mean next to
// nothing. Both are in place before the child exists.

// A run's tag is a soft limit RLIMIT_RTTIME, which everything started by the
// run's process has, and which anybody may read in /proc/PID/limits, even of a
// set-uid process or of a zombie. The limit is the processor time, in µs, that
// a real-time process may use without sleeping; the smallest tag is 146,000
// years of it.
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

// A command's tag is its timer slack (PR_SET_TIMERSLACK), how late in ns the
// kernel may wake a process from a sleep. It belongs to a thread and goes to
// the thread's children, through exec, and a process that resets its own gets
// back the one it was born with (prctl(2)). A tag adds at most 16 µs to the
// usual 50.
type commandTag int

const commandTags = 16_000

var commands atomic.Uint64

// slack is what this process was born with.
var slack = sync.OnceValue(func() int {
	n, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return 0
	}
	return n
})

func newCommandTag() commandTag {
	return commandTag(slack() + 1 + int(commands.Add(1)%commandTags))
}

// during calls start with the tag on its thread. No other thread's children get
// it.
func (t commandTag) during(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if slack() > 0 && unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(t), 0, 0, 0) == nil {
		defer unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack()), 0, 0, 0)
	}
	return start()
}

// commandTagOf reads a process's tag; 0 if it has none, or is another user's.
func commandTagOf(pid int) commandTag {
	var buf [32]byte
	b, err := slurp(pid, "timerslack_ns", buf[:])
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil || n <= slack() || n > slack()+commandTags {
		return 0
	}
	return commandTag(n)
}
