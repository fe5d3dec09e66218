package docker

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"quire/internal/executor"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// service is a running server of the run.
type service struct {
	name   string // of the container
	id     string
	logged chan struct{} // closed when its log has been read to the end
}

// startServices makes the run's network and starts its services in the order
// they were named, each ready before the next: a later one may need an earlier
// one.
func (d *Executor) startServices(ctx context.Context) error {
	if len(d.spec.Services) == 0 {
		return nil
	}
	if err := d.makeNetwork(ctx); err != nil {
		return fmt.Errorf("the run's network: %s", oneLine(err))
	}
	for _, s := range d.spec.Services {
		if err := d.startService(ctx, s); err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
	}
	return nil
}

func (d *Executor) startService(ctx context.Context, s executor.Service) error {
	if _, err := d.need(ctx, s.Image); err != nil {
		return err
	}
	begun := time.Now()
	running := &service{name: "quire-" + d.spec.RunID + "-" + s.Name, logged: make(chan struct{})}
	made, err := d.create(ctx, purpose{
		config: &container.Config{Image: s.Image, Cmd: s.Argv, Env: s.Env, Hostname: s.Name},
		log:    container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "16m", "max-file": "1"}},
		alias:  s.Name,
		name:   running.name,
	})
	if made.ID != "" { // also with an error it may be there, to be removed
		running.id = made.ID
		d.mu.Lock()
		d.services = append(d.services, running)
		d.mu.Unlock()
	}
	if err != nil {
		close(running.logged)
		return fmt.Errorf("%s", oneLine(err))
	}
	if err := d.engine.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		close(running.logged)
		return fmt.Errorf("%s", oneLine(err))
	}
	d.spec.Container(true, running.name)
	go running.log(d, s.Name)
	if err := d.ready(ctx, running, s); err != nil {
		return err
	}
	d.spec.Progress(fmt.Sprintf("service %s is ready (%s)", s.Name, time.Since(begun).Round(100*time.Millisecond)))
	return nil
}

// log passes on what a service writes until it has ended.
func (s *service) log(d *Executor, name string) {
	defer close(s.logged)
	var to io.WriteCloser
	if d.spec.ServiceLog != nil {
		to = d.spec.ServiceLog(name)
	}
	if to == nil {
		return
	}
	defer to.Close()
	stream, err := d.engine.ContainerLogs(context.Background(), s.id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		fmt.Fprintf(to, "no log of the service: %s\n", oneLine(err))
		return
	}
	defer stream.Close()
	stdcopy.StdCopy(to, to, stream) // ends when the container is stopped
}

// close stops a service, waits for the rest of its log, and removes it.
func (s *service) close(ctx context.Context, d *Executor) error {
	quick := 2 // seconds, for it to say what it wants to
	d.engine.ContainerStop(ctx, s.id, container.StopOptions{Timeout: &quick})
	select {
	case <-s.logged:
	case <-ctx.Done():
	}
	return d.remove(ctx, s.id, s.name)
}

const readyWithin = time.Minute

// ready waits until a service's own test of itself succeeds.
func (d *Executor) ready(ctx context.Context, running *service, s executor.Service) error {
	within := s.Within
	if within <= 0 {
		within = readyWithin
	}
	limit, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	last := ""
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		info, err := d.engine.ContainerInspect(limit, running.id)
		if err == nil && info.State != nil && !info.State.Running {
			return fmt.Errorf("it has ended with status %d before it was ready: its log says why", info.State.ExitCode)
		}
		if err == nil && len(s.Ready) == 0 {
			return nil
		}
		if err == nil {
			var ok bool
			if ok, last = d.try(limit, running.id, s.Ready); ok {
				return nil
			}
		}
		select {
		case <-limit.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("not ready within %s: %s: %s", within, strings.Join(s.Ready, " "), last)
		case <-time.After(pause):
		}
	}
}

// try runs a readiness command once: whether it succeeded, and what it said.
func (d *Executor) try(ctx context.Context, id string, argv []string) (bool, string) {
	made, err := d.engine.ContainerExecCreate(ctx, id, container.ExecOptions{Cmd: argv, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return false, oneLine(err)
	}
	link, err := d.engine.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return false, oneLine(err)
	}
	defer link.Close()
	stop := context.AfterFunc(ctx, link.Close)
	defer stop()
	var said strings.Builder
	stdcopy.StdCopy(&said, &said, io.LimitReader(link.Reader, 1<<16))
	e, err := d.engine.ContainerExecInspect(ctx, made.ID)
	if err != nil {
		return false, oneLine(err)
	}
	return !e.Running && e.ExitCode == 0, strings.Join(strings.Fields(said.String()), " ")
}
