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
)

// Kinds are the names that New knows.
var Kinds = []string{"host", "bwrap", "docker"}

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
