package worker

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxLog is where worker.log is set aside for a new one, in bytes. One old one is
// kept beside it, worker.log.old.
const maxLog = 1 << 20

func logPath(stateDir string) string { return filepath.Join(stateDir, "worker.log") }

// openLog opens worker.log for a process to be started, and begins a new one if
// that is long.
func openLog(stateDir string) (*os.File, error) {
	path := logPath(stateDir)
	if st, err := os.Lstat(path); err == nil && st.Size() > maxLog {
		os.Rename(path, path+".old") // if not, it grows until the next time
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// turnLog begins a new worker.log if this process's standard error is one and is
// long: a worker that owes a mirror stays for days, and says something about each
// push. Supervisors that it started before go on in the old one.
func turnLog(stateDir string) error {
	at, err := os.Lstat(logPath(stateDir))
	if err != nil || at.Size() <= maxLog {
		return nil // there is none, or it has room
	}
	own, err := os.Stderr.Stat()
	if err != nil || !os.SameFile(own, at) {
		return nil // it is somebody else's
	}
	fresh, err := openLog(stateDir)
	if err != nil {
		return err
	}
	defer fresh.Close()
	return unix.Dup3(int(fresh.Fd()), 2, 0)
}
