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

	"golang.org/x/sys/unix"
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

// A run of one command, from its executor to the end, with the settings copied for
// it and with a copy that is kept.
func BenchmarkRun(b *testing.B) {
	needBwrap(b)
	for name, kept := range map[string]string{"copied": "", "kept": b.TempDir()} {
		b.Run(name, func(b *testing.B) {
			before := processorTime(b)
			defer func() {
				b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N)/1000, "cpu-ms/op")
			}()
			for b.Loop() {
				spec := executortest.NewSpec(b)
				spec.Kept = kept
				x := open(b, spec)
				exit, err := x.Exec(b.Context(), executor.Command{Argv: []string{"true"}, Env: []string{"PATH=" + local.DefaultPath}}, io.Discard, nil)
				if err != nil || exit.Code != 0 {
					b.Fatal(exit, err)
				}
				if err := x.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// processorTime is what this process and those that it has waited for have used.
func processorTime(b *testing.B) time.Duration {
	var sum int64
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += u.Utime.Nano() + u.Stime.Nano()
	}
	return time.Duration(sum)
}
