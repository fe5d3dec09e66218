package docker

import (
	"context"
	"maps"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
)

// purpose is what the containers of a run differ in. Everything else that a
// container is held by is said once, in create.
type purpose struct {
	config *container.Config
	mounts []mount.Mount
	log    container.LogConfig
	alias  string // the name under which the run's network knows it; "" none
	name   string
}

// create is the only place in which a container is made. Whatever image it is
// of and whatever its commands are, the same holds for it: the run's limits, its
// network, no new privileges, and fewer capabilities than an engine gives.
func (d *Executor) create(ctx context.Context, p purpose) (container.CreateResponse, error) {
	p.config.Labels = maps.Clone(d.owner)
	init := true
	host := &container.HostConfig{
		Init:          &init, // reaps what commands leave to the first process
		SecurityOpt:   []string{"no-new-privileges"},
		CapDrop:       needless,
		IpcMode:       container.IPCModePrivate,
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		Resources:     d.resources(),
		LogConfig:     p.log,
		Mounts:        p.mounts,
		NetworkMode:   container.NetworkMode(d.networkMode()),
	}
	var names *network.NetworkingConfig
	if d.network != "" && p.alias != "" {
		names = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			d.network: {Aliases: []string{p.alias}},
		}}
	}
	made, err := d.engine.ContainerCreate(ctx, p.config, host, names, nil, p.name)
	if err == nil && d.beside != "" {
		// A container begins in one network and is put into the second.
		err = d.engine.NetworkConnect(ctx, d.beside, made.ID, nil)
	}
	return made, err
}

// needless are the capabilities of an engine's usual set that no build, test or
// server needs as root of its container: to send forged packets (which would
// reach other runs' containers in the same network), to make devices, to leave
// files that give capabilities or write the kernel's audit log. What a package
// manager, or a server that gives up being root needs stays: chown, setuid.
var needless = []string{"NET_RAW", "MKNOD", "SETFCAP", "SETPCAP", "AUDIT_WRITE"}

func (d *Executor) resources() container.Resources {
	l := d.spec.Limits
	r := container.Resources{NanoCPUs: int64(l.CPU * 1e9), Memory: l.Memory, MemorySwap: l.Memory, Ulimits: noCore}
	if n := d.pids(); n > 0 {
		r.PidsLimit = &n
	}
	return r
}

// noCore: a core file holds the secrets of its process, and the machine may
// collect it wherever its core_pattern says (core(5)).
var noCore = []*container.Ulimit{{Name: "core", Soft: 0, Hard: 0}}

// pids is the limit with room for the container's own processes, and up to ten
// for each command's, whose threads count; 0 is none.
func (d *Executor) pids() int64 {
	if d.spec.Limits.PIDs <= 0 {
		return 0
	}
	return int64(d.spec.Limits.PIDs) + ownPIDs
}

const ownPIDs = 48
