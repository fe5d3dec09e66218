// Package choose makes the executor that a configuration names. It is apart
// from package executor because what it chooses among imports that.
package choose

import (
	"context"
	"fmt"
	"strings"

	"quire/internal/executor"
	"quire/internal/executor/bwrap"
	"quire/internal/executor/docker"
	"quire/internal/executor/host"
	"quire/internal/executor/local"
)

// Kinds are the names that New knows.
var Kinds = []string{"host", "bwrap", "docker"}

// Hold makes the ground of one run: see executor.Ground. For an executor whose
// commands run in containers it is for what runs here before those are made, and
// the limits that cannot be had here are nobody's loss.
func Hold(kind string, spec executor.Spec) (executor.Ground, error) {
	if kind != "docker" {
		return ground(local.Hold(spec))
	}
	spec.Progress = nil
	if g, err := local.Hold(spec); err == nil {
		return g, nil
	}
	spec.Limits = executor.Limits{}
	return ground(local.Hold(spec))
}

func ground(r *local.Runner, err error) (executor.Ground, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// New makes the executor of one run. One that is not to be had here is an
// error that says what to install; there is no falling back to another.
func New(ctx context.Context, kind string, spec executor.Spec) (executor.Executor, error) {
	if kind != "docker" && len(spec.Services) > 0 {
		return nil, fmt.Errorf("service %s: services run in containers, and this run's executor is %s: choose docker in [executor]", spec.Services[0].Name, kind)
	}
	switch kind {
	case "host":
		return made(host.New(ctx, spec))
	case "bwrap":
		return made(bwrap.New(ctx, spec))
	case "docker":
		if spec.Ground != nil {
			if err := spec.Ground.Close(); err != nil {
				return nil, err
			}
		}
		return made(docker.New(ctx, spec))
	}
	return nil, fmt.Errorf("no executor %q: there are %s", kind, strings.Join(Kinds, ", "))
}

// made keeps a nil pointer from becoming an executor that is not nil.
func made[X executor.Executor](x X, err error) (executor.Executor, error) {
	if err != nil {
		return nil, err
	}
	return x, nil
}
