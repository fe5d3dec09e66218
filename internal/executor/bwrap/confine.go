package bwrap

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confine takes from the calling thread, for ever, and from all that it starts,
// bwrap among them, what no command of a run needs:
//
//   - the session keyring that this process was started with, which leads to its
//     user's keys (session-keyring(7)): it gets an empty one;
//   - gaining privileges by executing a program;
//   - the system calls that are refused everywhere;
//   - abstract Unix sockets of programs outside (Landlock, Linux 6.12), which a
//     sandbox that shares the machine's network could reach otherwise.
func confine() error {
	// ENOSYS: a kernel without keyrings; EPERM: a filter round this process, which
	// holds for what it starts, too.
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("the sandbox's own session keyring: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("the sandbox may not gain privileges: %w", err)
	}
	if err := leaveSockets(); err != nil {
		return fmt.Errorf("abstract sockets out of the sandbox's reach: %w", err)
	}
	program := filter(ways, refused)
	if program == nil {
		return nil
	}
	if err := loadFilter(program); err != nil {
		return fmt.Errorf("the sandbox's filter of system calls: %w", err)
	}
	return nil
}

// loadFilter puts the calling thread under a filter.
func loadFilter(program []unix.SockFilter) error {
	f := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// Without SPEC_ALLOW older kernels make everything slower under a filter, against
	// a guest in the same process, and there is none.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, uintptr(unsafe.Pointer(&f)))
	if errno != 0 {
		return errno
	}
	return nil
}

// leaveSockets is nothing where Landlock is missing, off or too old. Its rules for
// files cannot be set here: whoever is under them may not mount (landlock(7)), and
// bwrap must.
func leaveSockets() error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || version < 6 {
		return nil
	}
	attr := unix.LandlockRulesetAttr{Scoped: unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// powers are what the bwrap of this machine can do.
type powers struct {
	setuid        bool // it must gain privileges, and makes no user namespace
	disableUserns bool // from 0.8
	size          bool // of what is kept in memory: from 0.7, and not if it is setuid
}

// powersOf looks at the program. Its help text is in the file; asking it would take a
// process in each run.
func powersOf(program string) (powers, error) {
	info, err := os.Stat(program)
	if err != nil {
		return powers{}, err
	}
	if info.Size() > 64<<20 {
		return powers{}, fmt.Errorf("%s: %d bytes is no bwrap", program, info.Size())
	}
	text, err := os.ReadFile(program)
	if err != nil && !errors.Is(err, os.ErrPermission) { // a setuid one may be for executing only
		return powers{}, err
	}
	setuid := info.Mode()&os.ModeSetuid != 0
	return powers{
		setuid:        setuid,
		disableUserns: bytes.Contains(text, []byte("--disable-userns")),
		size:          !setuid && bytes.Contains(text, []byte("--size")),
	}, nil
}

// userns says whether this machine has user namespaces. Where it has none, no command
// can make one either.
func userns() bool {
	most, err := os.ReadFile("/proc/sys/user/max_user_namespaces")
	return err == nil && string(bytes.TrimSpace(most)) != "0"
}
