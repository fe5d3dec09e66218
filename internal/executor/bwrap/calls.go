package bwrap

import "golang.org/x/sys/unix"

// rule refuses system calls to a command.
type rule struct {
	names string // separated by blanks
	fails unix.Errno
	when  condition
}

// condition narrows a rule to some values of one argument, of which the lower
// 32 bits count. The zero condition always holds.
type condition struct {
	arg    int
	bits   uint32   // any of these is set, or
	values []uint32 // it is one of these;
	except []uint32 // but none of these
}

func (c condition) always() bool { return c.bits == 0 && len(c.values) == 0 }

// What no build needs and has been a way out of sandboxes, or into the kernel, is
// refused. ENOSYS says that the kernel does not have it, so that a program goes
// another way; EPERM is what a program without privileges gets anyway.
//
// ptrace and process_vm_readv are allowed: debuggers and leak sanitizers use them,
// and they reach the sandbox's own processes only. So are chroot, mknod and the
// like, which fail for want of a capability.

// refused holds for bwrap itself, too, and so for the sandbox's first process,
// which a command could otherwise trace and make its calls for it.
var refused = []rule{
	// Keyrings are not in any namespace: root's are found by a job that runs as root.
	{names: "keyctl add_key request_key", fails: unix.ENOSYS},
	{names: "io_uring_setup io_uring_enter io_uring_register", fails: unix.ENOSYS},
	{names: "bpf userfaultfd", fails: unix.EPERM},
	{names: "perf_event_open", fails: unix.EACCES}, // as perf_event_paranoid says it
	{names: "open_by_handle_at", fails: unix.EPERM},
	{names: "name_to_handle_at", fails: unix.EOPNOTSUPP}, // as file systems without handles say it
	{names: "fanotify_init pidfd_getfd", fails: unix.EPERM},
	{names: "kexec_load kexec_file_load init_module finit_module delete_module", fails: unix.EPERM},
	{names: "create_module get_kernel_syms query_module", fails: unix.ENOSYS},
	{names: "quotactl quotactl_fd swapon swapoff reboot acct vhangup syslog iopl ioperm", fails: unix.EPERM},
	{names: "settimeofday clock_settime clock_settime64 clock_adjtime clock_adjtime64 adjtimex stime", fails: unix.EPERM},
	{names: "lookup_dcookie nfsservctl uselib ustat sysfs _sysctl vm86 vm86old", fails: unix.ENOSYS},
	// A terminal's input is not a job's to make.
	{names: "ioctl", fails: unix.EPERM, when: condition{arg: 1, values: []uint32{tiocsti, tioclinux}}},
	// Of the other families some reach past the network namespace (vsock: the
	// hypervisor), and most are little used code of the kernel.
	{names: "socket socketpair", fails: unix.EAFNOSUPPORT, when: condition{arg: 0, bits: ^uint32(0), except: []uint32{
		unix.AF_UNSPEC, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK, unix.AF_PACKET,
	}}},
	// On i386 the arguments of this one lie in memory, where no filter sees them.
	{names: "socketcall", fails: unix.EPERM, when: condition{arg: 0, values: []uint32{1, 8}}}, // SYS_SOCKET, SYS_SOCKETPAIR
	// Linux, also as a 32 bit one, an old one, and without randomized addresses
	// (debuggers, sanitizers); 0xffffffff asks.
	{names: "personality", fails: unix.EPERM, when: condition{arg: 0, bits: ^uint32(0x0008 | 0x0020000 | 0x0040000), except: []uint32{0xffffffff}}},
}

// refusedInside holds for commands. bwrap needs these to make the sandbox.
var refusedInside = []rule{
	{names: "mount umount umount2 pivot_root move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr", fails: unix.EPERM},
	{names: "setns", fails: unix.EPERM},
	{names: "unshare", fails: unix.EPERM, when: condition{arg: 0, bits: newNamespaces | unix.CLONE_NEWTIME}},
	{names: "clone", fails: unix.EPERM, when: condition{arg: 0, bits: newNamespaces}}, // NEWTIME's bit belongs to the signal here
	{names: "clone3", fails: unix.ENOSYS},                                             // its flags lie in memory; C libraries go back to clone
}

const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// The same on all architectures that have a filter (asm-generic/ioctls.h).
const (
	tiocsti   = 0x5412
	tioclinux = 0x541c
)

// newest is the highest number of a system call that these rules were made with. One
// that came later is not there for a command: nobody has looked at it. Calls since
// Linux 5.1 have the same number on all architectures.
const newest = unix.SYS_LISTNS
