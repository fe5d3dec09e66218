package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
)

// resolve finds the run's image: the pipeline's, else the one that
// .quire/Dockerfile makes, else the configuration's, else none, which is an
// error only for a job that names none either.
func (d *Executor) resolve(ctx context.Context) (string, error) {
	name := d.spec.Image
	if name == "" {
		built, err := d.build(ctx)
		if err != nil || built != "" {
			d.built = built
			return built, err
		}
		name = d.spec.DefaultImage
	}
	if name == "" {
		return "", nil
	}
	_, err := d.need(ctx, name)
	return name, err
}

var errNoImage = errors.New(`no image to run in: name one with (ci.image "…"), or add .quire/Dockerfile, or set image in [executor]`)

// had is an image that a container is to be of.
func (d *Executor) had(ctx context.Context, name string) (image.InspectResponse, error) {
	if name != d.built {
		return d.need(ctx, name)
	}
	info, err := d.engine.ImageInspect(ctx, name)
	if err != nil {
		return info, fmt.Errorf("the image of .quire/Dockerfile: %s", oneLine(err))
	}
	return info, nil
}

// need makes sure that the engine has an image of that name, pulling it if it
// does not. A name it must be: by the beginning of an id everything on the
// engine could be had, the images of other repositories too.
func (d *Executor) need(ctx context.Context, name string) (image.InspectResponse, error) {
	var none image.InspectResponse
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return none, fmt.Errorf("image %q: not an image's name: %w", name, err)
	}
	if reference.FamiliarName(ref) == builtHere {
		return none, fmt.Errorf("image %s: what is built of a Dockerfile is used without being named", name)
	}
	if err := d.allowed(name, ref); err != nil {
		return none, err
	}
	info, found, err := d.look(ctx, name, ref)
	if err == nil && !found {
		if err := d.pull(ctx, name, ref); err != nil {
			return none, err
		}
		if info, found, err = d.look(ctx, name, ref); err == nil && !found {
			err = errors.New("it was pulled and is gone again")
		}
	}
	if err != nil {
		return none, fmt.Errorf("image %s: %s", name, oneLine(err))
	}
	if info.Os != "" && info.Os != "linux" {
		return none, fmt.Errorf("image %s is for %s: jobs run on linux", name, info.Os)
	}
	if info.Architecture != "" && info.Architecture != runtime.GOARCH {
		return none, fmt.Errorf("image %s is for %s and quire for %s: name an image for this processor", name, info.Architecture, runtime.GOARCH)
	}
	return info, nil
}

// look finds an image that the engine knows under this very name.
func (d *Executor) look(ctx context.Context, name string, ref reference.Named) (image.InspectResponse, bool, error) {
	info, err := d.engine.ImageInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		return info, false, nil
	}
	if err != nil {
		return info, false, err
	}
	return info, slices.ContainsFunc(append(info.RepoTags, info.RepoDigests...), func(known string) bool {
		k, err := reference.ParseNormalizedNamed(known)
		return err == nil && exact(k) == exact(ref)
	}), nil
}

// exact is the whole name that stands for one image: with the digest if there
// is one, and else the tag.
func exact(ref reference.Named) string {
	if d, ok := ref.(reference.Digested); ok {
		return ref.Name() + "@" + d.Digest().String()
	}
	return reference.TagNameOnly(ref).String()
}

// pull fetches an image, telling how far it is.
func (d *Executor) pull(ctx context.Context, name string, ref reference.Named) error {
	auth, err := credentials(ctx, reference.Domain(ref))
	if err != nil {
		return fmt.Errorf("image %s: %w", name, err)
	}
	begun := time.Now()
	d.spec.Progress(fmt.Sprintf("pulling %s …", name))
	stream, err := d.engine.ImagePull(ctx, name, image.PullOptions{RegistryAuth: auth})
	if err != nil {
		return d.cannotPull(name, err)
	}
	defer stream.Close()
	if err := followPull(stream, name, d.spec.Progress); err != nil {
		return d.cannotPull(name, err)
	}
	d.spec.Progress(fmt.Sprintf("pulled %s in %s", name, time.Since(begun).Round(100*time.Millisecond)))
	return nil
}

func (d *Executor) cannotPull(name string, err error) error {
	why := oneLine(err)
	hint := "check the name and the engine's network"
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("pulling image %s: %w", name, err)
	case strings.Contains(why, "unauthorized"), strings.Contains(why, "no basic auth"), strings.Contains(why, "denied"):
		hint = "check the name, or docker login as the user that quire runs as"
	case strings.Contains(why, "not found"), strings.Contains(why, "manifest unknown"):
		hint = "check the name and tag"
	}
	return fmt.Errorf("image %s is not on the engine and cannot be pulled (%s): %s", name, why, hint)
}

// message is a line of the engine's account of a pull or build.
type message struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Stream   string `json:"stream"`
	Error    string `json:"error"`
	Progress struct {
		Current int64 `json:"current"`
		Total   int64 `json:"total"`
	} `json:"progressDetail"`
	Aux json.RawMessage `json:"aux"`
}

// followPull reads the account to its end, and tells now and then how much has
// come: when a tenth more is there, and not oftener than every two seconds.
func followPull(r io.Reader, name string, tell func(string)) error {
	type layer struct{ current, total int64 }
	layers := map[string]layer{}
	var told time.Time
	var toldAt int64
	for dec := json.NewDecoder(r); ; {
		var m message
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if m.Error != "" {
			return errors.New(m.Error)
		}
		if m.Status != "Downloading" || m.Progress.Total == 0 {
			continue
		}
		layers[m.ID] = layer{m.Progress.Current, m.Progress.Total}
		var sum layer
		for _, l := range layers {
			sum.current += l.current
			sum.total += l.total
		}
		if tenth := sum.current * 10 / sum.total; tenth > toldAt && time.Since(told) > 2*time.Second {
			told, toldAt = time.Now(), tenth
			tell(fmt.Sprintf("pulling %s: %d of %d MB", name, sum.current/1e6, (sum.total+999_999)/1e6))
		}
	}
}
