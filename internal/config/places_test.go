package config

import "testing"

func TestARepositoryLeavesAPlaceToTheOthers(t *testing.T) {
	for _, c := range []struct{ runs, ofOne, want int }{{2, 0, 1}, {1, 0, 1}, {8, 0, 7}, {4, 2, 2}, {4, 4, 4}, {2, 9, 2}} {
		cfg := Defaults()
		cfg.MaxRuns, cfg.MaxRunsPerRepository = c.runs, c.ofOne
		if got := cfg.RunsOfOne(); got != c.want {
			t.Errorf("max_runs %d, max_runs_per_repository %d: %d of one repository, not %d", c.runs, c.ofOne, got, c.want)
		}
	}
}
