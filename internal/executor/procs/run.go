package procs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// KillRun ends every process that belongs to a run, from any process of the
// machine: for when the run's supervisor is dead, so that its commands have
// lost their place in a tree. It returns when none is left, or with an error
// that names those that could not be ended. This process and its ancestors are
// spared, even if they were started by a command of the run.
func KillRun(ctx context.Context, runID string) error {
	if runID == "" {
		return fmt.Errorf("ending a run's processes: no run id")
	}
	tag := tagOfRun(runID)
	var groups []string // the run's cgroups that were met
	look := func() ([]Process, error) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("ending the processes of run %s: %w", runID, context.Cause(ctx))
		}
		all, err := table()
		if err != nil {
			return nil, err
		}
		in := map[int]bool{}
		for _, p := range all {
			if path, _ := cgroupPath(p.PID, ""); cgroupOfRun(path, runID) {
				groups = append(groups, path)
				in[p.PID] = true
			} else if tag.on(p.PID) || environHas(p.PID, EnvRun+"="+runID) {
				in[p.PID] = true
			}
		}
		spared := lineage(all)
		for pid := range spared {
			delete(in, pid)
		}
		below(all, in)
		var left []Process
		for _, p := range all {
			// A zombie is its parent's to reap, and harms nobody.
			if in[p.PID] && !spared[p.PID] && !p.Dead() {
				left = append(left, p)
			}
		}
		return left, nil
	}
	// One reading of the table can miss a child whose parent ended meanwhile (see
	// Command.seen), and here somebody else reaps the parent.
	left := func() (left []Process, err error) {
		for range 5 {
			if left, err = look(); err != nil || len(left) > 0 {
				break
			}
		}
		return left, err
	}
	send := func(to []Process, sig unix.Signal) error {
		var refused error
		for _, p := range to {
			if err := kill(p, sig); err != nil {
				refused = err
			}
		}
		return refused
	}
	if err := killUntilEmpty(left, send); err != nil {
		return err
	}
	bases, _ := cgroupBases() // where this process would have made the run's
	for _, controller := range []string{"memory", "pids", "cpu"} {
		if base, err := separateCgroup(controller); err == nil {
			bases = append(bases, base)
		}
	}
	for _, base := range bases {
		removeCgroup(filepath.Join(base, cgroupPrefix+runID))
	}
	slices.Sort(groups)
	for _, path := range slices.Compact(groups) {
		if root, err := cgroupMount(path); err == nil {
			removeCgroup(upToRun(root, runID))
		}
	}
	return nil
}

// lineage is this process and all that it descends from.
func lineage(all []Process) map[int]bool {
	parent := make(map[int]int, len(all))
	for _, p := range all {
		parent[p.PID] = p.Parent
	}
	line := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !line[pid]; pid = parent[pid] {
		line[pid] = true
	}
	return line
}

func cgroupOfRun(path, runID string) bool {
	return slices.Contains(strings.Split(path, "/"), cgroupPrefix+runID)
}

// upToRun cuts a directory after the run's own component.
func upToRun(dir, runID string) string {
	name := "/" + cgroupPrefix + runID
	if i := strings.Index(dir+"/", name+"/"); i >= 0 {
		return dir[:i+len(name)]
	}
	return dir
}
