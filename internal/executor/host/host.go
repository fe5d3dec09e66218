// Package host runs a job's commands on this machine as the user that quire
// runs as. It bounds and cleans up, and hides nothing: what that user may read,
// a command may read.
package host

import (
	"context"
	"errors"
	"io"

	"quire/internal/executor"
	"quire/internal/executor/local"
	"quire/internal/executor/procs"
)

type host struct {
	run       *local.Runner
	workspace string
}

// New makes the executor of one run. It makes this process the run's
// supervisor (procs.Supervise).
func New(_ context.Context, spec executor.Spec) (executor.Executor, error) {
	if err := executor.Check(spec); err != nil {
		return nil, err
	}
	if err := procs.Supervise(spec.RunID); err != nil {
		return nil, err
	}
	return over(spec, local.Group(spec))
}

func over(spec executor.Spec, group *procs.Cgroup) (executor.Executor, error) {
	run, err := local.NewRunner(spec, group)
	if err != nil {
		return nil, err
	}
	return &host{run: run, workspace: spec.Workspace}, nil
}

func (h *host) Exec(ctx context.Context, c executor.Command, stdout, stderr io.Writer) (executor.Exit, error) {
	if err := executor.CheckCommand(c); err != nil {
		return executor.Exit{}, err
	}
	env := local.Env(c.Env, h.run.RunID)
	at, err := local.View(local.Machine).Find(ctx, c, h.workspace, env)
	if err == nil {
		err = local.Ready(ctx, c, at.Path)
	}
	if errors.Is(err, local.ErrLate) {
		return local.NotBegun(true), nil
	}
	if err != nil {
		return executor.Exit{}, err
	}
	return h.run.Run(ctx, local.Program{
		Path: at.Path, Argv: c.Argv, Env: env, Dir: at.Dir, Stdin: c.Stdin, Timeout: c.Timeout,
	}, stdout, stderr)
}

func (h *host) Close(context.Context) error { return h.run.Close() }
