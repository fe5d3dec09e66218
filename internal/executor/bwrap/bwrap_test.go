package bwrap_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/bwrap"
	"quire/internal/executor/executortest"
	"quire/internal/executor/local"
)

var traits = executortest.Traits{Path: local.DefaultPath, ShellStatus: true, Apart: true, Sandbox: true, Extra: []string{"PWD"}}

func needBwrap(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("bwrap"); err != nil {
		executortest.Needs(t, "bwrap: apt-get install bubblewrap")
	}
	if out, err := exec.Command("bwrap", "--unshare-pid", "--ro-bind", "/", "/", "true").CombinedOutput(); err != nil {
		executortest.Needs(t, "a machine where bwrap may make namespaces: "+string(out))
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func newBwrap(spec executor.Spec) (executor.Executor, error) {
	return bwrap.New(context.Background(), spec)
}

func open(t testing.TB, spec executor.Spec) executor.Executor {
	t.Helper()
	x, err := bwrap.New(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestHostileSpecs(t *testing.T) {
	needBwrap(t)
	executortest.Specs(t, newBwrap)
}

// The option file ends an option at a zero byte; whatever was checked before,
// none is written with one in it.
func TestNoOptionHoldsAZeroByte(t *testing.T) {
	if f, err := bwrap.OptionsFile([]string{"--bind", "/x", "/c\x00--bind\x00/\x00/host"}); err == nil {
		f.Close()
		t.Error("an option with a zero byte was written")
	}
}

func TestConformance(t *testing.T) {
	needBwrap(t)
	t.Run("with a cgroup", func(t *testing.T) { executortest.Run(t, traits, open) })
	t.Run("without a cgroup", func(t *testing.T) {
		executortest.Run(t, traits, func(t testing.TB, spec executor.Spec) executor.Executor {
			t.Helper()
			x, err := bwrap.NewWithoutCgroup(spec)
			if err != nil {
				t.Fatal(err)
			}
			return x
		})
	})
}

func TestLimits(t *testing.T) {
	needBwrap(t)
	if os.Geteuid() != 0 {
		executortest.Needs(t, "root, for cgroups that limit")
	}
	executortest.Limits(t, traits, open)
}
