package bwrap

import (
	"os"
	"path/filepath"
	"strconv"
)

// Files that are kept in memory belong to no process: resource limits, which hold
// memory where there is no cgroup, do not see them. So each of a sandbox's file systems
// in memory has a size. Without one the kernel gives each half of the machine's memory.

const (
	smallSize  = 64 << 20  // what is there for mount points
	sharedSize = 512 << 20 // /dev/shm, where the run has no limit of memory
)

// inMemory are the sizes of a sandbox's file systems in memory.
type inMemory struct {
	small  fsSize
	shared fsSize // /dev/shm
}

// fsSize is a file system's size in bytes; 0: the kernel's own bound.
type fsSize int64

func (s *sandbox) memory() inMemory {
	if !s.can.size {
		return inMemory{}
	}
	m := inMemory{small: smallSize, shared: sharedSize}
	if most := fsSize(s.spec.Limits.Memory); most > 0 {
		m.small, m.shared = min(m.small, most), most
	}
	return m
}

func (z fsSize) tmpfs(mode, target string) []string {
	o := []string{"--perms", mode}
	if z > 0 {
		o = append(o, "--size", strconv.FormatInt(int64(z), 10))
	}
	return append(o, "--tmpfs", target)
}

// kernelsOwn covers what only root may read of the kernel's own files, since a job of
// root's is root there, too: memory in use by address (slabinfo, vmallocinfo), timers
// with their owners.
func kernelsOwn() layout {
	if os.Geteuid() != 0 {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil // /proc is not there: bwrap will say so
	}
	var l layout
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name() == "keys" || e.Name() == "key-users" {
			continue
		}
		if info, err := e.Info(); err == nil && !public(info.Mode()) {
			l = append(l, mount{target: filepath.Join("/proc", e.Name()), kind: nothing})
		}
	}
	return l
}
