package store

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

func TestARecycledPIDIsNeverSignalled(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Skip("needs sleep: ", err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	start, err := startOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	self, err := Self()
	if err != nil || !self.Alive() {
		t.Fatalf("Self = %+v, %v", self, err)
	}
	child := Holder{cmd.Process.Pid, start, self.Boot}
	for name, h := range map[string]Holder{
		"earlier process": {child.PID, start - 1, self.Boot},
		"earlier boot":    {child.PID, start, "00000000-0000-0000-0000-000000000000"},
		"none":            {},
		"all of us":       {-1, start, self.Boot},
	} {
		if err := h.Signal(syscall.SIGKILL); !errors.Is(err, ErrGone) || h.Alive() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !child.Alive() {
		t.Fatal("the child is not alive")
	}
	if err := child.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if err := child.Signal(syscall.SIGKILL); !errors.Is(err, ErrGone) {
		t.Errorf("a dead child: %v", err)
	}
}

func TestLocks(t *testing.T) {
	dir := t.TempDir()
	first, err := LockRun(dir, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockRun(dir, "x"); !errors.Is(err, ErrHeld) {
		t.Errorf("second: %v", err)
	}
	other, err := LockRun(dir, "y")
	if err != nil {
		t.Errorf("another run's: %v", err)
	}
	other.Remove()
	if _, err := os.Stat(dir + "/locks/run-y.lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
	first.Release()
	again, err := LockRun(dir, "x")
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}
