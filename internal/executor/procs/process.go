package procs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Process is one line of the process table, as proc_pid_stat(5) gives it.
type Process struct {
	PID     int
	Parent  int
	Group   int
	Session int
	State   byte   // 'R', 'S', 'D', 'Z' …
	Exiting bool   // it will run no instruction of its program any more
	Start   uint64 // clock ticks after boot; with PID it names a process for ever
	Name    string // at most 15 bytes, the program's choice
}

// Dead says that nothing of the process runs any more: the kernel is taking it
// down, which can take long where that ends namespaces, or it waits to be
// reaped.
func (p Process) Dead() bool { return p.Exiting || p.zombie() }

func (p Process) zombie() bool { return p.State == 'Z' || p.State == 'X' }

// pfExiting is PF_EXITING of the kernel's include/linux/sched.h, the same since
// before git, in field 9 of proc_pid_stat(5).
const pfExiting = 0x4

func (p Process) String() string { return fmt.Sprintf("%d (%s)", p.PID, p.Name) }

// Look reads one process.
func Look(pid int) (Process, error) {
	var buf [1024]byte
	return look(pid, buf[:])
}

func look(pid int, buf []byte) (Process, error) {
	b, err := slurp(pid, "stat", buf)
	if err != nil {
		return Process{}, err
	}
	return parseStat(b)
}

// slurp reads the start of a file of /proc into buf. os.ReadFile would register
// each with the poller and stat it first; a look at every process is some
// hundred of these.
func slurp(pid int, name string, buf []byte) ([]byte, error) {
	var path [64]byte
	p := append(path[:0], "/proc/"...)
	p = strconv.AppendInt(p, int64(pid), 10)
	p = append(p, '/')
	p = append(p, name...)
	var fd int
	var err error
	for {
		fd, err = unix.Open(string(p), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n := 0
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err // ESRCH when the process ended meanwhile
		}
		if m == 0 {
			break
		}
		n += m
	}
	return buf[:n], nil
}

// parseStat reads a line of /proc/PID/stat. The name stands in parentheses and
// may itself hold spaces and parentheses, so the last one closes it.
func parseStat(b []byte) (Process, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 1 || end < open {
		return Process{}, fmt.Errorf("no process status: %.40q", b)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:open])))
	if err != nil {
		return Process{}, fmt.Errorf("no process status: %.40q", b)
	}
	f := bytes.Fields(b[end+1:])
	// Fields count from 3 (state) in the manual; 22 is the start time.
	if len(f) < 20 || len(f[0]) != 1 {
		return Process{}, fmt.Errorf("no process status: %.40q", b)
	}
	p := Process{PID: pid, State: f[0][0], Name: string(b[open+1 : end])}
	for i, to := range [...]*int{&p.Parent, &p.Group, &p.Session} {
		if *to, err = strconv.Atoi(string(f[i+1])); err != nil {
			return Process{}, fmt.Errorf("no process status: %.40q", b)
		}
	}
	flags, err := strconv.ParseUint(string(f[6]), 10, 64)
	if err != nil {
		return Process{}, fmt.Errorf("no process status: %.40q", b)
	}
	p.Exiting = flags&pfExiting != 0
	if p.Start, err = strconv.ParseUint(string(f[19]), 10, 64); err != nil {
		return Process{}, fmt.Errorf("no process status: %.40q", b)
	}
	return p, nil
}

// table reads every process there is. It is not one moment: a process may fork
// while it is read, so whoever needs to be sure reads again.
func table() ([]Process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("the process table: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("the process table: %w", err)
	}
	all := make([]Process, 0, len(names))
	buf := make([]byte, 1024)
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := look(pid, buf); err == nil { // else it ended
			all = append(all, p)
		}
	}
	return all, nil
}

// below adds to the set every process that has an ancestor in it.
func below(all []Process, in map[int]bool) {
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !in[p.PID] && in[p.Parent] {
				in[p.PID], grown = true, true
			}
		}
	}
}

// environHas says whether the process was started with this NAME=VALUE. Other
// people's processes cannot be asked and say no.
func environHas(pid int, entry string) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for len(b) > 0 {
		e, rest, _ := bytes.Cut(b, []byte{0})
		if string(e) == entry {
			return true
		}
		b = rest
	}
	return false
}

// kill sends a signal to this very process, never to another that has got its
// number since: the descriptor holds whatever has the number now, and the start
// time says whether that is the one that was meant.
func kill(p Process, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil
	case err != nil: // no pidfds before Linux 5.3, or out of descriptors
		now, lookErr := Look(p.PID)
		if lookErr != nil || now.Start != p.Start {
			return nil
		}
		err = unix.Kill(p.PID, sig)
	default:
		defer unix.Close(fd)
		now, lookErr := Look(p.PID)
		if lookErr != nil || now.Start != p.Start {
			return nil
		}
		err = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
