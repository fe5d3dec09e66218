package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"quire/internal/config"
	"quire/internal/executor/docker"
	"quire/internal/spool"
	"quire/internal/worker"
)

// Git 2.31 brought GIT_CONFIG_COUNT, by which a credential reaches git without
// standing in its arguments (release notes of 2.31.0).
const gitMajor, gitMinor = 2, 31

var gitVersion = regexp.MustCompile(`(\d+)\.(\d+)`)

func (e *exam) git() {
	out, err := exec.CommandContext(e.ctx, "git", "--version").Output()
	if err != nil {
		e.bad("git", "install git", "git does not run: %v", err)
		return
	}
	text := strings.TrimSpace(string(out))
	m := gitVersion.FindStringSubmatch(text)
	if m == nil {
		e.warn("git", "", "cannot read a version in %q", text)
		return
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if major < gitMajor || major == gitMajor && minor < gitMinor {
		e.bad("git", "install git 2.31 or newer", "%s is too old: mirrors cannot keep a token out of its arguments", text)
		return
	}
	e.ok("git", "%s", text)
}

func (e *exam) binaries() {
	self, err := os.Executable()
	if err != nil {
		e.warn("program", "", "cannot tell where this program is: %v", err)
		return
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	e.ok("program", "%s %s", self, versionString())
}

func (e *exam) spool(cfg *config.Config) {
	s := spool.Dir(cfg.StateDir)
	waiting, err := s.List()
	if err != nil {
		e.bad("spool", "", "%v", err)
		return
	}
	bad, _ := filepath.Glob(filepath.Join(s.Root(), "bad", "*"))
	if len(bad) > 0 {
		e.warn("spool", "read them, push those refs again if a run is missing, then delete them", "%d unreadable push events in %s", len(bad), filepath.Dir(bad[0]))
	}
	if other := config.Defaults().StateDir; other != cfg.StateDir {
		if lost, _ := spool.Dir(other).List(); len(lost) > 0 && !workerLives(other) {
			e.bad("spool", "move them to "+s.New()+", or delete them", "%d pushes wait in %s, the default state directory, where no worker of this configuration looks", len(lost), spool.Dir(other).New())
		}
	}
	e.parked(s)
	aside, err := s.Aside()
	if err != nil {
		e.bad("spool", "", "%v", err)
	}
	for _, a := range aside {
		e.bad("spool", "quire retry "+a.ID+"; or delete "+filepath.Join(s.Root(), "aside", a.ID), "push %s to %s is set aside: %s", a.ID, a.GitDir, a.Why)
	}
	for _, what := range worker.SetAside(cfg) {
		e.bad("worker", "delete "+what.Note+" to have it tried again", "%d workers died over %s %s: it is left alone", what.Deaths, what.Kind, what.What)
	}
	for _, what := range worker.Stopped(cfg) {
		e.bad("worker", "delete "+what.Note+" when that is mended", "unreported pushes to %s are not looked for: %s", what.What, what.Why)
	}
	if len(waiting) > 0 && !workerLives(cfg.StateDir) {
		e.bad("spool", "quire worker --once", "%d pushes wait and no worker runs", len(waiting))
		return
	}
	e.ok("spool", "%d pushes wait", len(waiting))
}

// parked tells of pushes that wait for their repositories.
func (e *exam) parked(s spool.Dir) {
	names, err := s.Parked()
	if err != nil {
		e.bad("spool", "", "%v", err)
	}
	for _, name := range names {
		if p, err := s.ReadParked(name); err == nil {
			e.warn("spool", "mount or rename it back; or delete "+filepath.Join(s.Root(), "absent", name),
				"push %s waits for its repository %s, which is not there; it waits until %s", name, p.GitDir, p.At.Add(worker.AbsentLimit).Format(time.DateOnly))
		}
	}
}

func (e *exam) worker(cfg *config.Config) {
	if workerLives(cfg.StateDir) {
		e.ok("worker", "running")
	} else {
		e.ok("worker", "not running; the next push starts it")
	}
	log := filepath.Join(cfg.StateDir, "worker.log")
	if st, err := os.Stat(log); err == nil && st.Size() > 0 {
		e.warn("worker", "read it; delete it when done", "it complained in %s, last at %s", log, st.ModTime().Format(time.DateTime))
	}
}

// workerLives reports whether a worker holds its lock.
func workerLives(stateDir string) bool {
	f, err := os.Open(filepath.Join(stateDir, "locks", "worker.lock"))
	if err != nil {
		return false
	}
	defer f.Close() // lets go of the lock, if we got it
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

func (e *exam) executors(cfg *config.Config) {
	kinds := map[string]bool{cfg.Executor.Default: true}
	for _, r := range cfg.Executor.For {
		kinds[r.Use] = true
	}
	for _, kind := range []string{"host", "bwrap", "docker"} {
		if !kinds[kind] {
			continue
		}
		if err := e.executorAbsent(kind); err != nil {
			e.bad("executor", "", "%s: %v", kind, err)
		} else {
			e.ok("executor", "%s", kind)
		}
	}
}

// executorAbsent looks whether the executor's program is there, and answers this
// user: an engine's socket may be closed to the runner.
func (e *exam) executorAbsent(kind string) error {
	switch kind {
	case "bwrap":
		if _, err := exec.LookPath("bwrap"); err != nil {
			return errors.New("bubblewrap is not installed: apt-get install bubblewrap")
		}
	case "docker":
		return docker.Answers(e.ctx)
	}
	return nil
}

func (e *exam) notifications(cfg *config.Config) {
	for _, n := range cfg.Notify {
		if len(n.Mail) == 0 {
			continue
		}
		if _, err := exec.LookPath("/usr/sbin/sendmail"); err != nil {
			e.bad("notify", "install a mail transport such as msmtp-mta, or remove mail from [[notify]]", "mail is wanted and there is no sendmail")
		}
		return
	}
}

// space is what a directory's file system has left for us, and in all, in bytes.
func space(dir string) (free, total uint64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return st.Bavail * uint64(st.Bsize), st.Blocks * uint64(st.Bsize), nil
}
