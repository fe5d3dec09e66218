package bwrap

import (
	"context"

	"quire/internal/executor"
)

// NewWithoutCgroup is New on a machine that grants no cgroup.
func NewWithoutCgroup(spec executor.Spec) (executor.Executor, error) {
	return over(context.Background(), spec, nil)
}

// OptionsFile is optionsFile.
var OptionsFile = optionsFile

// Options are the arguments that bwrap is given for a command in the workspace, but
// for those that are open files.
func Options(x executor.Executor, env []string) ([]string, error) {
	s := x.(*sandbox)
	plan, err := s.layout(context.Background(), env)
	return s.options(plan.layout, s.spec.Workspace, env), err
}
