package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/procs"

	"golang.org/x/sys/unix"
)

// Runner runs the commands of one run.
type Runner struct {
	RunID  string
	Grace  time.Duration // between SIGTERM and SIGKILL; 0 is DefaultGrace
	Limits *procs.Limits // nil: none asked for
	Group  *procs.Cgroup // nil: none to be had

	limited bool // the run's memory is
	closing sync.Once
	closed  error
}

// NewRunner makes the runner of a run, which owns the group from then on, and
// tells a person which limits are not held as one would think. The spec's own
// ground, if it has one, is the runner.
func NewRunner(spec executor.Spec, group *procs.Cgroup) (*Runner, error) {
	if r, held := spec.Ground.(*Runner); held {
		return r, nil
	}
	r := &Runner{RunID: spec.RunID, Grace: spec.Grace, Group: group, limited: spec.Limits.Memory > 0}
	var err error
	r.Limits, err = procs.Limit(spec.RunID, group, procs.Bounds{
		CPU: spec.Limits.CPU, Memory: spec.Limits.Memory, PIDs: spec.Limits.PIDs,
	})
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	for _, note := range r.Limits.Notes() {
		if spec.Progress != nil {
			spec.Progress(note)
		}
	}
	return r, nil
}

// Close gives back what the runner holds. No command may run any more.
func (r *Runner) Close() error {
	r.closing.Do(func() {
		procs.ReapOrphans()
		r.closed = r.Limits.Close()
		if r.Group != nil {
			r.closed = errors.Join(r.closed, r.Group.Close())
		}
	})
	return r.closed
}

// DefaultGrace is how long a command has to end itself after SIGTERM, if
// nothing else is said.
const DefaultGrace = 5 * time.Second

// Drain is how long a command's background processes may go on writing after
// it has ended by itself. Those that do not hold its output are ended at once.
const Drain = 2 * time.Second

// Program is a command that was looked up: which file, started how.
type Program struct {
	Path    string // of the file
	Argv    []string
	Env     []string // whole
	Dir     string   // absolute
	Stdin   []byte   // nil: /dev/null
	Timeout time.Duration
	Files   []*os.File // further descriptors, from 3
	Memory  int64      // bytes of data that the process may have; 0: no bound of its own
	// Keeper is set for a program that holds the command in a pid namespace: it
	// gets no SIGTERM, and when it has ended Keeper gives the namespace's first
	// process, 0 if there was none.
	Keeper func() int
}

// Run runs a program to its end, as executor.Executor.Exec says.
func (r *Runner) Run(ctx context.Context, p Program, stdout, stderr io.Writer) (executor.Exit, error) {
	if ctx.Err() != nil {
		return executor.Exit{}, context.Cause(ctx)
	}
	stdin, err := input(p.Stdin)
	if err != nil {
		return executor.Exit{}, err
	}
	out, err := openOutput(stdout, stderr)
	if err != nil {
		stdin.Close()
		return executor.Exit{}, err
	}
	before := r.Limits.Hits()
	c, err := r.start(p, append([]*os.File{stdin, out.stdout(), out.stderr()}, p.Files...))
	stdin.Close()
	out.started()
	if err != nil {
		out.abandon()
		return executor.Exit{}, refused(ctx, p.Argv, p.Env, p.Path, err)
	}
	return r.see(ctx, c, p, out, before)
}

// RunOn is Run for a program that writes straight to two open files. Whatever
// else holds them is ended with the command.
func (r *Runner) RunOn(ctx context.Context, p Program, stdout, stderr *os.File) (executor.Exit, error) {
	stdin, err := input(p.Stdin)
	if err != nil {
		return executor.Exit{}, err
	}
	before := r.Limits.Hits()
	c, err := r.start(p, []*os.File{stdin, stdout, stderr})
	stdin.Close()
	if err != nil {
		return executor.Exit{}, refused(ctx, p.Argv, p.Env, p.Path, err)
	}
	return r.see(ctx, c, p, &direct{c: c, files: []*os.File{stdout, stderr}}, before)
}

func (r *Runner) see(ctx context.Context, c *procs.Command, p Program, out outlet, before procs.Hits) (executor.Exit, error) {
	exit, err := r.watch(ctx, c, p, out)
	if hit := r.Limits.Hits().Since(before, exit.Code); hit != "" && exit.Limit == "" {
		exit.Limit = hit
	}
	return exit, err
}

func (r *Runner) start(p Program, files []*os.File) (*procs.Command, error) {
	attr := os.ProcAttr{Dir: p.Dir, Env: p.Env, Files: files}
	for try := 0; ; try++ {
		c, err := r.Limits.Start(r.RunID, r.Group, p.Path, p.Argv, attr)
		if err == nil && p.Memory > 0 {
			// It may be lower already, or the process over; then nothing is to be held.
			unix.Prlimit(c.PID(), unix.RLIMIT_DATA, &unix.Rlimit{Cur: uint64(p.Memory), Max: uint64(p.Memory)}, nil)
		}
		// A program that was just written may still be open for writing in a
		// child that another goroutine is starting, for the moment until its
		// exec (golang.org/issue/22315).
		if err == nil || try == 20 || !isTextBusy(err) {
			return c, err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// watch sees a started command through to its last process and byte.
func (r *Runner) watch(ctx context.Context, c *procs.Command, p Program, out outlet) (executor.Exit, error) {
	type ending struct {
		status syscall.WaitStatus
		err    error
	}
	main := make(chan ending, 1)
	ended := make(chan struct{})
	go func() { // ends with the process, which every way below sees to
		status, err := c.Wait()
		main <- ending{status, err}
		close(ended)
	}()
	var expired <-chan time.Time
	if p.Timeout > 0 {
		t := time.NewTimer(p.Timeout)
		defer t.Stop()
		expired = t.C
	}
	var exit executor.Exit
	var cause, stuck error
	select {
	case <-ended:
	case <-ctx.Done():
		cause = context.Cause(ctx)
		stuck = r.end(c, p, ended)
	case <-expired:
		exit.TimedOut = true
		stuck = r.end(c, p, ended)
	}
	if stuck != nil {
		// Its main process may be among those that cannot be ended; its number
		// and pipes stay with it, and the program can do no better.
		select {
		case <-ended:
		default:
			out.finish()
			return exit, stuck
		}
	}
	e := <-main
	if p.Keeper != nil {
		if pid := p.Keeper(); pid > 0 {
			c.Keeper(pid)
		}
		// The end of the sandbox is everybody's inside, by the kernel.
		if err := settle(c); err != nil && stuck == nil {
			stuck = err
		}
	}
	if left, err := c.Left(); err != nil || len(left) > 0 {
		drain := time.NewTimer(Drain)
		defer drain.Stop()
		select {
		case <-out.silent(): // whatever is left does not write any more
		case <-drain.C:
		case <-ctx.Done():
			cause = context.Cause(ctx)
		case <-expired:
			exit.TimedOut = true
		}
		if err := r.end(c, p, ended); err != nil && stuck == nil {
			stuck = err
		}
	}
	writeErr := out.finish()
	c.Release()
	exit.Code, exit.Signal = status(e.status)
	if exit.TimedOut {
		exit.Limit = "wall"
	}
	for _, err := range []error{cause, e.err, stuck, writeErr} {
		if err != nil {
			return exit, err
		}
	}
	return exit, nil
}

// end ends a command: SIGTERM to all of it, then, when the grace is over,
// SIGKILL until nothing is left.
func (r *Runner) end(c *procs.Command, p Program, ended <-chan struct{}) error {
	grace := r.Grace
	if grace <= 0 {
		grace = DefaultGrace
	}
	deadline := time.Now().Add(grace)
	tell := c.Signal
	if p.Keeper != nil {
		tell = c.SignalBelow
	}
	tell(unix.SIGTERM) // what is refused here is refused again, and told, below
	tell(unix.SIGCONT) // a stopped process takes its SIGTERM only when it goes on
	for pause := time.Millisecond; time.Now().Before(deadline); pause = min(2*pause, 20*time.Millisecond) {
		if left, err := c.Left(); err == nil && len(left) == 0 {
			break
		}
		time.Sleep(pause) // the kernel tells nobody that an orphan has ended
	}
	if err := c.Kill(); err != nil {
		return err
	}
	<-ended
	return nil
}

// settle waits for the end of processes that the kernel is killing.
func settle(c *procs.Command) error {
	for pause, total := 50*time.Microsecond, time.Duration(0); total < 100*time.Millisecond; pause *= 2 {
		if left, err := c.Left(); err != nil || len(left) == 0 {
			return err
		}
		time.Sleep(pause)
		total += pause
	}
	return c.Kill()
}

// status is a wait status in the shell's terms.
func status(w syscall.WaitStatus) (code int, signal string) {
	if !w.Signaled() {
		return w.ExitStatus(), ""
	}
	n := int(w.Signal())
	return 128 + n, SignalName(n)
}

// SignalName is a signal's name, "SIGRTMIN+3" for one of the nameless.
func SignalName(n int) string {
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return name
	}
	if n >= 34 && n <= 64 { // as glibc and musl count: the first two are the library's own
		return fmt.Sprintf("SIGRTMIN+%d", n-34)
	}
	return fmt.Sprintf("signal %d", n)
}
