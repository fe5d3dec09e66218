package procs_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/executortest"
	"quire/internal/executor/host"
	"quire/internal/executor/local"
	"quire/internal/executor/procs"
)

// The test program is also the supervisor that dies: it runs one command on the
// host until it is killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "supervise" {
		if err := supervise(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "killrun" { // by a process with the run's own mark
		if err := procs.KillRun(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("alive")
		return
	}
	os.Exit(m.Run())
}

func supervise(runID, script string) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	x, err := host.New(context.Background(), executor.Spec{RunID: runID, Workspace: dir, RunDir: dir})
	if err != nil {
		return err
	}
	_, err = x.Exec(context.Background(), executor.Command{Argv: []string{"sh", "-c", script}, Env: []string{"PATH=" + local.DefaultPath}}, os.Stdout, os.Stderr)
	return err
}

// crash starts a supervisor with a script, waits for the script to say ready,
// and kills the supervisor.
func crash(t *testing.T, runID, script string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "supervise", runID, script)
	c.Dir, c.Stderr = t.TempDir(), os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Errorf("the command did not get ready: %q, %v", line, err)
	}
	c.Process.Kill()
	c.Wait()
}

func TestKillRun(t *testing.T) {
	far := 100_000_000 + os.Getpid()
	for i, c := range []struct{ name, script string }{
		{"one process", "echo ready; sleep %[1]d"},
		{"a tree that ignores SIGTERM", `trap '' TERM; for i in 1 2 3; do sh -c 'trap "" TERM; sleep %[1]d & sleep %[1]d' & done; echo ready; wait`},
		{"daemons", `(setsid sleep %[1]d </dev/null >/dev/null 2>&1 &); (setsid sh -c '(setsid sleep %[1]d &)' </dev/null >/dev/null 2>&1 &)
			while [ $(grep -l -z %[1]d /proc/[0-9]*/cmdline 2>/dev/null | wc -l) -lt 3 ]; do sleep 0.02; done; echo ready; sleep %[1]d`},
		{"without the environment's mark", `(env -i PATH=$PATH setsid sleep %[1]d </dev/null >/dev/null 2>&1 &); echo ready; exec env -i PATH=$PATH sleep %[1]d`},
		{"stopped", "trap '' HUP; sleep %[1]d & kill -STOP $!; echo ready; kill -STOP $$; sleep %[1]d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mark := far*10 + i
			runID, other := executortest.RunID(t), executortest.RunID(t)
			bystander := exec.Command("sleep", strconv.Itoa(mark)+"0")
			bystander.Env = append(os.Environ(), procs.EnvRun+"="+other)
			if err := bystander.Start(); err != nil {
				t.Fatal(err)
			}
			defer bystander.Wait()
			defer bystander.Process.Kill()

			crash(t, runID, fmt.Sprintf(c.script, mark))
			if left := executortest.Marked(t, strconv.Itoa(mark)+"\x00"); len(left) == 0 {
				t.Fatal("the supervisor's death has ended the command by itself: there is nothing to test")
			}
			if err := procs.KillRun(t.Context(), runID); err != nil {
				t.Fatal(err)
			}
			if left := executortest.Marked(t, strconv.Itoa(mark)+"\x00"); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			if now, err := procs.Look(bystander.Process.Pid); err != nil || now.Dead() {
				t.Errorf("another run's process was ended: %v, %v", now, err)
			}
			for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
				if _, err := os.Stat(filepath.Join(dir, "quire-"+runID)); err == nil {
					t.Errorf("the run's cgroup is left in %s", dir)
				}
			}
			if err := procs.KillRun(t.Context(), runID); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// 500 processes that ignore SIGTERM, of a supervisor that is gone.
func TestKillRunOfManyProcesses(t *testing.T) {
	mark := strconv.Itoa(100_000_000+os.Getpid()) + "7"
	runID := executortest.RunID(t)
	crash(t, runID, fmt.Sprintf(`trap '' TERM; i=0; while [ $i -lt 500 ]; do sleep %s & i=$((i+1)); done; echo ready; wait`, mark))
	if err := procs.KillRun(t.Context(), runID); err != nil {
		t.Fatal(err)
	}
	if left := executortest.Marked(t, mark); len(left) > 0 {
		t.Errorf("%d processes are left", len(left))
	}
}

func TestKillRunSparesItsCaller(t *testing.T) {
	runID := executortest.RunID(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "killrun", runID)
	c.Env = append(os.Environ(), procs.EnvRun+"="+runID)
	if out, err := c.CombinedOutput(); err != nil || string(out) != "alive\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestKillRunNeedsARun(t *testing.T) {
	if err := procs.KillRun(t.Context(), ""); err == nil {
		t.Error("no run id was taken for one")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrClosedPipe)
	if err := procs.KillRun(ctx, executortest.RunID(t)); err == nil || !strings.Contains(err.Error(), io.ErrClosedPipe.Error()) {
		t.Errorf("cancelled: %v", err)
	}
}
