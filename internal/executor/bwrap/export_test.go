package bwrap

import "quire/internal/executor"

// NewWithoutCgroup is New on a machine that grants no cgroup.
func NewWithoutCgroup(spec executor.Spec) (executor.Executor, error) { return over(spec, nil) }

// OptionsFile is optionsFile.
var OptionsFile = optionsFile

// Options are the arguments that bwrap is given for a command in the workspace.
func Options(x executor.Executor, env []string) []string {
	s := x.(*sandbox)
	return s.options(s.layout, s.spec.Workspace, env)
}
