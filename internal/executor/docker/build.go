package docker

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"quire/internal/executor"

	"github.com/containerd/errdefs"
	dockerbuild "github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"
)

// LabelContext is on images that were built here, with their context's hash.
const LabelContext = "quire.context"

// builtHere is what images that are built here are called. No registry can have
// one: nothing is ever called .invalid (RFC 2606), so none is pulled, and a
// pipeline is refused the name.
const builtHere = "quire.invalid/built"

// builtName names the image of a context for one domain.
func builtName(domain, context string) string {
	sum := sha256.Sum256([]byte(domain + "\x00" + context))
	return builtHere + ":" + hex.EncodeToString(sum[:16])
}

// build makes the image of .quire/Dockerfile, or finds the one that was made of
// the same context before, for the run's own domain or one that it may use. ""
// without error: there is no Dockerfile.
//
// The context is the directory .quire without its Fennel: an image depends on
// what is there and nothing else, and a commit elsewhere builds none.
func (d *Executor) build(ctx context.Context) (string, error) {
	if d.spec.Context == nil {
		return "", nil
	}
	files, err := d.spec.Context(ctx)
	if err != nil {
		return "", fmt.Errorf("the image of .quire/Dockerfile: %w", err)
	}
	i := slices.IndexFunc(files, func(f executor.ContextFile) bool { return f.Path == "Dockerfile" })
	if i < 0 {
		return "", nil
	}
	hash := sha256.New()
	if err := writeContext(hash, files); err != nil {
		return "", fmt.Errorf("the image of .quire/Dockerfile: %w", err)
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	domains := d.spec.Domains
	if len(domains) == 0 {
		domains = []string{""}
	}
	for _, domain := range domains {
		tag := builtName(domain, sum)
		if _, err := d.engine.ImageInspect(ctx, tag); err == nil {
			return tag, nil
		} else if !errdefs.IsNotFound(err) {
			return "", fmt.Errorf("the image of .quire/Dockerfile: %s", oneLine(err))
		}
	}
	if err := d.buildable(ctx, string(files[i].Content)); err != nil {
		return "", fmt.Errorf("building the image of .quire/Dockerfile: %w", err)
	}
	tag := builtName(domains[0], sum)
	begun := time.Now()
	d.spec.Progress("building the image of .quire/Dockerfile …")
	if err := d.buildImage(ctx, tag, sum, files); err != nil {
		return "", fmt.Errorf("building the image of .quire/Dockerfile: %w", err)
	}
	d.spec.Progress(fmt.Sprintf("built the image of .quire/Dockerfile in %s", time.Since(begun).Round(100*time.Millisecond)))
	return tag, nil
}

// buildable finds the images that a Dockerfile is built on, pulling them by
// their names, and refuses instructions that the engine would carry out outside
// of a container: its own and those that the images bring along.
func (d *Executor) buildable(ctx context.Context, dockerfile string) error {
	names, err := bases(dockerfile)
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := d.need(ctx, name)
		if err != nil {
			return err
		}
		if info.Config == nil {
			continue
		}
		if err := triggers(info.Config.OnBuild); err != nil {
			return fmt.Errorf("image %s has an ONBUILD that is not carried out here: %w", name, err)
		}
	}
	return nil
}

// buildImage has the engine build. Every RUN is held by the run's limits and has
// its network. No step is taken from an earlier build (NoCache): the engine finds
// those by comparing too little, so that a pulled image can pass for a step of
// another repository's build (CVE-2024-24557).
func (d *Executor) buildImage(ctx context.Context, tag, sum string, files []executor.ContextFile) error {
	written, err := writtenCredentials()
	if err != nil {
		return err
	}
	body, w := io.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		w.CloseWithError(writeContext(w, files))
	}()
	defer func() {
		body.Close()
		<-sent
	}()
	mark := "quire-build-" + strings.ToLower(rand.Text())
	l := d.spec.Limits
	options := dockerbuild.ImageBuildOptions{
		Version: dockerbuild.BuilderV1, // BuildKit has no limits, and mounts that builds share
		Tags:    []string{tag}, Dockerfile: "Dockerfile", Remove: true, ForceRemove: true, NoCache: true,
		Labels: map[string]string{LabelContext: sum}, AuthConfigs: written,
		NetworkMode: d.spec.Network, Memory: l.Memory, MemorySwap: l.Memory, Ulimits: noCore,
		ExtraHosts: []string{mark + ":127.0.0.1"},
	}
	if l.CPU > 0 {
		const period = 100_000 // microseconds, the kernel's usual
		options.CPUPeriod, options.CPUQuota = period, int64(l.CPU*period)
	}
	answer, err := d.engine.ImageBuild(ctx, body, options)
	if err != nil {
		return errors.New(oneLine(err))
	}
	defer answer.Body.Close()
	return followBuild(answer.Body, d.spec.Progress, func(id string) error { return d.holdBuild(ctx, id, mark) })
}

// holdBuild sets what the builder has no option for, in the container of a step
// that the engine has just made and is starting: how many processes. A step may
// run for a moment before that; what it started then counts.
//
// A step prints what it likes, also that a container of its choice was made; so
// the container must be one of this very build, which its mark says.
func (d *Executor) holdBuild(ctx context.Context, id, mark string) error {
	n := d.pids()
	if n == 0 {
		return nil
	}
	info, err := d.engine.ContainerInspect(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err == nil && (info.HostConfig == nil || !slices.Contains(info.HostConfig.ExtraHosts, mark+":127.0.0.1")) {
		return nil
	}
	if err == nil {
		_, err = d.engine.ContainerUpdate(ctx, info.ID, container.UpdateConfig{Resources: container.Resources{PidsLimit: &n}})
	}
	if err == nil {
		return nil
	}
	// A step may be over by now, which has many sentences; only one that runs must be held.
	info, again := d.engine.ContainerInspect(ctx, id)
	if errdefs.IsNotFound(again) || again == nil && info.State != nil && !info.State.Running {
		return nil
	}
	return fmt.Errorf("a step cannot be held to its limits: %s", oneLine(err))
}

// followBuild tells each step, and of a step that fails what it said last. made
// is told which container a step has.
func followBuild(r io.Reader, tell func(string), made func(id string) error) error {
	var said []string
	for dec := json.NewDecoder(r); ; {
		var m message
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if m.Error != "" {
			why := strings.Join(strings.Fields(m.Error), " ")
			if len(said) > 0 {
				return fmt.Errorf("%s\n%s", why, strings.Join(said, "\n"))
			}
			return errors.New(why)
		}
		for line := range strings.Lines(m.Stream) {
			line = strings.TrimRight(line, "\r\n")
			switch {
			case strings.HasPrefix(line, "Step "):
				said = nil
				tell(line)
			case strings.HasPrefix(line, " ---> Running in "):
				if err := made(strings.TrimSpace(strings.TrimPrefix(line, " ---> Running in "))); err != nil {
					return err
				}
			case strings.HasPrefix(line, " --->"), strings.TrimSpace(line) == "":
			default:
				said = append(said[max(0, len(said)-19):], line)
			}
		}
	}
}

// writeContext writes a tar of the files in which nothing depends on when and
// by whom they were checked out, so that it serves for the hash too.
func writeContext(w io.Writer, files []executor.ContextFile) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		mode := int64(0o644)
		if f.Executable {
			mode = 0o755
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Size: int64(len(f.Content)), Mode: mode, Format: tar.FormatPAX}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(f.Content); err != nil {
			return err
		}
	}
	return t.Close()
}
