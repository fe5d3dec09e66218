package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/secret"
)

const prelude = "(local ci (require :quire.ci)) (local {: runtime} ci)\n"

// load loads a pipeline that must be in order.
func load(t testing.TB, text string, lib ...string) *Pipeline {
	t.Helper()
	p, err := Load(context.Background(), source(text, lib...), Limits{})
	if err != nil {
		t.Fatalf("load:\n%v", err)
	}
	return p
}

// source is a pipeline with library modules given as name, text, name, text …
func source(text string, lib ...string) Source {
	return Source{
		Name: ".quire/ci.fnl", Text: []byte(text),
		Lib: func(module string) ([]byte, string, error) {
			for i := 0; i+1 < len(lib); i += 2 {
				if lib[i] == module {
					return []byte(lib[i+1]), LibFiles(module)[0], nil
				}
			}
			return nil, "", ErrNoModule
		},
	}
}

// workshop is a Host with real processes and files in a directory of its own.
type workshop struct {
	dir     string
	root    *os.Root
	secrets map[string]string
	env     map[string]string
	mirror  func(Mirror) (MirrorResult, error)

	mu        sync.Mutex
	logged    []string
	calls     []Call
	artifacts []string
	mirrors   []Mirror
}

func newWorkshop(t testing.TB) *workshop {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &workshop{dir: dir, root: root}
}

func (w *workshop) Sh(ctx context.Context, call Call, c Command) (Result, error) {
	w.mu.Lock()
	w.calls = append(w.calls, call)
	w.mu.Unlock()
	argv := c.Argv
	line := strings.Join(argv, " ")
	if c.Shell != "" {
		argv, line = []string{"sh", "-c", c.Shell}, c.Shell
	}
	outer := ctx
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = filepath.Join(w.dir, c.Dir)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for _, vars := range []map[string]string{call.Env, c.Env} {
		for k, v := range vars {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
	}
	// The whole group, for sh may have children of its own.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Stdin = bytes.NewReader(c.Stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if outer.Err() != nil {
		return Result{}, context.Cause(outer)
	}
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		return Result{}, err
	}
	r := Result{Exit: cmd.ProcessState.ExitCode(), Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Cmd: line}
	if r.Exit < 0 {
		r.Exit, r.Signal = 137, "SIGKILL"
		r.TimedOut = ctx.Err() != nil
	}
	return r, nil
}

func (w *workshop) Secret(_ context.Context, _ Call, name string) (string, error) {
	if v, ok := w.secrets[name]; ok {
		return v, nil
	}
	return "", errors.New("unknown secret: " + name)
}

func (w *workshop) Env(name string) (string, bool) {
	v, ok := w.env[name]
	return v, ok
}

func (w *workshop) Mask(text string) secret.Masked { return secret.NewRedactor().Mask(text) }

func (w *workshop) Log(call Call, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logged = append(w.logged, call.Job+": "+message)
}

func (w *workshop) ReadFile(_ context.Context, path string) ([]byte, error) {
	return w.root.ReadFile(path)
}

func (w *workshop) WriteFile(_ context.Context, path string, data []byte) error {
	return w.root.WriteFile(path, data, 0o644)
}

func (w *workshop) Artifact(_ context.Context, _ Call, path string) error {
	if _, err := w.root.Stat(path); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.artifacts = append(w.artifacts, path)
	return nil
}

func (w *workshop) Mirror(_ context.Context, _ Call, m Mirror) (MirrorResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mirrors = append(w.mirrors, m)
	if w.mirror != nil {
		return w.mirror(m)
	}
	return MirrorResult{Tag: m.Tag, PushedRefs: m.Refs}, nil
}

func (w *workshop) log() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.logged)
}

var testPush = Push{
	SHA: "1111111111111111111111111111111111111111", Ref: "refs/heads/main",
	PreviousSHA: "2222222222222222222222222222222222222222",
	Pusher:      "ada", CommitMessage: "Add a thing\n", GitDir: "/srv/git/thing.git",
	PushedAt:     time.Date(2026, 3, 4, 5, 6, 7, 8, time.FixedZone("", 3600)),
	Options:      []string{"ci.wait=finish", "ci.var=deploy=staging", "other", "ci.var=deploy=production"},
	FilesChanged: func(context.Context) ([]string, error) { return []string{"a.txt", "b/c.txt"}, nil },
}

// runIn runs a pipeline in a workshop.
func runIn(t testing.TB, w *workshop, text string, lib ...string) Outcome {
	t.Helper()
	return load(t, text, lib...).Run(context.Background(), w, Options{Push: testPush, MaxJobs: 4})
}

// runOne runs the body of one job's run-fn and returns how the job ended and
// what was logged.
func runOne(t testing.TB, w *workshop, body string) (JobResult, []string) {
	t.Helper()
	out := runIn(t, w, prelude+"(ci.job :x [:quire/push]\n(fn []\n"+body+"\n))")
	if len(out.Jobs) != 1 {
		t.Fatalf("%d jobs", len(out.Jobs))
	}
	return out.Jobs[0], w.log()
}

// states lists jobs and their states as "a succeeded, b failed".
func states(out Outcome) string {
	var parts []string
	for _, j := range out.Jobs {
		parts = append(parts, fmt.Sprintf("%s %s", j.ID, j.State))
	}
	return strings.Join(parts, ", ")
}

func jobNamed(t testing.TB, out Outcome, id string) JobResult {
	t.Helper()
	for _, j := range out.Jobs {
		if j.ID == id {
			return j
		}
	}
	t.Fatalf("no job %s in %s", id, states(out))
	return JobResult{}
}

func wantState(t testing.TB, j JobResult, state event.JobState, reason string) {
	t.Helper()
	if j.State != state || j.Reason.String() != reason {
		t.Errorf("job %s: %s, %q; want %s, %q", j.ID, j.State, j.Reason, state, reason)
	}
}
