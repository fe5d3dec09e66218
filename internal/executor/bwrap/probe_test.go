package bwrap_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"quire/internal/executor"

	"golang.org/x/sys/unix"
)

// probeEnv makes this test program another one, for inside of a sandbox: what it is
// set to says which.
const probeEnv = "QUIRE_TEST_PROBE"

func TestMain(m *testing.M) {
	switch arg := os.Getenv(probeEnv); {
	case arg == "":
		os.Exit(m.Run())
	case arg == "calls":
		for _, c := range attempts() {
			fmt.Printf("%s: %v\n", c.name, c.make())
		}
	case arg == "lift":
		// No user is mapped: there is no need to, the files are of the same user outside.
		c := exec.Command("/proc/self/exe")
		c.Env = []string{probeEnv + "=lift inside"}
		c.Stdout, c.Stderr = os.Stdout, os.Stdout
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP}
		fmt.Println("a user namespace:", c.Run())
	case arg == "lift inside":
		liftLimits()
	case strings.HasPrefix(arg, "key "):
		findKey(strings.TrimPrefix(arg, "key "))
	case strings.HasPrefix(arg, "abstract "):
		fmt.Println("abstract:", reachAbstract(strings.TrimPrefix(arg, "abstract ")))
	}
}

// probe puts this program into a workspace and gives the script that runs it there.
func probe(t *testing.T, spec executor.Spec, arg string) string {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	to, err := os.OpenFile(filepath.Join(spec.Workspace, "probe"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, self); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return probeEnv + "='" + arg + "' ./probe"
}

// attempt is a system call that a command tries, with arguments for which the kernel
// gives another answer than want where nothing refuses it.
type attempt struct {
	name string
	make func() error
	want unix.Errno
}

func call(number uintptr, args ...uintptr) func() error {
	var a [6]uintptr
	copy(a[:], args)
	return func() error {
		runtime.LockOSThread()
		_, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
		if errno == 0 {
			return nil
		}
		return errno
	}
}

var zeros [4096]byte

func attempts() []attempt {
	here := unix.AT_FDCWD
	root, err := unix.BytePtrFromString("/")
	if err != nil {
		panic(err)
	}
	path, empty := uintptr(unsafe.Pointer(root)), uintptr(unsafe.Pointer(&zeros))
	session := -3 // KEY_SPEC_SESSION_KEYRING
	return []attempt{
		{"keyctl", call(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, uintptr(session)), unix.ENOSYS},
		{"add_key", call(unix.SYS_ADD_KEY), unix.ENOSYS},
		{"request_key", call(unix.SYS_REQUEST_KEY), unix.ENOSYS},
		{"io_uring_setup", call(unix.SYS_IO_URING_SETUP, 0), unix.ENOSYS},
		{"userfaultfd", call(unix.SYS_USERFAULTFD, 1), unix.EPERM},
		{"bpf", call(unix.SYS_BPF, 9999), unix.EPERM},
		{"perf_event_open", call(unix.SYS_PERF_EVENT_OPEN), unix.EACCES},
		{"open_by_handle_at", call(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(here), 0), unix.EPERM},
		{"name_to_handle_at", call(unix.SYS_NAME_TO_HANDLE_AT), unix.EOPNOTSUPP},
		{"fanotify_init", call(unix.SYS_FANOTIFY_INIT, 0x200), unix.EPERM},
		{"quotactl", call(unix.SYS_QUOTACTL, ^uintptr(0)), unix.EPERM},
		{"adjtimex", call(unix.SYS_ADJTIMEX, empty), unix.EPERM},
		{"open_tree", call(unix.SYS_OPEN_TREE, uintptr(here), path, 0), unix.EPERM},
		{"setns", call(unix.SYS_SETNS, ^uintptr(0), 0), unix.EPERM},
		{"clone3", call(unix.SYS_CLONE3, 0, 0), unix.ENOSYS},
		{"unshare of users", call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER), unix.EPERM},
		{"unshare of mounts", call(unix.SYS_UNSHARE, unix.CLONE_NEWNS), unix.EPERM},
		{"unshare of files", call(unix.SYS_UNSHARE, unix.CLONE_FS), 0},
		{"clone with users", call(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD)), unix.EPERM},
		{"ioctl TIOCSTI", call(unix.SYS_IOCTL, 0, 0x5412, empty), unix.EPERM},
		{"ioctl TIOCSTI in more bits", call(unix.SYS_IOCTL, 0, 0x5412|1<<32, empty), unix.EPERM},
		{"personality: read implies exec", call(unix.SYS_PERSONALITY, 0x0400000), unix.EPERM},
		{"personality: fixed addresses", call(unix.SYS_PERSONALITY, 0x0040000), 0},
		{"personality: none", call(unix.SYS_PERSONALITY, 0), 0},
		{"personality: asked", call(unix.SYS_PERSONALITY, 0xffffffff), 0},
		{"a socket past the network", call(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM), unix.EAFNOSUPPORT},
		{"a socket of the kernel's ciphers", call(unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET), unix.EAFNOSUPPORT},
		{"a socket", call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM), 0},
		{"an IPv6 socket", call(unix.SYS_SOCKET, unix.AF_INET6, unix.SOCK_DGRAM), 0},
		{"a Unix socket", call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM), 0},
		{"a netlink socket", call(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW), 0},
		{"ptrace of its own", call(unix.SYS_PTRACE, unix.PTRACE_TRACEME), 0},
		{"a call of a later kernel", call(600), unix.ENOSYS},
	}
}
