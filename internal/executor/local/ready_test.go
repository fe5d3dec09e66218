package local_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/local"
	"quire/internal/jobfile/hungfs"

	"golang.org/x/sys/unix"
)

// execve(2) would wait for each of these, and the whole process with it.
func TestAProgramThatWouldNotStartIsNotExecuted(t *testing.T) {
	dir := t.TempDir()
	program, script := filepath.Join(dir, "program"), filepath.Join(dir, "script")
	if err := errors.Join(os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755), os.WriteFile(script, []byte("#!"+program+"\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	command := executor.Command{Argv: []string{"x"}}
	for _, path := range []string{program, script, filepath.Join(dir, "none"), dir} {
		if err := local.Ready(t.Context(), command, path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	f, err := os.OpenFile(program, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{program, script} {
		if err := local.Ready(t.Context(), command, path); err == nil || !strings.Contains(err.Error(), program+" cannot be started: a process holds a lease on it") {
			t.Errorf("a lease, %s: %v", path, err)
		}
	}
}

func TestAProgramWhoseBytesNeverComeIsNotWaitedFor(t *testing.T) {
	slow := filepath.Join(t.TempDir(), "slow")
	if err := os.Mkdir(slow, 0o755); err != nil {
		t.Fatal(err)
	}
	fs := hungfs.MountSlow(t, slow)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("canceled by the test")
	go func() {
		<-fs.Asked()
		cancel(cause)
	}()
	if err := local.Ready(ctx, executor.Command{Argv: []string{"x"}}, filepath.Join(slow, "x")); !errors.Is(err, cause) {
		t.Errorf("got %v, want the context's cause", err)
	}
	if err := local.Ready(t.Context(), executor.Command{Argv: []string{"x"}, Timeout: time.Millisecond}, filepath.Join(slow, "x")); !errors.Is(err, local.ErrLate) {
		t.Errorf("got %v, want that the command is late", err)
	}
}
