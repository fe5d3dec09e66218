package hooks_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A worker that is killed while somebody waits is replaced by the hook, and the
// pusher sees the run end all the same.
func TestKilledWorkerIsReplacedWhileSomebodyWaits(t *testing.T) {
	p := newPlaceWithWorker(t, "")
	gate := filepath.Join(p.dir, "gate")
	if err := os.MkdirAll(filepath.Join(p.dir, "co", ".quire"), 0o755); err != nil {
		t.Fatal(err)
	}
	pipeline := fmt.Sprintf(`(local ci (require :quire.ci))
(ci.job :wait [:quire/push] (fn [rt] (rt.run ["sh" "-c" "echo waiting > '%[1]s.there'; while ! [ -e '%[1]s' ]; do sleep 0.01; done"])))
(ci.job :after [:wait] (fn [rt] (rt.run "true")))
`, gate)
	if err := os.WriteFile(filepath.Join(p.dir, "co", ".quire", "ci.fnl"), []byte(pipeline), 0o644); err != nil {
		t.Fatal(err)
	}
	p.git("-C", "co", "add", ".")
	p.git("-C", "co", "commit", "-q", "-m", "pipeline")
	c := p.push("main")
	p.await("the job to run", func() bool {
		_, err := os.Stat(gate + ".there")
		return err == nil
	})
	first := p.workerPID()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := 0
	p.await("another worker", func() bool {
		second = p.findWorker()
		return second != 0 && second != first
	})
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("the push: %v", err)
	}
	for _, want := range []string{`(?m)^remote: run 1  main `, `(?m)^remote:   ok +after `, `(?m)^remote: success: run 1 `} {
		if !regexp.MustCompile(want).MatchString(c.shown()) {
			t.Errorf("nothing like %s in\n%s", want, c.shown())
		}
	}
}

// newPlaceWithWorker is a place whose worker is the real one.
func newPlaceWithWorker(t *testing.T, hookConfig string) *place {
	t.Helper()
	p := newPlace(t, hookConfig)
	p.unlock()
	path := filepath.Join(p.dir, "config.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("linger = \"50ms\"\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.await("the worker to leave", func() bool { return p.findWorker() == 0 }) })
	return p
}

func (p *place) workerPID() int {
	p.t.Helper()
	pid := 0
	p.await("a worker", func() bool {
		pid = p.findWorker()
		return pid != 0
	})
	return pid
}

// findWorker is the worker of this place, 0 if there is none.
func (p *place) findWorker() int {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		cmdline, _ := os.ReadFile(path)
		if !strings.HasSuffix(string(cmdline), "/quire\x00worker\x00") {
			continue
		}
		env, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		if bytes.Contains(env, []byte("QUIRE_CONFIG="+p.dir+"/")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	return 0
}
