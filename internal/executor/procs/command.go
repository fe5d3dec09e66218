package procs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Marks in the environment. A run's commands carry both.
const (
	EnvRun  = "QUIRE_RUN"  // the run's id
	EnvExec = "QUIRE_EXEC" // one command of one run, unique on this machine
)

var commands atomic.Uint64 // how many were started by this process

// Command is the processes of one started command: the one that was started
// and everything that came of it.
type Command struct {
	main    *os.Process
	reaped  bool    // under own's lock
	entry   string  // QUIRE_EXEC=…
	group   *Cgroup // nil: none to be had
	leaf    *leaf
	orphans bool // it is known to have made processes that may outlive their parents
	keeper  int  // of a sandbox: its first process, whose end is everybody's in it
}

// own are the commands of this process that have not been reaped, by pid. The
// lock is held while a process is started and while one is reaped, so that a
// pid under it means one thing.
var own = struct {
	sync.Mutex
	mains map[int]*Command
	dying []int // children that have ended and could not be reaped yet
}{mains: map[int]*Command{}}

// Start starts a program as the leader of a session of its own, with the mark
// of the command in its environment and in the run's cgroup. This process must
// be a subreaper. attr has no Sys.
func Start(runID string, group *Cgroup, name string, argv []string, attr os.ProcAttr) (*Command, error) {
	c := &Command{group: group}
	c.entry = EnvExec + "=" + runID + "." + identity() + "." + strconv.FormatUint(commands.Add(1), 10)
	attr.Env = append(slices.Clip(attr.Env), c.entry)
	attr.Sys = &syscall.SysProcAttr{Setsid: true}
	if group != nil {
		if l, err := group.take(); err == nil { // else it is followed by its other marks
			c.leaf = l
			attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(l.self.Fd())
		}
	}
	own.Lock()
	defer own.Unlock()
	main, err := os.StartProcess(name, argv, &attr)
	if err != nil && c.leaf != nil && cgroupRefused(err) {
		// Processes may not be moved between the two cgroups (somebody else's
		// delegation); the command itself may be fine.
		group.give(c.leaf)
		c.leaf = nil
		attr.Sys.UseCgroupFD = false
		main, err = os.StartProcess(name, argv, &attr)
	}
	if err != nil {
		if c.leaf != nil {
			group.give(c.leaf)
		}
		return nil, err
	}
	c.main = main
	own.mains[main.Pid] = c
	return c, nil
}

// cgroupRefused says whether a start may have failed for the cgroup's sake
// (clone(2): CLONE_INTO_CGROUP).
func cgroupRefused(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EOPNOTSUPP) ||
		errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODEV)
}

var identity = sync.OnceValue(func() string {
	p, _ := Look(os.Getpid())
	return strconv.Itoa(os.Getpid()) + "." + strconv.FormatUint(p.Start, 36)
})

// PID is the number of the process that was started.
func (c *Command) PID() int { return c.main.Pid }

// Wait returns how the started process ended. Others of the command may still
// run: see Left.
func (c *Command) Wait() (syscall.WaitStatus, error) {
	for { // first without reaping, so that the lock is not held meanwhile
		err := unix.Waitid(unix.P_PID, c.main.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	own.Lock()
	defer own.Unlock()
	state, err := c.main.Wait()
	c.reaped = true
	delete(own.mains, c.main.Pid)
	if err != nil {
		return 0, fmt.Errorf("waiting for process %d: %w", c.main.Pid, err)
	}
	return state.Sys().(syscall.WaitStatus), nil
}

// Keeper tells, after Wait, which process was the first of the command's pid
// namespace. It is not the command's own, and dies because the started one has;
// nobody waits for how long the kernel takes to clear it away.
func (c *Command) Keeper(pid int) {
	own.Lock()
	defer own.Unlock()
	c.keeper = pid
	own.dying = append(own.dying, pid)
}

// reapDying takes keepers off the table that have ended since. One that is
// somebody else's child by now gives ECHILD.
func reapDying() {
	own.dying = slices.DeleteFunc(own.dying, func(pid int) bool {
		got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
		return got == pid || errors.Is(err, unix.ECHILD)
	})
}

// Left are the processes of the command that still run, the started one among
// them. Orphans of the command that wait to be reaped are, on the way.
func (c *Command) Left() ([]Process, error) {
	own.Lock()
	defer own.Unlock()
	reapDying()
	if c.leaf != nil {
		return c.leftInLeaf()
	}
	for range maxLooks {
		if c.reaped && len(own.mains) == 0 && childless() {
			break
		}
		left, ended, err := c.seen()
		if err != nil || len(left) > 0 || !ended || c.keeper != 0 {
			return left, err
		}
	}
	return nil, nil
}

// maxLooks bounds how often the process table is read for one answer.
const maxLooks = 100

// seen is what one reading of the process table shows of the command: what runs,
// and whether anything has ended that is still on the table.
//
// That nothing runs is certain only if nothing has ended. The table is not read
// in one moment: of a process that forks and ends meanwhile, the parent is seen
// dead and the child not at all. Its parent is then on the table, since only
// this process reaps orphans, and does so under the lock.
func (c *Command) seen() (left []Process, ended bool, err error) {
	all, err := table()
	if err != nil {
		return nil, false, err
	}
	in := map[int]bool{}
	for _, p := range all {
		if c.roots(p) {
			in[p.PID] = true
		}
	}
	below(all, in)
	for _, p := range all {
		switch {
		case !in[p.PID] || p.PID == c.keeper || own.mains[p.PID] != nil && p.Dead() || slices.Contains(own.dying, p.PID):
		case p.Dead():
			ended = true
		default:
			left = append(left, p)
		}
	}
	if ended && len(left) == 0 && c.keeper == 0 {
		reapOrphans()
	}
	return left, ended, nil
}

func (c *Command) leftInLeaf() ([]Process, error) {
	if !c.leaf.empty() {
		var left []Process
		for _, pid := range c.leaf.pids() {
			p, err := Look(pid)
			if err != nil || pid == c.keeper || slices.Contains(own.dying, pid) {
				continue
			}
			c.orphans = c.orphans || pid != c.main.Pid
			if !p.Dead() {
				left = append(left, p)
			}
		}
		if len(left) > 0 {
			return left, nil
		}
	}
	// What has ended is not in the cgroup but may wait to be reaped by us. With
	// other commands running it is looked for only if this one is known to have
	// left something; else the last of them does it.
	if c.reaped && c.keeper == 0 && (c.orphans || len(own.mains) == 0) && !childless() {
		reapOrphans()
	}
	return nil, nil
}

// roots says whether p is where a branch of the command's tree hangs on this
// process: the started process itself, or an orphan of it. An orphan without a
// mark belongs to the command that ends last.
func (c *Command) roots(p Process) bool {
	if p.PID == c.main.Pid {
		return !c.reaped
	}
	if !orphan(p) {
		return false
	}
	return c.reaped && len(own.mains) == 0 || p.Session == c.main.Pid || environHas(p.PID, c.entry)
}

// orphan says whether p is a process that was given to this one when its parent
// died. What others start and wait for here is in this process's own session;
// a command and what comes of it never is.
func orphan(p Process) bool {
	return p.Parent == os.Getpid() && own.mains[p.PID] == nil && p.Session != ownSession()
}

var ownSession = sync.OnceValue(func() int {
	sid, _ := unix.Getsid(0)
	return sid
})

// childless says, in one system call, that this process has no child: the
// common end of a command. waitid(2) gives ECHILD then, and with WNOWAIT takes
// nothing from whoever waits for one.
func childless() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	return errors.Is(err, unix.ECHILD)
}

// reap takes an ended orphan off the table. One that the kernel is still taking
// down is waited for a little, and else left for later.
func reap(pid int) {
	if slices.Contains(own.dying, pid) {
		return
	}
	for pause := 50 * time.Microsecond; pause < 20*time.Millisecond; pause *= 2 {
		got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
		if got == pid || errors.Is(err, unix.ECHILD) {
			return
		}
		time.Sleep(pause)
	}
	own.dying = append(own.dying, pid)
}

// reapOrphans takes the zombies of orphans off the table. One whose parent is
// ending too will be an orphan in a moment, and is waited for a little.
func reapOrphans() {
	for range 20 {
		all, err := table()
		if err != nil {
			return
		}
		ending := map[int]bool{}
		for _, p := range all {
			ending[p.PID] = p.Dead()
		}
		soon := false
		for _, p := range all {
			switch {
			case !p.Dead() || own.mains[p.PID] != nil || slices.Contains(own.dying, p.PID):
			case orphan(p):
				reap(p.PID)
			case ending[p.Parent] && p.Session != ownSession():
				soon = true
			}
		}
		if !soon {
			return
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// ReapOrphans takes the zombies of commands off the table.
func ReapOrphans() {
	own.Lock()
	defer own.Unlock()
	reapDying()
	if !childless() {
		reapOrphans()
	}
}

// Release gives back what the command held. Nothing of it may be left.
func (c *Command) Release() {
	if c.leaf != nil {
		c.group.give(c.leaf)
		c.leaf = nil
	}
}

// Signal sends a signal to every process of the command.
func (c *Command) Signal(sig unix.Signal) error {
	left, err := c.Left()
	if err != nil {
		return err
	}
	return c.send(left, sig)
}

// SignalBelow sends a signal to every process of the command but the started
// one: to the tenants of a sandbox, and not to its house.
func (c *Command) SignalBelow(sig unix.Signal) error {
	left, err := c.Left()
	if err != nil {
		return err
	}
	var refused error
	for _, p := range left {
		if p.PID == c.main.Pid {
			continue
		}
		if err := kill(p, sig); err != nil {
			refused = fmt.Errorf("process %v: %w", p, err)
		}
	}
	return refused
}

// send signals processes of the command. The started process's group gets it
// in one call while that process has not been reaped (until then the number
// can mean nothing else), so that nothing in it forks away meanwhile.
func (c *Command) send(to []Process, sig unix.Signal) error {
	own.Lock()
	grouped := !c.reaped && unix.Kill(-c.main.Pid, sig) == nil
	own.Unlock()
	var refused error
	for _, p := range to {
		if grouped && p.Group == c.main.Pid {
			continue
		}
		if err := kill(p, sig); err != nil {
			refused = fmt.Errorf("process %v: %w", p, err)
		}
	}
	return refused
}

// Kill ends the command to the last process. An error names those that it
// could not end: another user's (a set-uid program), or stuck in the kernel.
func (c *Command) Kill() error {
	if c.leaf != nil {
		c.leaf.kill()
	}
	return killUntilEmpty(c.Left, c.send)
}

// killUntilEmpty stops processes before it kills them: where a fork bomb has
// taken every number there is, one that is killed makes room for two, one that
// is stopped makes none.
func killUntilEmpty(left func() ([]Process, error), send func([]Process, unix.Signal) error) error {
	var wait backoff
	for pass := 0; ; pass++ {
		now, err := left()
		if err != nil || len(now) == 0 {
			return err
		}
		if pass < 20 && slices.ContainsFunc(now, func(p Process) bool { return p.State != 'T' && p.State != 't' }) && len(now) > 50 {
			send(now, unix.SIGSTOP)
			continue
		}
		refused := send(now, unix.SIGKILL)
		if !wait.more() || errors.Is(refused, unix.EPERM) && wait.total > patience/10 {
			return stuck(now, refused)
		}
	}
}

func stuck(left []Process, cause error) error {
	var names []string
	for _, p := range left {
		names = append(names, p.String())
	}
	if cause == nil {
		cause = errors.New("it does not end on SIGKILL (stuck in the kernel)")
	}
	return fmt.Errorf("ending process %s: %w", strings.Join(names, ", "), cause)
}
