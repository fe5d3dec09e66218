package hooks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"quire/internal/config"
)

// workerLock is the file that a worker holds locked (flock(2)) while it lives.
func workerLock(stateDir string) string { return filepath.Join(stateDir, "locks", "worker.lock") }

// workerRuns reports whether somebody holds the worker's lock. To ask is to take
// the lock for a moment: a worker that starts just then tries again.
func workerRuns(stateDir string) bool {
	f, err := os.OpenFile(workerLock(stateDir), os.O_RDWR, 0)
	if err != nil {
		return false // no such file: no worker ever ran; any other error the worker will tell better
	}
	defer f.Close() // lets go of the lock
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK)
}

// startWorker starts `quire worker`, detached from everything of the push: its
// own session, no terminal, none of our descriptors, directory /, and an
// environment of chosen names without GIT_*. What it prints goes to worker.log
// in the state directory.
//
// With calm, the worker begins when the push most likely is over: the start of so
// large a program would compete with git's last steps for the machine.
//
// The caller waits for the process, or lets it go by exiting.
func startWorker(c *config.Config, calm bool) (*os.Process, error) {
	quire, err := findQuire()
	if err != nil {
		return nil, err
	}
	program, argv := quire, []string{quire, "worker"}
	if self, err := os.Executable(); calm && err == nil {
		program, argv = self, []string{lateName, quire, "worker"}
	}
	closeInherited()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("start quire's worker: %w", err)
	}
	defer null.Close()
	out := null
	if log, err := openWorkerLog(c.StateDir); err == nil { // else it must do without: the disk is full
		defer log.Close()
		out = log
	}
	p, err := os.StartProcess(program, argv, &os.ProcAttr{
		Dir:   "/",
		Env:   c.WorkerEnv(os.LookupEnv),
		Files: []*os.File{null, out, out},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil && calm { // this program's file was replaced, say
		return startWorker(c, false)
	}
	if err != nil {
		return nil, fmt.Errorf("start quire's worker: %w", err)
	}
	return p, nil
}

// lateName is the hook's program, started to become another one a little later.
const lateName = "quire-later"

// calm is how long the end of a push is let alone once its hook is about to
// return. On two processors a worker that starts at once adds some 4.5 ms to a
// push, one that starts then 3.7, of which 2.3 are any hook's (bench/push).
const calm = 15 * time.Millisecond

// Later makes this process the program that its arguments name, after a moment,
// if that is what the hook started it for. Otherwise it does nothing.
func Later() {
	if os.Args[0] != lateName || len(os.Args) < 2 {
		return
	}
	time.Sleep(calm)
	err := syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	fmt.Fprintf(os.Stderr, "start quire's worker: %v\n", err)
	os.Exit(1)
}

// closeInherited marks every descriptor above standard error to be closed in
// the worker. Go's own are so already; those that sshd, a web server or another
// hook left open are not, and a worker that held one would keep the client's
// connection open.
func closeInherited() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // no /proc: no way to know
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// maxWorkerLog is where worker.log is set aside for a new one; one old one is kept.
const maxWorkerLog = 1 << 20

func workerLog(stateDir string) string { return filepath.Join(stateDir, "worker.log") }

func openWorkerLog(stateDir string) (*os.File, error) {
	path := workerLog(stateDir)
	if st, err := os.Lstat(path); err == nil && st.Size() > maxWorkerLog {
		os.Rename(path, path+".old") // if not, the log grows until the next time
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// findQuire finds the main program: $QUIRE_BIN, else as installed beside this
// binary (PREFIX/libexec/quire/post-receive and PREFIX/bin/quire), else on PATH,
// else in the two usual places, since sshd's PATH for commands is short.
func findQuire() (string, error) {
	if p := os.Getenv("QUIRE_BIN"); p != "" {
		if !executable(p) {
			return "", fmt.Errorf("QUIRE_BIN names %s, which is no program that can be run", p)
		}
		return p, nil
	}
	var places []string
	if self, err := os.Executable(); err == nil { // links resolved: it is /proc/self/exe
		dir := filepath.Dir(self)
		places = append(places, filepath.Join(dir, "..", "..", "bin", "quire"), filepath.Join(dir, "..", "bin", "quire"), filepath.Join(dir, "quire"))
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) {
			places = append(places, filepath.Join(dir, "quire"))
		}
	}
	places = append(places, "/usr/local/bin/quire")
	if home := os.Getenv("HOME"); home != "" {
		places = append(places, filepath.Join(home, ".local", "bin", "quire"))
	}
	for _, p := range places {
		if executable(p) {
			return filepath.Clean(p), nil
		}
	}
	return "", errors.New("the program quire is not found on PATH, in /usr/local/bin or in ~/.local/bin; install it, or name it in QUIRE_BIN")
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0
}

// lastWords is the last line that a worker printed, for the pusher's error.
func lastWords(stateDir string) string {
	f, err := os.Open(workerLog(stateDir))
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, 2048)
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	n, _ := f.ReadAt(buf, max(0, st.Size()-int64(len(buf)))) // io.EOF is expected
	lines := strings.Split(strings.TrimSpace(string(buf[:n])), "\n")
	return tame(lines[len(lines)-1])
}
