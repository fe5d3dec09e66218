package attack

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"quire/internal/executor/executortest"
)

// A pusher who shares a repository with its runner, and their group.
const (
	otherPusher = 61928
	sharedGroup = 61929
)

// shared makes a repository that the group may push to, with a checkout of the
// other pusher's, and says where the runner listens.
func (m *machine) shared(name, socket string) *repository {
	m.t.Helper()
	r := m.repository(name)
	m.must(r.GitDir, "git", "config", "core.sharedRepository", "group")
	for _, c := range [][]string{{"chgrp", "-R", fmt.Sprint(sharedGroup)}, {"chmod", "-R", "g+rwX"}} {
		if out, err := exec.Command(c[0], append(c[1:], r.GitDir)...).CombinedOutput(); err != nil {
			m.t.Fatalf("%v: %v: %s", c, err, out)
		}
	}
	// As quire install by root writes it.
	record := fmt.Sprintf("runner = \"operator\"\nuid = %d\nconfig = %q\nstate_dir = %q\nsocket = %q\n", m.UID, m.Config, m.State, socket)
	if err := os.WriteFile(filepath.Join(r.GitDir, "quire.toml"), []byte(record), 0o644); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(r.GitDir, "quire.toml"), m.UID, m.UID); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(r.GitDir, "quire.toml"), 0o644); err != nil {
		m.t.Fatal(err)
	}
	drop := filepath.Join(r.GitDir, "quire-drop")
	if err := os.MkdirAll(drop, 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chown(drop, m.UID, sharedGroup); err != nil {
		m.t.Fatal(err)
	}
	if err := syscall.Chmod(drop, 0o1733); err != nil {
		m.t.Fatal(err)
	}
	return r
}

// pushAs is git push as a user of the group, who has a checkout and an
// environment of his own.
func (r *repository) pushAs(uid int, branch string, change files) string {
	m := r.m
	m.t.Helper()
	dir := filepath.Join(m.Dir, fmt.Sprintf("user-%d", uid))
	work := filepath.Join(dir, r.Name)
	as := func(in string, args ...string) string {
		m.t.Helper()
		c := exec.Command(args[0], args[1:]...)
		c.Dir = in
		c.Env = []string{"HOME=" + dir, "USER=mallory", "LC_ALL=C", "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=m", "GIT_AUTHOR_EMAIL=m@m", "GIT_COMMITTER_NAME=m", "GIT_COMMITTER_EMAIL=m@m",
			// What a pusher says of himself moves nothing.
			"QUIRE_PUSHER=root", "QUIRE_CONFIG=" + filepath.Join(dir, "none.toml"), "QUIRE_BIN=/bin/false"}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), Groups: []uint32{sharedGroup}}}
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			m.t.Fatal(err)
		}
		timer := time.AfterFunc(patience, func() { c.Process.Kill() })
		defer timer.Stop()
		if err := c.Wait(); err != nil {
			m.t.Fatalf("%v: %v\n%s", args, err, out.String())
		}
		return out.String()
	}
	if _, err := os.Stat(work); err != nil {
		if err := os.MkdirAll(work, 0o755); err != nil {
			m.t.Fatal(err)
		}
		for _, d := range []string{dir, work} {
			if err := os.Chown(d, uid, uid); err != nil {
				m.t.Fatal(err)
			}
		}
		for file, text := range map[string]string{"none.toml": "", ".gitconfig": "[safe]\n\tdirectory = *\n"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				m.t.Fatal(err)
			}
		}
		as(work, "git", "init", "-q", ".")
	}
	for name, text := range change {
		path := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "-R", fmt.Sprint(uid), work).CombinedOutput(); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	as(work, "git", "add", "-A")
	as(work, "git", "commit", "-q", "--allow-empty", "-m", "theirs")
	return as(work, "git", "push", r.GitDir, "HEAD:refs/heads/"+branch)
}

// Rule: one repository, one runner. Nobody's code runs as anybody else, and the
// name of a pusher is the kernel's.
func TestAPushOfAnotherUserRunsAsTheRunner(t *testing.T) {
	if os.Geteuid() != 0 {
		executortest.Needs(t, "root, to act as other users")
	}
	whoami := job("echo \"runs as $(id -u)\"\n")
	for name, runner := range map[string]int{"root is the runner": 0, "another user is the runner": otherUser} {
		t.Run(name, func(t *testing.T) {
			t.Run("nobody listens", func(t *testing.T) {
				m := newMachine(t, "host", runner)
				r := m.shared("project", filepath.Join(m.Dir, "no-socket"))
				said := r.pushAs(otherPusher, "main", whoami)
				if !strings.Contains(said, "the push waits for operator") {
					t.Errorf("the pusher saw %s", said)
				}
				t.Log(m.quire("worker", "--once"))
				m.idle()
				m.ranAs(runner, otherPusher)
			})
			t.Run("the runner listens", func(t *testing.T) {
				m := newMachine(t, "host", runner)
				socket := filepath.Join(m.Dir, "socket")
				r := m.shared("project", socket)
				l := m.command(m.Dir, "quire", "worker", "--listen", "--socket", socket)
				var log bytes.Buffer
				l.Stderr = &log
				if err := l.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					l.Process.Signal(syscall.SIGTERM)
					if err := l.Wait(); err != nil {
						t.Errorf("the listener: %v\n%s", err, log.String())
					}
				})
				for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
					if st, err := os.Stat(socket); err == nil && st.Mode().Perm() == 0o666 {
						break
					}
					if time.Now().After(end) {
						t.Fatal("nobody listens")
					}
				}
				said := r.pushAs(otherPusher, "main", whoami)
				if !strings.Contains(said, "success: run 1") {
					t.Errorf("the pusher saw %s", said)
				}
				m.idle()
				m.ranAs(runner, otherPusher)
			})
		})
	}
}

// ranAs demands that the one run of a machine's was the runner's, and is known
// as a push of the pusher's.
func (m *machine) ranAs(runner, pusher int) {
	m.t.Helper()
	if log := m.quire("log", "1", "attack"); !strings.Contains(log, fmt.Sprintf("runs as %d\n", runner)) {
		m.t.Errorf("the job said %s, want that it runs as %d", log, runner)
	}
	runs := m.must(m.Dir, "quire", "runs", "--json")
	if strings.Count(runs, "\n") != 1 || !strings.Contains(runs, fmt.Sprintf("user %d", pusher)) {
		m.t.Errorf("the runs are %s, want one by user %d", runs, pusher)
	}
}

// Rule: only its owner works in a state directory.
func TestRootBecomesTheOwnerOfTheState(t *testing.T) {
	if os.Geteuid() != 0 {
		executortest.Needs(t, "root, to act as other users")
	}
	m := newMachine(t, "host", otherUser)
	r := m.repository("project")
	r.push("main", job("echo \"runs as $(id -u)\"\n"))
	m.idle()
	root := *m
	root.UID = 0
	for _, args := range [][]string{{"runs"}, {"log", "1", "attack"}, {"retry", "1"}, {"gc"}} {
		if out, err := root.command(m.Dir, "quire", args...).CombinedOutput(); err != nil {
			t.Errorf("quire %s as root: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	m.idle()
	if log := m.quire("log", "2", "attack"); !strings.Contains(log, fmt.Sprintf("runs as %d\n", otherUser)) {
		t.Errorf("the run that root repeated said %s", log)
	}
	err := filepath.Walk(m.State, func(path string, info os.FileInfo, err error) error {
		if err == nil && int(info.Sys().(*syscall.Stat_t).Uid) != otherUser {
			t.Errorf("%s belongs to user %d", path, info.Sys().(*syscall.Stat_t).Uid)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Anybody else is told what to type.
	other := *m
	other.UID = otherPusher
	if err := os.Chmod(m.Config, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := other.command(m.Dir, "quire", "retry", "1").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "belongs to") || !strings.Contains(string(out), "quire retry 1") {
		t.Errorf("another user's retry: %v, %s", err, out)
	}
}
