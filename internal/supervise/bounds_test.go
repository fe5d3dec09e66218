package supervise

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/runlog"
)

// How many commands a pipeline runs, and how much all of them say, has a bound.
func TestCommandsAndLogsOfARunAreBounded(t *testing.T) {
	b := newBench(t)
	b.cfg.Limits.Commands = 20
	b.cfg.Log.MaxRunBytes = config.Size(32 << 10)
	got := b.run(head+`
(fn many [n] (fn [] (for [i 1 n] (runtime.sh "head -c 4000 /dev/zero | tr '\\0' x"))))
(ci.job :few [:quire/push] (many 15))
(ci.job :more [:few] (many 1000))`, nil)
	if got.State != event.RunFailed || !strings.Contains(got.report, "the run has run 20 commands, and may run no more ([limits] commands)") {
		t.Errorf("the run %s: %s\n%s", got.State, got.Reason, got.report)
	}
	commands, err := b.store.Commands(t.Context(), got.ID, "")
	if err != nil || len(commands) != 20 {
		t.Errorf("%d commands in the store, %v", len(commands), err)
	}
	var size int64
	files := 0
	err = filepath.WalkDir(filepath.Join(string(runlog.RunDir(b.cfg.StateDir, got.ID)), "jobs"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		files++
		size += info.Size()
		return err
	})
	if err != nil || files != 20 || size > 32<<10+20*512 || size < 28<<10 {
		t.Errorf("%d logs of %d bytes, %v", files, size, err)
	}
}

// How many mirrors a pipeline asks for has a bound.
func TestMirrorsOfARunAreBounded(t *testing.T) {
	b := newBench(t)
	got := b.run(head+`
(ci.job :many [:quire/push] (fn []
  (for [i 1 1000] (pcall runtime.mirror {:url "https://127.0.0.1:1/x.git" :git-dir "/elsewhere"}))
  (runtime.mirror {:url "https://127.0.0.1:1/x.git"})))`, nil)
	if got.State != event.RunFailed || !strings.Contains(got.report, "the run has asked for 1000 mirrors, and may ask for no more") {
		t.Errorf("the run %s: %s\n%s", got.State, got.Reason, got.report)
	}
}
