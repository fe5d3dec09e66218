package procs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Cgroup is a run's own branch of the cgroup v2 tree. Each command runs in a
// leaf of it: the kernel then knows the command's processes, and ends them all
// in one write (cgroup.kill, Linux 5.14).
//
// The leaves are used again: making one costs about as much as starting a
// process.
type Cgroup struct {
	dir string

	mu   sync.Mutex
	free []*leaf
	made int
}

const cgroupPrefix = "quire-"

// OpenCgroup makes the branch near this process's own cgroup. The error says
// why there can be none; commands are then followed by their other marks.
func OpenCgroup(runID string) (*Cgroup, error) {
	bases, err := cgroupBases()
	if err != nil {
		return nil, err
	}
	dir := ""
	for _, base := range bases {
		dir = filepath.Join(base, cgroupPrefix+runID)
		if err = os.Mkdir(dir, 0o755); err == nil || errors.Is(err, os.ErrExist) {
			err = nil
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cgroup of the run: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err != nil {
		os.Remove(dir)
		return nil, fmt.Errorf("cgroup of the run: no cgroup.kill, which Linux has from 5.14")
	}
	return &Cgroup{dir: dir}, nil
}

// Close removes the branch. What still runs in it is killed.
func (c *Cgroup) Close() error {
	c.mu.Lock()
	for _, l := range c.free {
		l.close()
	}
	c.free = nil
	c.mu.Unlock()
	return removeCgroup(c.dir)
}

// removeCgroup ends what runs in a branch and removes it, leaves first. The
// kernel answers EBUSY until the last process has left.
func removeCgroup(dir string) error {
	os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	var wait backoff
	for {
		below, _ := os.ReadDir(dir)
		for _, e := range below {
			if e.IsDir() {
				os.Remove(filepath.Join(dir, e.Name()))
			}
		}
		err := os.Remove(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || !wait.more() {
			return fmt.Errorf("removing the cgroup of a run: %w", err)
		}
	}
}

// leaf is where one command at a time runs.
type leaf struct {
	dir    string
	killed bool
	self   *os.File // for CLONE_INTO_CGROUP
	events *os.File
}

func (c *Cgroup) take() (*leaf, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		l := c.free[n-1]
		c.free = c.free[:n-1]
		return l, nil
	}
	c.made++
	dir := filepath.Join(c.dir, strconv.Itoa(c.made))
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("cgroup of a command: %w", err)
	}
	self, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("cgroup of a command: %w", err)
	}
	events, err := os.Open(filepath.Join(dir, "cgroup.events"))
	if err != nil {
		self.Close()
		return nil, fmt.Errorf("cgroup of a command: %w", err)
	}
	return &leaf{dir: dir, self: self, events: events}, nil
}

// give takes an empty leaf back. One that was killed is not used again: Linux
// (seen on 6.18) kills what is cloned into it from another cgroup, because it
// compares how often the two were.
func (c *Cgroup) give(l *leaf) {
	if l.killed {
		l.close()
		os.Remove(l.dir) // else Close removes it
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = append(c.free, l)
}

func (l *leaf) close() {
	l.self.Close()
	l.events.Close()
}

// empty says whether nothing runs there; what only waits to be reaped does not
// count.
func (l *leaf) empty() bool {
	var buf [128]byte
	n, _ := l.events.ReadAt(buf[:], 0)
	return bytes.Contains(buf[:n], []byte("populated 0"))
}

func (l *leaf) pids() []int { return cgroupPIDs(l.dir) }

func cgroupPIDs(dir string) []int {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for _, f := range bytes.Fields(b) {
		if pid, err := strconv.Atoi(string(f)); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (l *leaf) kill() error {
	l.killed = true
	return os.WriteFile(filepath.Join(l.dir, "cgroup.kill"), []byte("1"), 0)
}

// cgroupBases are the cgroups below which a run's may be made, best first. A
// cgroup with processes in it can have children, but give them no controllers;
// a unit with DelegateSubgroup= has the worker in a child of the cgroup that it
// was given, which is free for this.
func cgroupBases() ([]string, error) {
	own, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	parent := filepath.Dir(own)
	if free, err := os.ReadFile(filepath.Join(parent, "cgroup.procs")); err == nil && len(free) == 0 &&
		unix.Access(parent, unix.W_OK) == nil && unix.Access(filepath.Join(parent, "cgroup.subtree_control"), unix.W_OK) == nil {
		return []string{parent, own}, nil
	}
	return []string{own}, nil
}

// ownCgroup is the directory of this process's cgroup in the v2 tree, wherever
// that is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside a v1 tree.
func ownCgroup() (string, error) {
	path, err := cgroupPath(os.Getpid(), "")
	if err != nil {
		return "", err
	}
	return cgroupMount(path)
}

// cgroupMount is the directory of a cgroup v2.
func cgroupMount(path string) (string, error) {
	return mounted(path, func(kind string, _ []string) bool { return kind == "cgroup2" })
}

// mounted finds where a cgroup's path is in sight in a mounted tree of the kind.
func mounted(path string, wanted func(kind string, options []string) bool) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		// ID parent major:minor root mountpoint options … - type source options
		left, right, found := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !found || len(l) < 5 || len(r) < 3 || !wanted(r[0], strings.Split(r[2], ",")) {
			continue
		}
		rel, err := filepath.Rel(l[3], path)
		if err != nil || strings.HasPrefix(rel, "..") {
			continue // our cgroup is not in sight of this mount
		}
		return filepath.Join(l[4], rel), nil
	}
	return "", errors.New("cgroup: no tree of that kind is mounted")
}

// cgroupPath is a process's place in one hierarchy: "" for version 2, else the
// name of a version 1 controller.
func cgroupPath(pid int, controller string) (string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		if controller == "" && f[0] == "0" && f[1] == "" {
			return f[2], nil
		}
		for name := range strings.SplitSeq(f[1], ",") {
			if controller != "" && name == controller {
				return f[2], nil
			}
		}
	}
	if controller == "" {
		return "", errors.New("cgroup: this kernel has no version 2")
	}
	return "", fmt.Errorf("cgroup: no controller %s in a version 1 tree", controller)
}
