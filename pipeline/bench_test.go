package pipeline

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"quire/internal/event"
)

// ordinary is a pipeline of fifty lines, as people write them.
var ordinary = func() string {
	text, err := os.ReadFile("testdata/ordinary.fnl")
	if err != nil {
		panic(err)
	}
	return string(text)
}()

// silent is a Host for pipelines that ask for nothing.
type silent struct{ Host }

// Source to a checked pipeline: what a push waits for. Cold is the first one of
// a process: go test -bench Load -benchtime 1x.
func BenchmarkLoad(b *testing.B) {
	if n := strings.Count(ordinary, "\n"); n != 50 {
		b.Fatalf("the ordinary pipeline has %d lines", n)
	}
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		if _, err := Load(context.Background(), source(ordinary), Limits{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// The overhead of a job that runs no command, in a pipeline of n of them: a
// state of its own, in which all n are registered again. The figure to look at
// is µs/job; the processors' time is beside it.
func BenchmarkJobsWithoutCommands(b *testing.B) {
	written := func(n int) string {
		var s strings.Builder
		s.WriteString("(local ci (require :quire.ci))\n")
		for i := range n {
			fmt.Fprintf(&s, "(ci.job :job-%d [:quire/push] (fn [] {:n %d}))\n", i, i)
		}
		return s.String()
	}
	loop := func(n int) string {
		return fmt.Sprintf("(local ci (require :quire.ci))\n(for [i 1 %d]\n  (ci.job (.. :job- i) [:quire/push] (fn [] {:n i})))\n", n)
	}
	for _, bench := range []struct {
		name string
		text func(int) string
		n    int
	}{{"written-10", written, 10}, {"written-1000", written, 1000}, {"loop-1000", loop, 1000}} {
		b.Run(bench.name, func(b *testing.B) {
			p := load(b, bench.text(bench.n))
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				if out := p.Run(context.Background(), silent{}, Options{}); out.State != event.RunSucceeded {
					b.Fatal(out.Reason)
				}
			}
			jobs := float64(b.N * bench.n)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/jobs, "µs/job")
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/jobs, "cpu-µs/job")
		})
	}
}

// processorTime is what this process has used, garbage collection included. On
// a busy machine it says more than the wall clock.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
