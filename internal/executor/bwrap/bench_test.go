package bwrap_test

import (
	"io"
	"os/exec"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/executortest"
	"quire/internal/executor/local"
)

// One command, against bwrap by itself with the same namespaces.
func BenchmarkTrue(b *testing.B) {
	needBwrap(b)
	x := open(b, executortest.NewSpec(b))
	defer x.Close(b.Context())
	executortest.Ratio(b, func() {
		c := exec.Command("bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--die-with-parent",
			"--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "true")
		c.Stdout, c.Stderr = io.MultiWriter(), io.MultiWriter()
		if err := c.Run(); err != nil {
			b.Fatal(err)
		}
	}, func() {
		exit, err := x.Exec(b.Context(), executor.Command{Argv: []string{"true"}, Env: []string{"PATH=" + local.DefaultPath}}, io.Discard, nil)
		if err != nil || exit.Code != 0 {
			b.Fatal(exit, err)
		}
	})
}
