package docker

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"quire/internal/checked"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
)

// engines are the places in a container at which an engine itself mounts
// something, or makes the file over which it does.
var engines = []string{"/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/sbin/docker-init"}

// checkWays finds out, before anything is mounted, that what quire mounts in a
// container of the image will be where it is meant to be. An engine follows the
// links of the image on the way to a mount, and makes what is missing at the end
// as root: by a link to a cache, in the cache on this machine.
//
// It looks into a container that has none of the mounts and is never started: to
// look into one that has them makes an engine mount them.
//
// replaceable is a directory on the way that does not belong to the image's files:
// what it holds later cannot be looked at in this way.
func (d *Executor) checkWays(ctx context.Context, b *box, name string, info image.InspectResponse) (replaceable bool, err error) {
	targets, probe := d.targets(b.program), b.name+"-look"
	made, err := d.create(ctx, purpose{
		config: &container.Config{Image: info.ID, Entrypoint: []string{"/never"}, Cmd: []string{}},
		log:    container.LogConfig{Type: "none"},
		name:   probe,
	})
	if made.ID != "" {
		defer func() {
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			if gone := d.destroy(clean, made.ID, probe); err == nil {
				err = gone
			}
		}()
	}
	if err != nil {
		return false, fmt.Errorf("container for image %s: %s", name, oneLine(err))
	}
	var volumes []string
	if info.Config != nil {
		for v := range info.Config.Volumes {
			volumes = append(volumes, v)
		}
	}
	w := ways{seen: map[string]string{}, stat: func(p string) (container.PathStat, error) {
		return d.engine.ContainerStatPath(ctx, made.ID, p)
	}}
	if replaceable, err = w.check(targets, volumes); err != nil {
		return false, fmt.Errorf("image %s: %w", name, err)
	}
	return replaceable, nil
}

// ways follows paths in the files of a container.
type ways struct {
	stat func(path string) (container.PathStat, error)
	seen map[string]string // where a path leads whose parent is no link; "" it is missing
}

func (w *ways) check(targets, volumes []string) (replaceable bool, err error) {
	for _, t := range targets {
		at, err := w.lead(t)
		if err != nil {
			return false, err
		}
		if at == t {
			continue
		}
		link := t
		for p := t; p != "/"; p = path.Dir(p) {
			if w.seen[p] != "" && w.seen[p] != p {
				link = p
			}
		}
		return false, fmt.Errorf("%s is a symbolic link (to %s), and %s is to be mounted there: nothing is mounted behind a link: take it out of the image, or choose another path", link, w.seen[link], t)
	}
	for _, e := range engines {
		at, err := w.lead(e)
		if err != nil {
			return false, err
		}
		for _, t := range targets {
			if checked.Inside(at, t) {
				return false, fmt.Errorf("%s of the image is %s, where the engine would make it in what is mounted at %s: take the link out of the image, or choose another path", e, at, t)
			}
		}
	}
	for _, v := range volumes {
		v = path.Join("/", v)
		at, err := w.lead(v)
		if err != nil {
			return false, err
		}
		for _, t := range targets {
			switch {
			case v == t: // quire's mount is in the place of the volume
			case checked.Inside(at, t):
				return false, fmt.Errorf("its volume %s would be made in what is mounted at %s: take the VOLUME out of the image, or choose another path", v, t)
			case checked.Inside(t, at):
				replaceable = true
			}
		}
	}
	return replaceable, nil
}

// lead is where a path leads: through links, and on as it is where nothing is.
func (w *ways) lead(target string) (string, error) {
	at := "/"
	names := strings.Split(strings.Trim(target, "/"), "/")
	for i, name := range names {
		p := path.Join(at, name)
		to, known := w.seen[p]
		if !known {
			s, err := w.stat(p)
			switch {
			case errdefs.IsNotFound(err):
			case err != nil:
				return "", fmt.Errorf("looking at %s: %s", p, oneLine(err))
			case s.LinkTarget != "":
				to = path.Join("/", s.LinkTarget) // of the link's end, whole
			default:
				to = p
			}
			w.seen[p] = to
		}
		if to == "" {
			return path.Join(p, path.Join(names[i+1:]...)), nil
		}
		at = to
	}
	return at, nil
}

// targets are the paths that are mounted over.
func (d *Executor) targets(program string) []string {
	all := []string{program}
	for _, m := range d.shown {
		all = append(all, path.Clean(m.Target))
	}
	return all
}

// etcReplaced says whether a command may have made a link of /etc. An engine puts
// its own directory of that name over an image's, so that it does not show in a
// container of the committed files. Nothing is listed below a link.
func (d *Executor) etcReplaced(ctx context.Context, b *box) (bool, error) {
	changes, err := d.engine.ContainerDiff(ctx, b.id)
	if err != nil {
		return false, err
	}
	changed := false
	for _, c := range changes {
		if strings.HasPrefix(c.Path, "/etc/") && c.Kind != container.ChangeDelete {
			return false, nil
		}
		changed = changed || c.Path == "/etc"
	}
	return changed, nil
}

// again starts a container that has ended: an earlier command killed everything
// it could, the container's own process too, or the engine was restarted. Its
// files are still there, and with them the links that the commands made, which
// the engine follows when it mounts everything anew. So they are looked at as an
// image's are. One in which they lead astray is not started, but replaced.
func (d *Executor) again(ctx context.Context, b *box) error {
	b.starting.Lock() // so that nobody else's start lets commands change what is looked at
	defer b.starting.Unlock()
	info, err := d.engine.ContainerInspect(ctx, b.id)
	if err != nil || info.State != nil && info.State.Running {
		return err
	}
	if d.bound {
		if b.replaceable {
			return &removedError{name: b.name, why: "has stopped, and has a volume on the way to a mount"}
		}
		if err := d.makePoints(ctx); err != nil {
			return err
		}
		if replaced, err := d.etcReplaced(ctx, b); err != nil {
			return err
		} else if replaced {
			return &removedError{name: b.name, why: "has stopped, and a command may have put a link in the place of its /etc"}
		}
		kept, err := d.engine.ContainerCommit(ctx, b.id, container.CommitOptions{})
		if err != nil {
			return err
		}
		defer func() {
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			d.engine.ImageRemove(clean, kept.ID, image.RemoveOptions{Force: true}) // what is left has no name: docker image prune
		}()
		look, err := d.engine.ImageInspect(ctx, kept.ID)
		if err != nil {
			return err
		}
		if _, err := d.checkWays(ctx, b, look.ID, look); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &removedError{name: b.name, why: "has stopped and is not started again: " + strings.TrimPrefix(err.Error(), "image "+look.ID+": ")}
		}
	}
	return d.engine.ContainerStart(ctx, b.id, container.StartOptions{})
}
