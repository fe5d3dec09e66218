package host

import (
	"quire/internal/executor"
	"quire/internal/executor/procs"
)

// NewWithoutCgroup is New on a machine that grants no cgroup.
func NewWithoutCgroup(spec executor.Spec) (executor.Executor, error) {
	if err := procs.Supervise(spec.RunID); err != nil {
		return nil, err
	}
	return over(spec, nil)
}
