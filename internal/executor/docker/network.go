package docker

import (
	"context"
	"maps"

	"github.com/docker/docker/api/types/network"
)

// makeNetwork makes the network in which a run's services are found by name.
// It leads outside only where the run's containers would get outside without
// it, for a pipeline that names a service must not lift the operator's rule:
// with "none" it is all there is, and with a network of the operator's it is
// beside that.
func (d *Executor) makeNetwork(ctx context.Context) error {
	internal := true
	switch d.spec.Network {
	case "none":
	case "", "default", "bridge":
		internal = false // instead of the engine's usual one, and apart from other runs
	case "host":
		internal = false // a container of the host's network can be in no other
	default:
		d.beside = d.spec.Network
	}
	made, err := d.engine.NetworkCreate(ctx, "quire-"+d.spec.RunID, network.CreateOptions{
		Driver: "bridge", Internal: internal, Labels: maps.Clone(d.owner),
	})
	if err != nil {
		return err
	}
	d.network = made.ID
	return nil
}

// networkMode is the configured network, or the run's own where services have
// made one.
func (d *Executor) networkMode() string {
	if d.network != "" {
		return d.network
	}
	return d.spec.Network
}
