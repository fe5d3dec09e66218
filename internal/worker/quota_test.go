package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quire/internal/config"
	"quire/internal/runlog"
)

// What a repository's runs take has a bound: the oldest run's logs go, its row and
// its report stay and say so, and no new run is needed for it.
func TestTheOldestLogsGoWhenThereIsTooMuch(t *testing.T) {
	w := newWorld(t, "keep_workspace = \"never\"\n[retention]\ndisk = \"1100KiB\"\n")
	r := w.repo("project")
	other := w.repo("other")
	for range 3 {
		r.commit(`(runtime.sh "head -c 200000 /dev/zero | tr '\\0' x; head -c 200000 /dev/zero >kept") (runtime.artifact "kept")`)
		r.pushUnattended("")
		w.workOff()
	}
	other.commit(`(runtime.sh "head -c 200000 /dev/zero | tr '\\0' x")`)
	other.pushUnattended("")
	w.workOff()
	runs := w.runs()
	if len(runs) != 4 {
		t.Fatalf("%d runs", len(runs))
	}
	cut := func() (out []string) {
		for _, run := range runs {
			d := runlog.RunDir(w.root, run.ID)
			_, logs := os.Stat(d.Job("test"))
			_, kept := os.Stat(filepath.Join(string(d), "artifacts"))
			if d.Removed() == "" && logs == nil {
				continue
			}
			if d.Removed() != "log removed: [retention] disk" || logs == nil || kept == nil {
				t.Errorf("run %d: %q, logs %v, artifacts %v", run.Number, d.Removed(), logs, kept)
			}
			if report := w.report(run); !strings.Contains(report, "succeeded") || !w.outcomeIs(run, "succeeded") {
				t.Errorf("run %d has the report %q", run.Number, report)
			}
			out = append(out, fmt.Sprint(run.Number))
		}
		return out
	}
	if got := cut(); !slices.Equal(got, []string{"1"}) {
		t.Errorf("the logs of runs %v are removed, want those of 1", got)
	}
	// The bound of all together: the next look, with nothing else to do.
	s := w.store()
	defer s.Close()
	w.cfg.Retention.DiskTotal = config.Size(500 << 10)
	c, err := Collect(context.Background(), w.cfg, s)
	if err != nil || len(c.Errors) > 0 {
		t.Fatal(err, c.Errors)
	}
	if got := cut(); !slices.Equal(got, []string{"1", "2", "3"}) || c.Cut != 2 {
		t.Errorf("the logs of runs %v are removed (%d now), want those of 1, 2, 3", got, c.Cut)
	}
	if c, err = Collect(context.Background(), w.cfg, s); err != nil || c.Cut != 0 {
		t.Errorf("again %d, %v", c.Cut, err)
	}
}

func TestWhichHoldingsGo(t *testing.T) {
	day := func(n int) time.Time { return time.Unix(int64(n)*86400, 0) }
	var gone []string
	hold := func(name string, used time.Time, last, inUse bool, bytes int64) holding {
		return holding{used: used, last: last, bytes: bytes, remove: func(context.Context) (int64, error) {
			if inUse {
				return 0, nil
			}
			gone = append(gone, name)
			return bytes - 1, nil
		}}
	}
	all := []holding{
		hold("default cache", day(1), true, false, 100), hold("new run", day(9), false, false, 100), hold("cache", day(5), false, false, 100),
		hold("followed run", day(2), false, true, 100), hold("old run", day(3), false, false, 100),
	}
	for _, c := range []struct {
		bound config.Size
		want  string
		left  int64
	}{
		{0, "", 500}, {500, "", 500}, {499, "old run", 401}, {400, "old run cache", 302}, {250, "old run cache new run", 203}, {1, "old run cache new run default cache", 104},
	} {
		gone = nil
		rest, removed, err := fit(t.Context(), slices.Clone(all), c.bound)
		var left int64
		for _, h := range rest {
			left += h.bytes
		}
		if got := strings.Join(gone, " "); got != c.want || err != nil || left != c.left || removed != len(gone) {
			t.Errorf("bound %d: %q went (%d), %d bytes are left, %v; want %q and %d", c.bound, got, removed, left, err, c.want, c.left)
		}
	}
}
