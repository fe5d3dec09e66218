package host_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/executortest"
	"quire/internal/executor/host"
	"quire/internal/executor/local"
	"quire/internal/executor/procs"

	"golang.org/x/sys/unix"
)

func TestHostileSpecs(t *testing.T) {
	executortest.Specs(t, func(spec executor.Spec) (executor.Executor, error) { return host.New(t.Context(), spec) })
}

func open(t testing.TB, spec executor.Spec) executor.Executor {
	t.Helper()
	x, err := host.New(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestConformance(t *testing.T) {
	traits := executortest.Traits{Path: local.DefaultPath}
	t.Run("with a cgroup", func(t *testing.T) {
		group, err := procs.OpenCgroup(executortest.RunID(t))
		if err != nil {
			executortest.Needs(t, "a writable cgroup v2: "+err.Error())
		}
		if err := group.Close(); err != nil {
			t.Fatal(err)
		}
		executortest.Run(t, traits, open)
	})
	t.Run("without a cgroup", func(t *testing.T) {
		executortest.Run(t, traits, func(t testing.TB, spec executor.Spec) executor.Executor {
			t.Helper()
			x, err := host.NewWithoutCgroup(spec)
			if err != nil {
				t.Fatal(err)
			}
			return x
		})
	})
}

// The kernel would keep this whole process in execve(2) until the lease is given back.
func TestAProgramUnderALeaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(program, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Fatal(err)
	}
	x := open(t, executor.Spec{RunID: executortest.RunID(t), Workspace: dir, RunDir: dir})
	defer x.Close(t.Context())
	_, err = x.Exec(t.Context(), executor.Command{Argv: []string{"./program"}}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "a process holds a lease on it") {
		t.Errorf("got %v", err)
	}
}

func TestLimits(t *testing.T) {
	needControllers(t)
	executortest.Limits(t, executortest.Traits{Path: local.DefaultPath}, open)
}

// needControllers demands that this process may make cgroups that limit.
func needControllers(t testing.TB) {
	t.Helper()
	l, err := procs.Limit(executortest.RunID(t), nil, procs.Bounds{Memory: 1 << 30, PIDs: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if len(l.Notes()) > 0 {
		executortest.Needs(t, "a delegated cgroup: "+l.Notes()[0])
	}
}
