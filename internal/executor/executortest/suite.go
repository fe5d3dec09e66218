// Package executortest holds what every executor must do, as a test suite.
package executortest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"quire/internal/executor"
)

// Factory makes an executor over spec, which has its run id, directories and
// grace filled in. It skips or fails the test where the executor cannot be had.
type Factory func(t testing.TB, spec executor.Spec) executor.Executor

// Traits are where executors may rightly differ.
type Traits struct {
	// Shell is the directory of sh, env, cat … in the executor's view; the
	// suite's PATH.
	Path string
	// ShellStatus: a status over 128 may be told as a signal, because the
	// mechanism passes on only the number.
	ShellStatus bool
	// Apart: commands have a process table of their own, so that "$$" says
	// nothing to the test's process.
	Apart bool
	// Sandbox: commands see what the executor shows them, and nothing else of the
	// machine. The host executor's see all.
	Sandbox bool
	// Allowed are names of attempts (intruder) that the executor's mechanism does not
	// refuse on every machine.
	Allowed []string
	// Extra are names of environment variables that the executor adds.
	Extra []string
}

// Run runs the suite.
func Run(t *testing.T, traits Traits, make Factory) {
	s := &suite{traits: traits, make: make}
	t.Run("argv", s.argv)
	t.Run("status", s.status)
	t.Run("environment", s.environment)
	t.Run("directory", s.directory)
	t.Run("stdin", s.stdin)
	t.Run("streams", s.streams)
	t.Run("refusals", s.refusals)
	t.Run("ending", s.ending)
	t.Run("leftovers", s.leftovers)
	t.Run("parallel", s.parallel)
	t.Run("volume", s.volume)
	if traits.Sandbox {
		t.Run("repository", s.repository)
		t.Run("refused", s.refused)
		t.Run("contained", s.contained)
	}
}

type suite struct {
	traits Traits
	make   Factory
}

// place is one executor with its workspace.
type place struct {
	executor.Executor
	spec   executor.Spec
	traits Traits
	closed bool
}

// open makes an executor that the end of the test closes.
func (s *suite) open(t testing.TB) *place {
	t.Helper()
	return s.openWith(t, func(*executor.Spec) {})
}

func (s *suite) openWith(t testing.TB, change func(*executor.Spec)) *place {
	t.Helper()
	spec := NewSpec(t)
	change(&spec)
	p := &place{Executor: s.make(t, spec), spec: spec, traits: s.traits}
	t.Cleanup(func() {
		if p.closed {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

// NewSpec is the Spec of a fresh run with real directories.
func NewSpec(t testing.TB) executor.Spec {
	t.Helper()
	root := t.TempDir()
	spec := executor.Spec{
		RunID:     RunID(t),
		Workspace: filepath.Join(root, "runs", "workspace"),
		RunDir:    filepath.Join(root, "runs"),
		Scratch:   filepath.Join(root, "runs", "scratch"),
		GitDir:    filepath.Join(root, "repo.git"),
		Kept:      filepath.Join(root, "kept"),
		Grace:     300 * time.Millisecond,
	}
	for _, d := range []string{spec.Workspace, spec.GitDir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return spec
}

// outcome is all that came of a command.
type outcome struct {
	executor.Exit
	out, err string
	fault    error
}

func (p *place) run(ctx context.Context, c executor.Command) outcome {
	if c.Env == nil {
		c.Env = []string{"PATH=" + p.traits.Path}
	}
	var out, errs bytes.Buffer
	exit, err := p.Exec(ctx, c, &out, &errs)
	return outcome{exit, out.String(), errs.String(), err}
}

// sh runs a shell string that must come to an exit.
func (p *place) sh(t testing.TB, script string) outcome {
	t.Helper()
	o := p.run(t.Context(), executor.Command{Argv: []string{"sh", "-c", script}})
	if o.fault != nil {
		t.Fatalf("sh -c %q: %v", script, o.fault)
	}
	return o
}
