package hooks_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"quire/hooks/install"
	"quire/internal/runlog"
	"quire/internal/spool"
)

// place is a repository with quire's hook, a checkout to push from, and a state
// directory whose worker is the test.
type place struct {
	t     *testing.T
	dir   string
	state string
	env   []string

	unlock func() // lets a real worker have the state directory
}

func newPlace(t *testing.T, hookConfig string) *place {
	t.Helper()
	dir := t.TempDir()
	p := &place{t: t, dir: dir, state: filepath.Join(dir, "state")}
	p.env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@t", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@t",
		"QUIRE_CONFIG="+filepath.Join(dir, "config.toml"))
	config := fmt.Sprintf("state_dir = %q\n[hook]\n%s\n", p.state, hookConfig)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p.git("init", "-q", "--bare", "project.git")
	p.git("init", "-q", "-b", "main", "co")
	p.git("-C", "co", "commit", "-q", "--allow-empty", "-m", "one")
	if _, err := install.Install(filepath.Join(dir, "project.git"), install.Options{Libexec: filepath.Join(prefix, "libexec/quire")}); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockWorker(p.state)
	if err != nil {
		t.Fatal(err)
	}
	p.unlock = unlock
	t.Cleanup(unlock)
	return p
}

func (p *place) git(args ...string) {
	p.t.Helper()
	cmd := p.command("git", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (p *place) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}

func (p *place) await(what string, done func() bool) {
	p.t.Helper()
	if err := await(what, done); err != nil {
		p.t.Fatal(err)
	}
}

// client is a git push in a process group of its own, with what it showed.
type client struct {
	*exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

func (c *client) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(b)
}

func (c *client) shown() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

func (p *place) push(refspec string) *client {
	p.t.Helper()
	c := &client{Cmd: p.command("git", "-C", "co", "push", "-q", "../project.git", refspec)}
	c.Stdout, c.Stderr = c, c
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	return c
}

// hookPID is the process of the hook below the client.
func (p *place) hookPID() int {
	p.t.Helper()
	pid := 0
	p.await("the hook to run", func() bool {
		pid = 0
		dirs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, environ := range dirs {
			exe, _ := os.Readlink(filepath.Join(filepath.Dir(environ), "exe"))
			env, _ := os.ReadFile(environ)
			if exe == filepath.Join(prefix, "libexec/quire/post-receive") && bytes.Contains(env, []byte("QUIRE_CONFIG="+p.dir+"/")) {
				pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(environ)))
			}
		}
		return pid != 0
	})
	return pid
}

func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

// A client that was stopped takes no bytes; the hook leaves, and so does git.
func TestStoppedClientDoesNotHoldTheHook(t *testing.T) {
	p := newPlace(t, `stall_limit = "300ms"`)
	c := p.push("main")
	if err := takePush(p.state); err != nil {
		t.Fatal(err)
	}
	if err := appendReport(p.state, "run1", "begin\n"); err != nil {
		t.Fatal(err)
	}
	p.await("the report to begin", func() bool { return strings.Contains(c.shown(), "begin") })
	hook := p.hookPID()
	if err := syscall.Kill(c.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// More than all the pipes between hook and client hold together.
	if err := appendReport(p.state, "run1", strings.Repeat(strings.Repeat("x", 79)+"\n", 20_000)); err != nil {
		t.Fatal(err)
	}
	p.await("the hook to leave a stopped client", func() bool { return gone(hook) })
	// The run is untouched: others follow it on to its end.
	if err := appendReport(p.state, "run1", "end\n"); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(c.Process.Pid, syscall.SIGCONT)
	if err := c.Wait(); err != nil {
		t.Errorf("the push, gone on with: %v", err)
	}
	p.git("-C", "project.git", "rev-parse", "main")
}

// A client that is killed, and the connection with it, ends the watching, even
// when there is nothing to write that would tell.
func TestKilledClientDoesNotHoldTheHook(t *testing.T) {
	p := newPlace(t, "")
	c := p.push("main")
	if err := takePush(p.state); err != nil {
		t.Fatal(err)
	}
	if err := appendReport(p.state, "run1", "begin\n"); err != nil {
		t.Fatal(err)
	}
	p.await("the report to begin", func() bool { return strings.Contains(c.shown(), "begin") })
	hook := p.hookPID()
	parent, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", hook))
	if err != nil {
		t.Fatal(err)
	}
	receivePack, err := strconv.Atoi(strings.Fields(string(parent[bytes.LastIndexByte(parent, ')'):]))[2])
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{c.Process.Pid, receivePack} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	c.Wait()
	p.await("the hook to leave", func() bool { return gone(hook) })
}

// So does one that is killed alone, while receive-pack, and what stands between
// the two, goes on waiting for the hook.
func TestClientKilledAloneDoesNotHoldTheHook(t *testing.T) {
	for name, between := range map[string]string{
		"directly":         "",
		"behind a program": "#!/bin/sh\ngit-receive-pack \"$@\"\nexit $?\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, "")
			args := []string{"-C", "co", "push", "-q"}
			if between != "" {
				program := filepath.Join(p.dir, "receive")
				if err := os.WriteFile(program, []byte(between), 0o755); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--receive-pack="+program)
			}
			c := &client{Cmd: p.command("git", append(args, "../project.git", "main")...)}
			c.Stdout, c.Stderr = c, c
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
			if err := takePush(p.state); err != nil {
				t.Fatal(err)
			}
			if err := appendReport(p.state, "run1", "begin\n"); err != nil {
				t.Fatal(err)
			}
			p.await("the report to begin", func() bool { return strings.Contains(c.shown(), "begin") })
			hook := p.hookPID()
			if err := syscall.Kill(c.Process.Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			p.await("the hook to leave", func() bool { return gone(hook) })
		})
	}
}

// Ctrl-C reaches the whole group: client, receive-pack, hook.
func TestCtrlCStopsWatchingOnly(t *testing.T) {
	p := newPlace(t, "")
	c := p.push("main")
	if err := takePush(p.state); err != nil {
		t.Fatal(err)
	}
	if err := appendReport(p.state, "run1", "begin\n"); err != nil {
		t.Fatal(err)
	}
	p.await("the report to begin", func() bool { return strings.Contains(c.shown(), "begin") })
	hook := p.hookPID()
	if err := syscall.Kill(-c.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	p.await("the hook to leave", func() bool { return gone(hook) })
	p.git("-C", "project.git", "rev-parse", "main")
	if runlog.RunDir(p.state, "run1").Ended() {
		t.Error("the run was ended")
	}
}

// A signal before the push is recorded is shrugged off.
func TestSignalsDoNotKeepThePushFromTheSpool(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE} {
		t.Run(sig.String(), func(t *testing.T) {
			p := newPlace(t, `wait = "none"`)
			cmd := p.command(filepath.Join(prefix, "libexec/quire/post-receive"))
			cmd.Env = append(cmd.Env, "GIT_DIR=project.git")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// It waits for its input with the signals set: SigIgn in
			// /proc/PID/status (proc(5)) says so.
			p.await("the hook to be at its input", func() bool { return ignores(cmd.Process.Pid, sig) })
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(in, "%040d %s refs/heads/main\n", 0, strings.Repeat("1", 40))
			in.Close()
			if err := cmd.Wait(); err != nil {
				t.Errorf("the hook: %v", err)
			}
			if ids, err := spool.Dir(p.state).List(); err != nil || len(ids) != 1 {
				t.Errorf("spool: %v, %v", ids, err)
			}
		})
	}
}

func ignores(pid int, sig syscall.Signal) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(status), "SigIgn:\t")
	mask, _, _ := strings.Cut(rest, "\n")
	bits, err := strconv.ParseUint(mask, 16, 64)
	return err == nil && bits&(1<<(sig-1)) != 0
}

// Two who push at once each see their own report, whole.
func TestTwoClientsAtOnce(t *testing.T) {
	p := newPlace(t, "")
	first := p.push("main:first")
	if err := takePush(p.state); err != nil { // run1
		t.Fatal(err)
	}
	second := p.push("main:second")
	var id string
	p.await("the second push", func() bool {
		ids, _ := spool.Dir(p.state).List()
		if len(ids) == 1 {
			id = ids[0]
		}
		return id != ""
	})
	taken := runlog.Taken{Push: id, Runs: []runlog.TakenRun{{ID: "other", Number: 2, Ref: "refs/heads/second", New: strings.Repeat("1", 40)}}}
	if err := runlog.WriteTaken(p.state, taken); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		for _, run := range []string{"run1", "other"} {
			if err := appendReport(p.state, run, fmt.Sprintf("%s line %d\n", run, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, run := range []string{"other", "run1"} {
		if err := runlog.RunDir(p.state, run).WriteOutcome(runlog.Outcome{Run: run}); err != nil {
			t.Fatal(err)
		}
	}
	for run, c := range map[string]*client{"run1": first, "other": second} {
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", run, err)
		}
		var want strings.Builder
		for i := range 50 {
			fmt.Fprintf(&want, "remote: %s line %d        \n", run, i)
		}
		if got := c.shown(); got != want.String() {
			t.Errorf("%s showed\n%s", run, got)
		}
	}
}

func TestFiftyPushesAtOnce(t *testing.T) {
	p := newPlace(t, `wait = "none"`)
	var clients []*client
	for i := range 50 {
		clients = append(clients, p.push(fmt.Sprintf("main:b%d", i)))
	}
	for _, c := range clients {
		if err := c.Wait(); err != nil {
			t.Errorf("push: %v\n%s", err, c.shown())
		}
	}
	s := spool.Dir(p.state)
	ids, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	refs := map[string]int{}
	for _, id := range ids {
		push, err := s.Read(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range push.Updates {
			refs[u.Ref]++
		}
	}
	if len(ids) != 50 || len(refs) != 50 {
		t.Errorf("%d events of %d refs", len(ids), len(refs))
	}
}
