package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
)

// Sweep removes the containers, networks and volumes of runs whose supervisor
// is gone, of this boot or an earlier one: all that carry the label of runsDir
// (the directory that holds each run's RunDir) and whose run keep does not
// want. What another quire or another person made is not touched.
//
// An engine that does not answer has nothing that could be removed now, and is
// no error: the next Sweep finds it.
func Sweep(ctx context.Context, runsDir string, keep func(runID string) bool) error {
	engine, _, err := connect(ctx)
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	defer engine.Close()
	ours := filters.NewArgs(filters.Arg("label", LabelHome+"="+home(runsDir)), filters.Arg("label", LabelRun))
	dead := func(labels map[string]string) bool { return labels[LabelRun] != "" && !keep(labels[LabelRun]) }
	var errs []error
	failed := func(what, name string, err error) {
		if err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("removing %s %s: %s", what, name, oneLine(err)))
		}
	}

	containers, err := engine.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		return fmt.Errorf("listing the engine's containers: %s", oneLine(err))
	}
	for _, c := range containers {
		if dead(c.Labels) {
			failed("container", c.ID, engine.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}))
		}
	}
	networks, err := engine.NetworkList(ctx, network.ListOptions{Filters: ours})
	if err != nil {
		return fmt.Errorf("listing the engine's networks: %s", oneLine(err))
	}
	for _, n := range networks {
		if dead(n.Labels) {
			failed("network", n.Name, engine.NetworkRemove(ctx, n.ID))
		}
	}
	volumes, err := engine.VolumeList(ctx, volume.ListOptions{Filters: ours})
	if err != nil {
		return fmt.Errorf("listing the engine's volumes: %s", oneLine(err))
	}
	for _, v := range volumes.Volumes {
		if dead(v.Labels) {
			failed("volume", v.Name, engine.VolumeRemove(ctx, v.Name, true))
		}
	}
	return errors.Join(errs...)
}
