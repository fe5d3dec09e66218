package supervise

import (
	"os"
	"strings"
	"testing"

	"quire/internal/event"
	"quire/internal/jobfile"
	"quire/internal/runlog"
)

func TestARunThatFillsTheDiskIsEnded(t *testing.T) {
	b := newBench(t)
	b.cfg.Limits.Disk = 32 << 20
	b.cfg.KeepWorkspace = "always"
	got := b.run(head+`(ci.job :fill [:quire/push] (fn [] (runtime.run "mkdir -p a/b; head -c 50000000 /dev/urandom > a/b/big; sync; sleep 600")))`, nil)
	if got.State != event.RunFailed || !strings.Contains(got.Reason.String(), "[limits] disk allows 32 MiB") {
		t.Errorf("the run %s: %s\n%s", got.State, got.Reason, got.report)
	}
	if _, err := os.Lstat(runlog.RunDir(b.cfg.StateDir, got.ID).Workspace()); !os.IsNotExist(err) {
		t.Errorf("the workspace is kept: %v", err)
	}
}

func TestWhatACacheGrowsByCounts(t *testing.T) {
	b := newBench(t)
	b.cfg.Limits.Disk = 32 << 20
	got := b.run(head+`(ci.cache :kept ["kept"])
(ci.job :fill [:quire/push] (fn [] (runtime.run "n=0; while head -c 8000000 /dev/urandom > kept/$n; do sync; n=$((n+1)); done")))`, nil)
	if got.State != event.RunFailed || !strings.Contains(got.Reason.String(), "[limits] disk allows 32 MiB") {
		t.Errorf("the run %s: %s\n%s", got.State, got.Reason, got.report)
	}
}

func TestRunsThatGrowAreEndedBeforeTheDiskIsFull(t *testing.T) {
	const gib = 1 << 30
	plenty := room{bytes: 50 * gib, size: 100 * gib, files: 1e6, allFiles: 2e6}
	low := func(bytes int64) room { r := plenty; r.bytes = bytes; return r }
	own := func(bytes int64) diskUse { return diskUse{own: jobfile.Used{Bytes: bytes}} }
	hidden := own(gib)
	hidden.own.Part = true
	cache := func(bytes int64) diskUse {
		return diskUse{cached: true, caches: jobfile.Used{Bytes: bytes}}
	}
	type step struct {
		use  diskUse
		free room
	}
	for name, c := range map[string]struct {
		steps []step
		want  string // of the last
	}{
		"little":            {[]step{{own(gib), plenty}, {own(2 * gib), plenty}}, ""},
		"too much":          {[]step{{own(gib), plenty}, {own(6 * gib), plenty}}, "its files take 6144 MiB"},
		"caches as before":  {[]step{{cache(9 * gib), plenty}, {cache(10 * gib), plenty}}, ""},
		"caches grow":       {[]step{{cache(9 * gib), plenty}, {cache(15 * gib), plenty}}, "its files take 6144 MiB"},
		"it grows":          {[]step{{own(gib), low(gib - 1)}, {own(gib + gib/8), low(gib - gib/8)}}, "its files grow"},
		"another one grows": {[]step{{own(gib), low(gib - 1)}, {own(gib), low(gib - gib/8)}}, ""},
		"a cache grows":     {[]step{{cache(gib), low(gib - 1)}, {cache(gib + gib/8), low(gib - gib/8)}}, "its files grow"},
		"nobody knows":      {[]step{{own(gib), low(gib - 1)}, {own(gib), low(gib / 2)}}, "by what is not seen"},
		"out of sight":      {[]step{{hidden, low(gib - 1)}, {hidden, low(gib / 2)}}, "by what is not seen"},
		"room again":        {[]step{{own(gib), low(gib - 1)}, {own(gib), plenty}, {own(2 * gib), low(gib / 2)}}, ""},
		"no files left": {[]step{{own(0), room{50 * gib, 100 * gib, 99, 2e6}},
			{diskUse{own: jobfile.Used{Entries: 20_000}}, room{50 * gib, 100 * gib, 1, 2e6}}}, "its files grow"},
		"a small disk": {[]step{{own(0), room{gib / 16, gib, 0, 0}}, {own(gib / 8), room{gib / 32, gib, 0, 0}}}, ""},
	} {
		g := diskGuard{limit: 5 * gib, place: "/state"}
		got := ""
		for i, s := range c.steps {
			if got = g.judge(s.use, s.free); got != "" && i < len(c.steps)-1 {
				t.Errorf("%s: ended too early: %s", name, got)
			}
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
