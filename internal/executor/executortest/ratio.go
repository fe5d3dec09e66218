package executortest

import (
	"slices"
	"testing"
	"time"
)

// Ratio runs two ways of doing the same by turns, b.N times but at least 30,
// resting before each, and reports both medians and what ours is of the bare
// one.
func Ratio(b *testing.B, rest time.Duration, bare, ours func()) {
	b.Helper()
	bare()
	ours()
	n := max(b.N, 30)
	both := [2][]time.Duration{}
	b.ResetTimer()
	for i := range n {
		for j := range 2 {
			which := (i + j) % 2 // who goes first changes
			// The kernel clears namespaces and containers away after their end is
			// told; that is not the next one's time.
			time.Sleep(rest)
			begun := time.Now()
			[]func(){bare, ours}[which]()
			both[which] = append(both[which], time.Since(begun))
		}
	}
	b.StopTimer()
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2].Microseconds())
	}
	b.ReportMetric(median(both[0]), "bare-µs")
	b.ReportMetric(median(both[1]), "ours-µs")
	b.ReportMetric(median(both[1])/median(both[0]), "ratio")
	b.ReportMetric(0, "ns/op") // both together, which says nothing
}
