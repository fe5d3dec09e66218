package local

import (
	"context"
	"io"
	"os/exec"

	"quire/internal/executor"
	"quire/internal/executor/procs"
)

// Hold makes the runner of a run before its executor, which is given it as
// spec.Ground. It makes this process the run's supervisor (procs.Supervise).
func Hold(spec executor.Spec) (*Runner, error) {
	if err := procs.Supervise(spec.RunID); err != nil {
		return nil, err
	}
	return NewRunner(spec, Group(spec))
}

// Group is a cgroup for the run's processes; nil if there is one already, in
// spec.Ground, or none to be had: the commands' other marks must do.
func Group(spec executor.Spec) *procs.Cgroup {
	if spec.Ground != nil {
		return nil
	}
	group, err := procs.OpenCgroup(spec.RunID)
	if err != nil {
		return nil
	}
	return group
}

// Own is executor.Ground's.
func (r *Runner) Own(ctx context.Context, c executor.Command, memory int64, out io.Writer) (executor.Exit, error) {
	path, err := exec.LookPath(c.Argv[0])
	if err != nil {
		return executor.Exit{}, err
	}
	if r.limited {
		memory = 0
	}
	return r.Run(ctx, Program{Path: path, Argv: c.Argv, Env: Env(c.Env, r.RunID), Dir: c.Dir, Stdin: c.Stdin,
		Timeout: c.Timeout, Memory: memory}, out, out)
}
