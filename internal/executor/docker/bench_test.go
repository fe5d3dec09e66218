package docker_test

import (
	"io"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/executortest"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
)

// One command, against one exec through the engine's API: create, attach, read
// to the end, ask for the status.
func BenchmarkTrue(b *testing.B) {
	c := engine(b)
	spec := executortest.NewSpec(b)
	x := start(b, spec)
	id := "quire-" + spec.RunID + "-1"
	executortest.Ratio(b, 0, func() { bareExec(b, c, id, []string{"/bin/true"}, io.Discard) }, func() {
		exit, err := x.Exec(b.Context(), executor.Command{Argv: []string{"true"}, Env: []string{"PATH=/bin"}}, io.Discard, nil)
		if err != nil || exit.Code != 0 {
			b.Fatal(exit, err)
		}
	})
}

// 100 MB through the engine, against the same by a bare exec.
func BenchmarkStream(b *testing.B) {
	c := engine(b)
	spec := executortest.NewSpec(b)
	x := start(b, spec)
	id := "quire-" + spec.RunID + "-1"
	executortest.Ratio(b, 0, func() { bareExec(b, c, id, []string{"/bin/head", "-c", "100000000", "/dev/zero"}, io.Discard) }, func() {
		exit, err := x.Exec(b.Context(), executor.Command{Argv: []string{"head", "-c", "100000000", "/dev/zero"}, Env: []string{"PATH=/bin"}}, io.Discard, nil)
		if err != nil || exit.Code != 0 {
			b.Fatal(exit, err)
		}
	})
}

func bareExec(b *testing.B, c *client.Client, id string, argv []string, out io.Writer) {
	made, err := c.ContainerExecCreate(b.Context(), id, container.ExecOptions{Cmd: argv, AttachStdout: true, AttachStderr: true})
	if err != nil {
		b.Fatal(err)
	}
	link, err := c.ContainerExecAttach(b.Context(), made.ID, container.ExecAttachOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer link.Close()
	if _, err := stdcopy.StdCopy(out, io.Discard, link.Reader); err != nil {
		b.Fatal(err)
	}
	if e, err := c.ContainerExecInspect(b.Context(), made.ID); err != nil || e.ExitCode != 0 {
		b.Fatal(e, err)
	}
}
