package hooks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"quire/internal/executor/executortest"
	"quire/internal/runlog"
	"quire/mirror/forgetest"
)

// Over ssh, a client that is killed leaves a connection that ends, and on the
// server's side processes that nothing tells: receive-pack waits for the hook, and
// the hook for a job that says nothing. It leaves, and the run goes on.
func TestKilledSSHClientDoesNotHoldTheHook(t *testing.T) {
	if forgetest.FindSSHD() == "" {
		executortest.Needs(t, "sshd: install openssh-server")
	}
	p := newPlace(t, "")
	server := forgetest.NewSSHD(t)
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(p.dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, known := write("key", server.PrivateKey, 0o600), write("known_hosts", server.KnownHost+"\n", 0o600)
	// What a session has of its own is not this test's configuration.
	receive := write("receive", fmt.Sprintf("#!/bin/sh\nexport QUIRE_CONFIG=%s/config.toml HOME=%s GIT_CONFIG_GLOBAL=/dev/null\nexec git-receive-pack \"$@\"\n", p.dir, p.dir), 0o755)
	p.env = append(p.env, fmt.Sprintf("GIT_SSH_COMMAND=ssh -F /dev/null -i %s -o IdentitiesOnly=yes -o IdentityAgent=none -o UserKnownHostsFile=%s -o BatchMode=yes", key, known))
	c := &client{Cmd: p.command("git", "-C", "co", "push", "-q", "--receive-pack="+receive,
		fmt.Sprintf("ssh://%s@%s%s", server.User, server.Addr, filepath.Join(p.dir, "project.git")), "main")}
	c.Stdout, c.Stderr = c, c
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	if err := takePush(p.state); err != nil {
		t.Fatalf("%v\n%s", err, c.shown())
	}
	if err := appendReport(p.state, "run1", "begin\n"); err != nil {
		t.Fatal(err)
	}
	p.await("the report to begin", func() bool { return strings.Contains(c.shown(), "begin") })
	hook := p.hookPID()
	// git and its ssh, at once and without a word to the server.
	if err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	p.await("the hook to leave", func() bool { return gone(hook) })
	if runlog.RunDir(p.state, "run1").Ended() {
		t.Error("the run was ended")
	}
	if err := appendReport(p.state, "run1", "end\n"); err != nil {
		t.Errorf("the run cannot go on: %v", err)
	}
	p.git("-C", "project.git", "rev-parse", "main")
}
