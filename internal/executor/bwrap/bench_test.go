package bwrap_test

import (
	"io"
	"os/exec"
	"slices"
	"testing"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/bwrap"
	"quire/internal/executor/executortest"
	"quire/internal/executor/local"
)

// One command, against bwrap by itself with the same arguments.
func BenchmarkTrue(b *testing.B) {
	needBwrap(b)
	x := open(b, executortest.NewSpec(b))
	defer x.Close(b.Context())
	options, err := bwrap.Options(x, []string{"PATH=" + local.DefaultPath})
	if err != nil {
		b.Fatal(err)
	}
	executortest.Ratio(b, 50*time.Millisecond, func() {
		c := exec.Command("bwrap", append(slices.Clip(options), "--", "true")...)
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
