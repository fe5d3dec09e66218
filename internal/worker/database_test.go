package worker

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quire/internal/config"
	"quire/internal/store"
)

// A worker whose database is taken away, or exchanged, does not go on writing into
// a file that nobody can find: it ends and says so, and the next one works.
func TestADatabaseThatIsTakenAwayEndsTheWorker(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("project")
	r.commit(`(runtime.run "true")`)
	r.push()
	w.waitOver(1)
	w.until("the worker has left", func() bool { return !Running(w.cfg) })
	cfg := *w.cfg
	cfg.Linger = config.Duration(time.Hour)
	ended := make(chan error, 1)
	go func() { ended <- Run(t.Context(), &cfg, Options{}) }()
	path := store.Path(w.root)
	w.until("a worker has the database open", func() bool {
		open, _ := filepath.Glob("/proc/self/fd/*")
		return slices.ContainsFunc(open, func(fd string) bool {
			to, err := os.Readlink(fd)
			return err == nil && to == path
		})
	})
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Rename(name, name+".away"); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "was removed or replaced") {
		t.Errorf("the worker ended with %v", err)
	}
	r.commit(`(runtime.run "true")`)
	r.push()
	w.waitOver(1)
}
