package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/handover"
	"quire/internal/runner"
	"quire/internal/spool"
)

// CheckArg is the argument by which `quire install` and `quire doctor` call the
// installed program, as a user who may push: git passes none to post-receive.
// The repository's hook can follow; it is compared with the program and not run.
const CheckArg = "--check"

// Check does what a push by this user would do to be recorded, with a file that
// it takes away again, and says what is in the way. It runs no earlier hook,
// starts no worker, and leaves nothing behind. On standard output it says what
// costs the pusher something and loses nothing.
func Check(c Call, hook ...string) int {
	for _, path := range hook {
		if err := leadsHere(path); errors.Is(err, fs.ErrPermission) {
			return StatusClosed
		} else if err != nil {
			fmt.Fprintln(c.Stderr, err)
			return statusNotRecorded
		}
	}
	note, err := check()
	if err != nil {
		fmt.Fprintln(c.Stderr, err)
		return statusNotRecorded
	}
	if note != "" {
		fmt.Fprintln(c.Stdout, note)
	}
	return statusDone
}

func check() (note string, err error) {
	gitDir, who, err := checkRepository()
	switch {
	case err != nil:
		return "", err
	case who.UID != os.Geteuid():
		if err := checkDrop(gitDir, who); err != nil {
			return "", err
		}
		return checkSocket(gitDir, who)
	}
	conf, fault := settings(who)
	if fault != nil {
		return "", errors.New(firstFault(fault))
	}
	if _, err := findQuire(); err != nil {
		return "", err
	}
	return "", checkState(conf)
}

// checkRepository looks whether pushes of this user to the repository are quire's
// business, and who runs them.
func checkRepository() (string, runner.Runner, error) {
	gitDir, err := repository(os.Getenv("GIT_DIR"))
	if err != nil {
		return "", runner.Runner{}, err
	}
	who, err := runner.Of(gitDir)
	switch {
	case err != nil:
		return "", who, err
	case who.Off:
		return "", who, fmt.Errorf("quire was uninstalled from %s, whose hook stays for other repositories", gitDir)
	case who.Ignored != "":
		return "", who, who.Settled(gitDir)
	}
	for _, dir := range []string{"objects", "refs"} {
		if dir = filepath.Join(gitDir, dir); syscall.Access(dir, 2 /* W_OK */) != nil {
			return "", who, fmt.Errorf("%s may not write in %s, so git refuses the push", userName(os.Geteuid()), dir)
		}
	}
	return gitDir, who, nil
}

// checkSocket asks the runner's listener whether it would take a push of this
// user. Where nobody listens, pushes go into the drop directory.
func checkSocket(gitDir string, who runner.Runner) (note string, err error) {
	waits := fmt.Sprintf("pushes wait in %s until the worker of %s looks there, and show nothing", filepath.Join(gitDir, runner.Drop), who.Who())
	if who.Socket == "" {
		return "no socket of " + who.Who() + " is recorded: " + waits + "; quire install by root records one", nil
	}
	c, err := handover.Dial(who.Socket, who.UID)
	if err != nil {
		return fmt.Sprintf("nobody takes pushes over the socket (%v): %s", err, waits), nil
	}
	defer c.Close()
	var refused *handover.RefusedError
	if err = handover.Ask(c, gitDir); errors.As(err, &refused) {
		return "", fmt.Errorf("%s, who runs this repository's pipelines, does not take pushes of %s: %s", who.Who(), userName(os.Geteuid()), refused.Reason)
	}
	if err != nil {
		return fmt.Sprintf("the listener at %s does not answer (%v): %s", who.Socket, err, waits), nil
	}
	return "", nil
}

// checkState looks whether a push can be written into the spool, or, before the
// first one, the spool be made.
func checkState(conf *config.Config) error {
	path := filepath.Join(spool.Dir(conf.StateDir).Root(), "tmp")
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		for path != "/" && errors.Is(err, fs.ErrNotExist) {
			path = filepath.Dir(path)
			_, err = os.Stat(path)
		}
		if err == nil && syscall.Access(path, 3 /* W_OK, X_OK */) != nil {
			err = fmt.Errorf("%s cannot make the state directory %s: %s is not writable%s", userName(os.Geteuid()), conf.StateDir, path, owner(path))
		}
		return err
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	return checkFile(dir, "."+event.NewID(time.Now())+".check")
}

// oPath is O_PATH (open(2)), which the syscall package does not have: a directory
// that may not be listed can be opened for nothing else.
const oPath = 0x200000

// checkDrop looks whether this user can put a push where the runner finds it,
// and nobody else can have made that place.
func checkDrop(gitDir string, who runner.Runner) error {
	path := filepath.Join(gitDir, runner.Drop)
	fd, err := syscall.Open(path, oPath|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("hand a push over to %s: %w; run quire install again", who.Who(), &os.PathError{Op: "open", Path: path, Err: err})
	}
	dir := os.NewFile(uintptr(fd), path)
	defer dir.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return fmt.Errorf("hand a push over to %s: %w", who.Who(), err)
	}
	if int(st.Uid) != who.UID || st.Mode&0o7777 != runner.DropMode {
		return fmt.Errorf("hand a push over to %s: %s belongs to user %d and has mode %04o, not to %s and %04o; run quire install again",
			who.Who(), path, st.Uid, st.Mode&0o7777, who.Who(), runner.DropMode)
	}
	return checkFile(dir, "."+event.NewID(time.Now())+".check")
}

// checkFile writes a file there, syncs it, and removes it.
func checkFile(dir *os.File, name string) error {
	fail := func(doing string, err error) error {
		return &os.PathError{Op: doing, Path: filepath.Join(dir.Name(), name), Err: err}
	}
	fd, err := syscall.Openat(int(dir.Fd()), name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fail("write", err)
	}
	defer syscall.Close(fd)
	_, err = syscall.Write(fd, []byte("check\n"))
	if err == nil {
		err = syscall.Fsync(fd)
	}
	if uerr := syscall.Unlinkat(int(dir.Fd()), name); err == nil && uerr != nil {
		return fail("remove", uerr)
	}
	if err != nil {
		return fail("write", err)
	}
	return nil
}
