package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"quire/internal/executor"
	"quire/internal/executor/docker/inside"
	"quire/internal/executor/local"
	"quire/internal/jobfile"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

// box is the container in which an image's commands run.
type box struct {
	made chan struct{} // closed when the rest is final
	id   string
	name string
	err  error
	// program is where the container has quire's own. It is right in /, which no
	// command can rename, under a name that no image has: one that an image has as
	// a link would lead elsewhere.
	program     string
	replaceable bool       // directories on the way to a mount are no part of the image
	starting    sync.Mutex // held by who starts it again
}

// box gives the container of an image, starting it at the first call.
func (d *Executor) box(ctx context.Context, image string) (*box, error) {
	same := oneName(image)
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, errors.New("the run's containers are gone")
	}
	b, found := d.boxes[same]
	if !found {
		d.begun++ // and not the number of boxes: the name of one that is being removed is taken
		b = &box{made: make(chan struct{}), name: fmt.Sprintf("quire-%s-%d", d.spec.RunID, d.begun), program: "/.quire-" + strings.ToLower(rand.Text())}
		d.boxes[same] = b
	}
	d.mu.Unlock()
	if !found {
		b.id, b.err = d.start(ctx, image, b)
		close(b.made)
		if b.err != nil { // the next command may have more luck
			d.mu.Lock()
			if d.boxes[same] == b && b.id == "" {
				delete(d.boxes, same)
			}
			d.mu.Unlock()
		}
	}
	select {
	case <-b.made:
		return b, b.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// oneName is the same for all ways to write an image's name, so that a run has one
// container, with one limit, whichever way its jobs write it.
func oneName(image string) string {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	return exact(ref)
}

// start makes and starts a container. It gives back its id, even with an
// error, when there is something to remove.
func (d *Executor) start(ctx context.Context, image string, b *box) (string, error) {
	info, err := d.had(ctx, image)
	if err != nil {
		return "", err
	}
	what := purpose{
		config: &container.Config{
			Image:       info.ID, // and not what another run makes of the name meanwhile
			Entrypoint:  []string{b.program, inside.Word, "pause"},
			Cmd:         []string{},
			User:        d.user,
			WorkingDir:  "/",
			Hostname:    "quire",
			Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		},
		log:  container.LogConfig{Type: "none"},
		name: b.name,
	}
	var made container.CreateResponse
	if d.bound {
		if err := d.makePoints(ctx); err != nil {
			return "", err
		}
		if b.replaceable, err = d.checkWays(ctx, b, image, info); err != nil {
			return "", err
		}
		what.mounts = d.mounts(b.program)
		made, err = d.create(ctx, what)
		if err != nil && strings.Contains(err.Error(), "bind source path does not exist") {
			d.bound = false // the socket is here and the engine is not
		}
	}
	if !d.bound {
		what.mounts = nil
		made, err = d.create(ctx, what)
		if err == nil {
			err = d.copyIn(ctx, made.ID, b.program)
		}
	}
	if err != nil {
		return made.ID, fmt.Errorf("container for image %s: %s", image, oneLine(err))
	}
	if err := d.engine.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		return made.ID, fmt.Errorf("starting a container of image %s: %s", image, oneLine(err))
	}
	d.spec.Container(true, b.name)
	return made.ID, nil
}

// remove ends and removes a container, and says that it has stopped.
func (d *Executor) remove(ctx context.Context, id, name string) error {
	if err := d.destroy(ctx, id, name); err != nil {
		return err
	}
	d.spec.Container(false, name)
	return nil
}

func (d *Executor) destroy(ctx context.Context, id, name string) error {
	err := d.engine.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsConflict(err) && strings.Contains(err.Error(), "already in progress") {
		over, failed := d.engine.ContainerWait(ctx, id, container.WaitConditionRemoved)
		select {
		case <-over:
			return nil
		case err = <-failed:
		}
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing container %s: %s", name, oneLine(err))
	}
	return nil
}

// user is the owner of the workspace, so that what commands make there is the
// same user's.
func user(ctx context.Context, workspace string) (string, error) {
	n, err := jobfile.Within(ctx, func() (*jobfile.Node, error) { return jobfile.Hold(workspace) }, (*jobfile.Node).Close)
	if err != nil {
		return "", fmt.Errorf("the workspace: %w", err)
	}
	defer n.Close()
	uid, gid := n.Owner()
	return strconv.Itoa(uid) + ":" + strconv.Itoa(gid), nil
}

// shown are the directories that commands see under their own paths.
func shown(ctx context.Context, spec executor.Spec, repo *local.Repository) ([]mount.Mount, error) {
	shown := []mount.Mount{{Type: mount.TypeBind, Source: spec.Workspace, Target: spec.Workspace}}
	borrowed, err := local.Alternates(ctx, spec.GitDir)
	if err != nil {
		return nil, err
	}
	for _, b := range append(borrowed, repo.Binds()...) {
		shown = append(shown, mount.Mount{Type: mount.TypeBind, Source: b.Source, Target: b.Target, ReadOnly: true})
	}
	for _, m := range spec.Mounts {
		shown = append(shown, mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Target, ReadOnly: !m.Writable})
	}
	return shown, nil
}

// mounts are what a container on this machine's engine is given, what is
// deeper last.
func (d *Executor) mounts(program string) []mount.Mount {
	all := append(slices.Clone(d.shown), mount.Mount{Type: mount.TypeBind, Source: d.helper, Target: program, ReadOnly: true})
	slices.SortStableFunc(all, func(a, b mount.Mount) int {
		return strings.Count(filepath.Clean(a.Target), "/") - strings.Count(filepath.Clean(b.Target), "/")
	})
	return all
}

// makePoints makes the directories in the workspace over which something is mounted.
// The engine would make them as root, and then neither jobs write beside a cache
// nor can quire's user remove the workspace. The engine does not leave the
// container's own files, wherever a link of a job's leads.
func (d *Executor) makePoints(ctx context.Context) error {
	for _, m := range d.spec.Mounts {
		rest, below := strings.CutPrefix(m.Target, d.spec.Workspace+"/")
		if !below {
			continue
		}
		_, err := jobfile.Within(ctx, func() (struct{}, error) { return struct{}{}, makePoint(d.spec.Workspace, rest) }, nil)
		if errors.Is(err, jobfile.ErrInTheWay) {
			err = fmt.Errorf("%w, and nothing is mounted behind one: remove it, or choose another path", err)
		}
		if err != nil {
			return fmt.Errorf("the mount at %s: %w", m.Target, err)
		}
	}
	return nil
}

func makePoint(workspace, path string) error {
	dir, err := jobfile.Hold(workspace)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(path, "/") {
		below, err := dir.MakeDir(name)
		dir.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		dir = below
	}
	dir.Close()
	return nil
}
