// Command intruder is a job's command that tries what no sandbox may let it do. It
// prints a line for each attempt that was not refused, and at the end how many there
// were. Its arguments are names of attempts that it leaves out. It is static and needs
// nothing of an image.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refusals are the answers of a sandbox. The arguments of each call are such that a
// kernel that takes it up gives another.
var refusals = []unix.Errno{unix.EPERM, unix.EACCES, unix.ENOSYS, unix.EROFS}

type attempt struct {
	name  string
	try   func() error
	other []error // further answers that are refusals here
}

func main() {
	runtime.LockOSThread()
	all := slices.DeleteFunc(slices.Concat(calls(), files(), rights()), func(a attempt) bool { return slices.Contains(os.Args[1:], a.name) })
	for _, a := range all {
		err := a.try()
		refused := slices.ContainsFunc(refusals, func(e unix.Errno) bool { return errors.Is(err, e) }) ||
			slices.ContainsFunc(a.other, func(e error) bool { return errors.Is(err, e) })
		if !refused {
			fmt.Printf("%s: not refused: %v\n", a.name, err)
		}
	}
	fmt.Printf("tried %d\n", len(all))
}

func call(name string, number uintptr, args ...uintptr) attempt {
	var a [6]uintptr
	copy(a[:], args)
	return attempt{name: name, try: func() error {
		if _, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
			return errno
		}
		return nil
	}}
}

var (
	zeros [4096]byte
	root  = []byte("/\x00")
	tmpfs = []byte("tmpfs\x00")
)

func calls() []attempt {
	here, none := unix.AT_FDCWD, ^uintptr(0)
	path, kind, empty := uintptr(unsafe.Pointer(&root[0])), uintptr(unsafe.Pointer(&tmpfs[0])), uintptr(unsafe.Pointer(&zeros))
	session := -3 // KEY_SPEC_SESSION_KEYRING
	return []attempt{
		call("mount", unix.SYS_MOUNT, kind, path, kind, 0, 0),
		call("bind mount", unix.SYS_MOUNT, path, path, kind, unix.MS_BIND, 0),
		call("umount2", unix.SYS_UMOUNT2, path, unix.MNT_EXPIRE|unix.MNT_FORCE),
		call("pivot_root", unix.SYS_PIVOT_ROOT, path, path),
		call("open_tree", unix.SYS_OPEN_TREE, uintptr(here), path, 1),
		call("fsopen", unix.SYS_FSOPEN, kind, 0),
		call("move_mount", unix.SYS_MOVE_MOUNT, none, path, none, path, 0),
		call("unshare of users", unix.SYS_UNSHARE, unix.CLONE_NEWUSER),
		call("unshare of mounts", unix.SYS_UNSHARE, unix.CLONE_NEWNS),
		call("unshare of processes", unix.SYS_UNSHARE, unix.CLONE_NEWPID),
		call("unshare of networks", unix.SYS_UNSHARE, unix.CLONE_NEWNET),
		call("clone with users", unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD)),
		call("clone3", unix.SYS_CLONE3, 0, 0),
		call("setns", unix.SYS_SETNS, none, 0),
		call("keyctl", unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, uintptr(session)),
		call("add_key", unix.SYS_ADD_KEY),
		call("request_key", unix.SYS_REQUEST_KEY),
		call("bpf", unix.SYS_BPF, 9999),
		call("io_uring_setup", unix.SYS_IO_URING_SETUP, 0, 0),
		call("userfaultfd", unix.SYS_USERFAULTFD, 1),
		call("perf_event_open", unix.SYS_PERF_EVENT_OPEN, 0, 0, none, none, 0),
		call("open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, uintptr(here), 0),
		call("fanotify_init", unix.SYS_FANOTIFY_INIT, 0x200),
		call("init_module", unix.SYS_INIT_MODULE, 0, 0, 0),
		call("kexec_load", unix.SYS_KEXEC_LOAD, 0, 0, 0, none),
		call("quotactl", unix.SYS_QUOTACTL, none),
		call("swapoff", unix.SYS_SWAPOFF, empty),
		call("acct", unix.SYS_ACCT, path),
		call("settimeofday", unix.SYS_SETTIMEOFDAY, empty, 0),
		call("sethostname", unix.SYS_SETHOSTNAME, empty, none),
		{"mknod", func() error { return unix.Mknod("intruders-device", unix.S_IFCHR|0o666, 1<<8|1) }, nil},
	}
}

// files are those through which a machine is changed or read. They are opened and not
// written to.
func files() (all []attempt) {
	for _, f := range []string{
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger", "/proc/kcore",
		"/dev/mem", "/dev/kmsg", "/dev/port", "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/fuse", "/dev/net/tun",
		"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory.max", "/sys/kernel/uevent_helper",
		"/run/docker.sock", "/var/run/docker.sock",
	} {
		all = append(all, attempt{"opening " + f, func() error {
			fd, err := unix.Open(f, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}, []error{unix.ENOENT, unix.ENOTDIR, unix.ENXIO, unix.EIO}})
	}
	return all
}

var errNone = errors.New("it has none")

// rights are what the kernel says of this process.
func rights() (all []attempt) {
	status, err := os.ReadFile("/proc/self/status")
	word := func(name string) string {
		for line := range strings.Lines(string(status)) {
			if v, found := strings.CutPrefix(line, name+":"); found {
				return strings.TrimSpace(v)
			}
		}
		return ""
	}
	have := func(has bool) func() error {
		return func() error {
			if err == nil && !has {
				return errNone
			}
			return err
		}
	}
	none := []error{errNone}
	all = append(all,
		attempt{"new privileges", have(word("NoNewPrivs") != "1"), none},
		attempt{"running without a filter", have(word("Seccomp") != "2"), none})
	effective, perr := strconv.ParseUint(word("CapEff"), 16, 64)
	for _, c := range []struct {
		name string
		bit  int
	}{
		{"CAP_DAC_READ_SEARCH", unix.CAP_DAC_READ_SEARCH}, {"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}, {"CAP_NET_RAW", unix.CAP_NET_RAW},
		{"CAP_SYS_MODULE", unix.CAP_SYS_MODULE}, {"CAP_SYS_RAWIO", unix.CAP_SYS_RAWIO}, {"CAP_SYS_PTRACE", unix.CAP_SYS_PTRACE},
		{"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN}, {"CAP_SYS_BOOT", unix.CAP_SYS_BOOT}, {"CAP_SYS_TIME", unix.CAP_SYS_TIME},
		{"CAP_MKNOD", unix.CAP_MKNOD}, {"CAP_SYSLOG", unix.CAP_SYSLOG}, {"CAP_BPF", unix.CAP_BPF}, {"CAP_PERFMON", unix.CAP_PERFMON},
	} {
		all = append(all, attempt{c.name, have(perr != nil || effective&(1<<c.bit) != 0), none})
	}
	return all
}
