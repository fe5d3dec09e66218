// Package docker runs a job's commands in containers of a Docker engine: one
// for the run, and one for each other image that a job names.
//
// The engine is spoken to by its API, wherever it is: at a local socket the
// workspace is mounted; elsewhere it is copied in, and what the jobs make there
// stays there.
package docker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/local"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/client"
)

// Executor runs the commands of one run.
type Executor struct {
	spec   executor.Spec
	engine *client.Client
	helper string // path of the program that works in containers
	owner  owner
	image  string // the run's; "" if there is none
	built  string // the same, if it was built of .quire/Dockerfile
	// What containers are shown and the user that commands run as are settled
	// before a job could change what they are read from.
	shown []mount.Mount
	repo  *local.Repository
	user  string

	mu       sync.Mutex
	boxes    map[string]*box // by image, as oneName has it
	begun    int             // how many containers were begun
	removed  []*box          // by somebody else
	services []*service
	network  string // made for this run; "" if none was
	beside   string // the network that containers are in as well as that; "" none
	closed   bool
	bound    bool // directories of this machine can be mounted
}

// Option changes what New takes from its surroundings.
type Option func(*Executor)

// WithHelper names the static program that works in containers (package
// inside), instead of quire-inside beside the executable or the executable
// itself.
func WithHelper(path string) Option { return func(d *Executor) { d.helper = path } }

// New makes the executor of one run: finds the engine and the image, starts
// the services and the run's container. An error says what to install, start
// or correct.
func New(ctx context.Context, spec executor.Spec, options ...Option) (_ *Executor, err error) {
	if err := executor.Check(spec); err != nil {
		return nil, err
	}
	if spec.Progress == nil {
		spec.Progress = func(string) {}
	}
	if spec.Container == nil {
		spec.Container = func(bool, string) {}
	}
	d := &Executor{spec: spec, boxes: map[string]*box{}, owner: ownerOf(spec)}
	for _, o := range options {
		o(d)
	}
	if d.engine, d.bound, err = connect(ctx); err != nil {
		return nil, err
	}
	if d.helper, err = helper(d.helper); err != nil {
		d.engine.Close()
		return nil, err
	}
	if d.repo, err = local.ShowRepository(ctx, spec, filepath.Join(spec.Scratch, "repository")); err != nil {
		d.engine.Close()
		return nil, err
	}
	if d.shown, err = shown(ctx, spec, d.repo); err != nil {
		d.engine.Close()
		return nil, err
	}
	if d.user, err = user(ctx, spec.Workspace); err != nil {
		d.engine.Close()
		return nil, err
	}
	defer func() {
		if err == nil {
			return
		}
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		d.Close(clean)
	}()
	if d.image, err = d.resolve(ctx); err != nil {
		return nil, err
	}
	if err = d.startServices(ctx); err != nil {
		return nil, err
	}
	if d.image != "" {
		if _, err = d.box(ctx, d.image); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Close removes every container and network of the run.
func (d *Executor) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	boxes, removed, services, network := d.boxes, d.removed, d.services, d.network
	d.boxes, d.removed, d.services, d.network = nil, nil, nil, ""
	d.mu.Unlock()
	var errs []error
	for _, b := range boxes {
		<-b.made
		if b.id != "" {
			errs = append(errs, d.remove(ctx, b.id, b.name))
		}
	}
	for _, b := range removed {
		errs = append(errs, d.destroy(ctx, b.id, b.name))
	}
	for _, s := range slices.Backward(services) {
		errs = append(errs, s.close(ctx, d))
	}
	if network != "" {
		if err := d.engine.NetworkRemove(ctx, network); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("removing network %s: %w", network, err))
		}
	}
	if d.engine != nil {
		d.engine.Close()
	}
	return errors.Join(errs...)
}
