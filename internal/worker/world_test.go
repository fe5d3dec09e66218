package worker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/executor/procs"
	"quire/internal/runlog"
	"quire/internal/spool"
	"quire/internal/store"
	"quire/internal/supervise"
)

// The test binary is also the program that the tests start: real processes,
// which can really be killed.
func TestMain(m *testing.M) {
	if os.Getenv("QUIRE_TESTING") == "1" && len(os.Args) > 1 && (os.Args[1] == "worker" || os.Args[1] == "supervise") {
		os.Exit(quire(os.Args[1:]))
	}
	code := m.Run()
	if hookBinary.dir != "" {
		os.RemoveAll(hookBinary.dir)
	}
	os.Exit(code)
}

func quire(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := config.Load()
	if err == nil && args[0] == "supervise" {
		err = supervise.Run(ctx, cfg, args[1])
	} else if err == nil {
		err = Run(ctx, cfg, Options{
			Once: len(args) > 1 && args[1] == "--once", Kill: procs.KillRun, Hooked: func(string) bool { return true },
			Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quire:", err)
		return 3
	}
	return 0
}

// hookBinary is the real post-receive hook, built once.
var hookBinary struct {
	sync.Once
	dir string
	err error
}

func hookPath(t testing.TB) string {
	t.Helper()
	hookBinary.Do(func() {
		if hookBinary.dir, hookBinary.err = os.MkdirTemp("", "quire-hook-"); hookBinary.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", hookBinary.dir, "quire/hooks/post-receive", "quire/hooks/pre-receive")
		if out, err := cmd.CombinedOutput(); err != nil {
			hookBinary.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if hookBinary.err != nil {
		t.Fatal(hookBinary.err)
	}
	return filepath.Join(hookBinary.dir, "post-receive")
}

// world is a machine with quire on it: a state directory, a configuration, bare
// repositories with the hook installed.
type world struct {
	t    testing.TB
	dir  string
	cfg  *config.Config
	root string // state_dir

	workerSaid string // what workers of workOff printed
}

func newWorld(t testing.TB, settings string) *world {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, root: filepath.Join(dir, "state")}
	path := filepath.Join(dir, "config.toml")
	if !strings.Contains(settings, "linger") {
		settings = "linger = \"100ms\"\n" + settings
	}
	if !strings.Contains(settings, "state_dir") {
		settings = fmt.Sprintf("state_dir = %q\n", w.root) + settings
	}
	if !strings.Contains(settings, "[recover]") { // most tests want every move to be a push, and no run twice
		settings += "\n[recover]\nunreported = \"run\"\ninterrupted = \"report\"\n"
	}
	settings = "kill_grace = \"300ms\"\n" + settings
	w.write(path, settings)
	t.Setenv("QUIRE_CONFIG", path)
	t.Setenv("QUIRE_TESTING", "1")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("QUIRE_BIN", self)
	if w.cfg, err = config.LoadFile(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.endAll)
	return w
}

// endAll waits until the worker has left, and helps it if it does not want to:
// the test's directory is removed next.
func (w *world) endAll() {
	if w.t.Failed() {
		if log, err := os.ReadFile(filepath.Join(w.root, "worker.log")); err == nil {
			w.t.Logf("worker.log:\n%s", log)
		}
	}
	for _, pid := range w.processes() {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	w.until("no process is left", func() bool { return len(w.processes()) == 0 })
}

// processes are those of the world: whoever has its configuration's or its
// directory's name in its environment or command line, but for this one.
func (w *world) processes() []int {
	entries, _ := os.ReadDir("/proc")
	var out []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		cwd, _ := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if strings.Contains(string(env), w.dir+"/") || strings.HasPrefix(cwd, w.dir) {
			out = append(out, pid)
		}
	}
	return out
}

// describe says what processes are.
func describe(pids []int) string {
	var b strings.Builder
	for _, pid := range pids {
		cmd, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		fmt.Fprintf(&b, "%d %q\n", pid, strings.ReplaceAll(string(cmd), "\x00", " "))
	}
	return b.String()
}

func (w *world) write(path, text string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for a fact. A test that waits for a minute has failed.
func (w *world) until(fact string, holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			w.t.Fatalf("after a minute it is not so that %s; processes:\n%s", fact, describe(w.processes()))
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func gitEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "GIT_") {
			env = append(env, e)
		}
	}
	return append(env, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C", "GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=a@example.org")
}

func (w *world) git(dir string, args ...string) string {
	w.t.Helper()
	out, err := w.tryGit(dir, args...)
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (w *world) tryGit(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = gitEnv()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// repo is a bare repository with the hook, and a checkout that pushes to it.
type repo struct {
	*world
	bare, work string
}

func (w *world) repo(name string) *repo {
	w.t.Helper()
	r := &repo{world: w, bare: filepath.Join(w.dir, name+".git"), work: filepath.Join(w.dir, name)}
	w.git(w.dir, "init", "-q", "--bare", "-b", "main", r.bare)
	w.git(r.bare, "config", "receive.advertisePushOptions", "true")
	w.git(w.dir, "init", "-q", "-b", "main", r.work)
	w.git(r.work, "remote", "add", "origin", r.bare)
	if err := os.MkdirAll(filepath.Join(r.bare, "hooks"), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Symlink(hookPath(w.t), filepath.Join(r.bare, "hooks", "post-receive")); err != nil {
		w.t.Fatal(err)
	}
	return r
}

const head = "(local ci (require :quire.ci))\n(local {: runtime} ci)\n"

// commit makes a commit whose pipeline has one job, with this body.
func (r *repo) commit(body string) string {
	return r.commitPipeline(head + "(ci.job :test [:quire/push] (fn [] " + body + "))\n")
}

func (r *repo) commitPipeline(text string) string {
	r.t.Helper()
	r.write(filepath.Join(r.work, ".quire", "ci.fnl"), text)
	r.git(r.work, "add", "-A")
	r.git(r.work, "commit", "-q", "--allow-empty", "-m", "a commit")
	return r.git(r.work, "rev-parse", "HEAD")
}

// push pushes and returns what the pusher saw.
func (r *repo) push(args ...string) string {
	r.t.Helper()
	if len(args) == 0 {
		args = []string{"HEAD:refs/heads/main"}
	}
	return r.git(r.work, append([]string{"push", "origin"}, args...)...)
}

// store opens the world's database; it may be opened many times.
func (w *world) store() *store.Store {
	w.t.Helper()
	s, err := store.Open(context.Background(), w.root)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// runs lists all runs, oldest first.
func (w *world) runs() []event.Run {
	w.t.Helper()
	if _, err := os.Stat(store.Path(w.root)); err != nil {
		return nil
	}
	s := w.store()
	defer s.Close()
	runs, err := s.Runs(context.Background(), store.Filter{})
	if err != nil {
		w.t.Fatal(err)
	}
	sort.Slice(runs, func(i, j int) bool { return runs[i].Number < runs[j].Number })
	return runs
}

func (w *world) waitOver(n int) []event.Run {
	w.t.Helper()
	var runs []event.Run
	w.until(fmt.Sprintf("%d runs are over", n), func() bool {
		runs = w.runs()
		over := 0
		for _, r := range runs {
			if r.State.Final() && runlog.RunDir(w.root, r.ID).Ended() {
				over++
			}
		}
		return over >= n
	})
	return runs
}

// quire runs the program in the foreground, with variables of its own.
func (w *world) quire(args []string, env ...string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// workOff has a worker do all there is to do.
func (w *world) workOff() {
	w.t.Helper()
	out, err := w.quire([]string{"worker", "--once"})
	w.workerSaid += out
	if err != nil {
		w.t.Fatalf("worker --once: %v\n%s", err, out)
	}
}

func (w *world) report(r event.Run) string {
	data, _ := os.ReadFile(runlog.RunDir(w.root, r.ID).PushLog())
	return string(data)
}

func (w *world) spoolDir() spool.Dir { return spool.Dir(w.root) }

func (w *world) outcomeIs(r event.Run, state event.RunState) bool {
	out, err := runlog.RunDir(w.root, r.ID).Outcome()
	return err == nil && out.State == state
}
