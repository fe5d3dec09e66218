package procs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds are what a run's commands may use together. Zero is no bound.
type Bounds struct {
	CPU    float64 // cores
	Memory int64   // bytes
	PIDs   int     // processes and threads
}

// Limits hold a run's commands to its bounds, by the strongest means that this
// machine grants: a cgroup of version 2, cgroups of version 1, or else resource
// limits, which count for each process and not for all together, tell nobody
// when they are met, and know no share of the processor.
type Limits struct {
	memory, pids string   // files that count how often a bound was met; "" for none
	joined       []joined // version 1: what the starting thread is in
	thread       *thread  // that starts commands; nil: any
	prefix       []string // prlimit and its arguments
	notes        []string
}

// joined is a cgroup of version 1.
type joined struct {
	dir    string
	origin string // where this process was
}

// Limit sets up the bounds of a run. group is the run's cgroup or nil. No
// bounds give nil, which limits nothing.
func Limit(runID string, group *Cgroup, b Bounds) (*Limits, error) {
	if b == (Bounds{}) {
		return nil, nil
	}
	l := &Limits{}
	rest := b
	if group != nil {
		rest = l.unified(group, rest)
	}
	rest, err := l.separate(runID, rest)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := l.perProcess(rest); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if len(l.joined) > 0 {
		if err := l.join(); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// Notes say, for a person, which bounds are not held here, or less well.
func (l *Limits) Notes() []string {
	if l == nil {
		return nil
	}
	return l.notes
}

// unified sets what the run's cgroup of version 2 can hold and returns what is
// left. Controllers can be had where the parent is delegated and has no
// processes of its own (cgroups(7), "no internal processes").
func (l *Limits) unified(group *Cgroup, b Bounds) Bounds {
	parent := filepath.Dir(group.dir)
	enable := func(controller string) bool {
		return writeCgroup(filepath.Join(parent, "cgroup.subtree_control"), "+"+controller) == nil
	}
	set := func(file, value string) bool { return writeCgroup(filepath.Join(group.dir, file), value) == nil }
	if b.Memory > 0 && enable("memory") && set("memory.max", strconv.FormatInt(b.Memory, 10)) {
		set("memory.swap.max", "0") // no file, no swap
		l.memory, b.Memory = filepath.Join(group.dir, "memory.events"), 0
	}
	if b.PIDs > 0 && enable("pids") && set("pids.max", strconv.Itoa(b.PIDs)) {
		l.pids, b.PIDs = filepath.Join(group.dir, "pids.events"), 0
	}
	if b.CPU > 0 && enable("cpu") && set("cpu.max", strconv.FormatInt(int64(b.CPU*period), 10)+" "+strconv.Itoa(period)) {
		b.CPU = 0
	}
	return b
}

// period is the time in µs over which a share of the processor is counted.
const period = 100_000

// separate sets what cgroups of version 1 can hold, one tree for each
// controller, and returns what is left.
func (l *Limits) separate(runID string, b Bounds) (Bounds, error) {
	make := func(controller string, files ...string) bool {
		origin, err := separateCgroup(controller)
		if err != nil {
			return false
		}
		dir := filepath.Join(origin, cgroupPrefix+runID)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return false
		}
		for i := 0; i < len(files); i += 2 {
			if err := writeCgroup(filepath.Join(dir, files[i]), files[i+1]); err != nil {
				os.Remove(dir)
				return false
			}
		}
		l.joined = append(l.joined, joined{dir, origin})
		return true
	}
	if n := strconv.FormatInt(b.Memory, 10); b.Memory > 0 && make("memory", "memory.limit_in_bytes", n) {
		dir := l.joined[len(l.joined)-1].dir
		writeCgroup(filepath.Join(dir, "memory.memsw.limit_in_bytes"), n) // where swap is counted
		l.memory, b.Memory = filepath.Join(dir, "memory.oom_control"), 0
	}
	// The thread that starts commands is in there too.
	if b.PIDs > 0 && make("pids", "pids.max", strconv.Itoa(b.PIDs+1)) {
		l.pids, b.PIDs = filepath.Join(l.joined[len(l.joined)-1].dir, "pids.events"), 0
	}
	if b.CPU > 0 && make("cpu", "cpu.cfs_period_us", strconv.Itoa(period), "cpu.cfs_quota_us", strconv.FormatInt(int64(b.CPU*period), 10)) {
		b.CPU = 0
	}
	return b, nil
}

// perProcess holds what is left by resource limits.
func (l *Limits) perProcess(b Bounds) error {
	if b.CPU > 0 {
		l.notes = append(l.notes, "limits: cpu is not held: it needs a delegated cgroup (in the unit of the worker: Delegate=yes)")
	}
	if b.Memory == 0 && b.PIDs == 0 {
		return nil
	}
	program, err := exec.LookPath("prlimit")
	if err != nil {
		return errors.New("limits need a delegated cgroup, or the program prlimit, which is not installed: apt-get install util-linux")
	}
	l.prefix = []string{program}
	if b.Memory > 0 {
		// Data and not address space: a Go or Java program reserves far more of
		// the latter than it uses.
		l.prefix = append(l.prefix, "--data="+strconv.FormatInt(b.Memory, 10))
		l.notes = append(l.notes, "limits: memory is held for each process, not for all together, which needs a delegated cgroup")
	}
	if b.PIDs > 0 {
		n, err := processesOf(os.Geteuid())
		if err != nil {
			return err
		}
		l.prefix = append(l.prefix, "--nproc="+strconv.Itoa(n+b.PIDs))
		l.notes = append(l.notes, "limits: pids is held for the user, not for the run, which needs a delegated cgroup")
	}
	l.prefix = append(l.prefix, "--")
	return nil
}

// processesOf counts a user's processes and threads, as RLIMIT_NPROC does.
func processesOf(uid int) (int, error) {
	all, err := table()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, p := range all {
		var s unix.Stat_t
		if unix.Stat("/proc/"+strconv.Itoa(p.PID), &s) == nil && int(s.Uid) == uid {
			tasks, _ := os.ReadDir("/proc/" + strconv.Itoa(p.PID) + "/task")
			n += max(1, len(tasks))
		}
	}
	return n, nil
}

// join starts the thread that starts commands. In version 1 each thread is in a
// cgroup of its own choice. It stays there: to move it in and out around each start
// takes a grace period of the kernel's for each controller, and a process that joins by
// itself could make others before it does. Memory is charged to the cgroup of a
// process's first thread, which is not this one, and the OOM killer looks at first
// threads only (mm/memcontrol.c).
func (l *Limits) join() (err error) {
	l.thread, err = newThread(func() error {
		tid := strconv.Itoa(unix.Gettid())
		for _, j := range l.joined {
			if err := writeCgroup(filepath.Join(j.dir, "tasks"), tid); err != nil {
				return fmt.Errorf("limits: joining the run's cgroup: %w", err)
			}
		}
		return nil
	}, func() {
		tid := strconv.Itoa(unix.Gettid())
		for _, j := range l.joined { // else the directories are busy until the thread is gone
			writeCgroup(filepath.Join(j.origin, "tasks"), tid)
		}
	})
	if err != nil {
		l.thread = nil
	}
	return err
}

// Confine has the thread that starts commands give up something first, which every
// command then lacks: enter runs on that thread, and must concern no other. It is
// called before the first command. Nil limits nothing, and gives limits that do
// nothing but this.
func (l *Limits) Confine(enter func() error) (*Limits, error) {
	if l == nil {
		l = &Limits{}
	}
	var err error
	if l.thread != nil {
		l.thread.do(func() { err = enter() })
	} else if l.thread, err = newThread(enter, nil); err != nil {
		l.thread = nil
	}
	return l, err
}

// Start starts a program under the limits; see the function Start.
func (l *Limits) Start(runID string, group *Cgroup, name string, argv []string, attr os.ProcAttr) (c *Command, err error) {
	if l == nil {
		return Start(runID, group, name, argv, attr)
	}
	if l.prefix != nil {
		argv = append(append(l.prefix[:len(l.prefix):len(l.prefix)], name), argv[1:]...)
		name = l.prefix[0]
	}
	if l.thread == nil {
		return Start(runID, group, name, argv, attr)
	}
	l.thread.do(func() { c, err = Start(runID, group, name, argv, attr) })
	return c, err
}

// Close gives back the cgroups. No command may run any more.
func (l *Limits) Close() error {
	if l == nil {
		return nil
	}
	if l.thread != nil {
		l.thread.close()
		l.thread = nil
	}
	var errs []error
	for _, j := range l.joined {
		errs = append(errs, removeCgroup(j.dir))
	}
	l.joined = nil
	return errors.Join(errs...)
}

// Hits counts how often bounds were met.
type Hits struct{ memory, pids uint64 }

// Hits reads the counts.
func (l *Limits) Hits() Hits {
	if l == nil {
		return Hits{}
	}
	return Hits{memory: count(l.memory, "oom_kill"), pids: count(l.pids, "max")}
}

// Since names the bound that was met since the earlier count and that explains
// such an end, or "". Commands of a run that run at the same time share the
// counts, so it can be another one's, but never for one that went well.
func (h Hits) Since(before Hits, code int) string {
	switch {
	case code == 0:
		return ""
	case h.memory > before.memory:
		return "memory"
	case h.pids > before.pids:
		return "pids"
	}
	return ""
}

// count reads the number beside a word, 0 if there is none.
func count(file, word string) uint64 {
	if file == "" {
		return 0
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) == 2 && f[0] == word {
			n, _ := strconv.ParseUint(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// Around are the limits that this process is already under in a container,
// whose cgroup the engine shows at the root of the tree. Only their counts are
// of use.
func Around() *Limits {
	l := &Limits{}
	for _, c := range []struct {
		to    *string
		files []string
	}{
		{&l.memory, []string{"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"}},
		{&l.pids, []string{"/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events"}},
	} {
		for _, f := range c.files {
			if _, err := os.Stat(f); err == nil {
				*c.to = f
				break
			}
		}
	}
	return l
}

// writeCgroup writes a control file, which takes its value in one write and is
// never made.
func writeCgroup(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// separateCgroup is this process's directory in the version 1 tree of a
// controller.
func separateCgroup(controller string) (string, error) {
	path, err := cgroupPath(os.Getpid(), controller)
	if err != nil {
		return "", err
	}
	return mounted(path, func(kind string, options []string) bool {
		if kind != "cgroup" {
			return false
		}
		for _, o := range options {
			if o == controller {
				return true
			}
		}
		return false
	})
}
