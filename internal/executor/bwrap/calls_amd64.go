package bwrap

import "golang.org/x/sys/unix"

// ways are those into an amd64 kernel. A program of 64 bits can go the 32 bit way,
// too (int 0x80), so both are filtered. x32, which next to no kernel has, shares its
// arch with amd64 and marks its numbers.
var ways = []abi{
	{arch: unix.AUDIT_ARCH_X86_64, alien: 0x4000_0000, numbers: map[string]uint32{
		"keyctl": unix.SYS_KEYCTL, "add_key": unix.SYS_ADD_KEY, "request_key": unix.SYS_REQUEST_KEY,
		"io_uring_setup": unix.SYS_IO_URING_SETUP, "io_uring_enter": unix.SYS_IO_URING_ENTER,
		"io_uring_register": unix.SYS_IO_URING_REGISTER, "bpf": unix.SYS_BPF, "userfaultfd": unix.SYS_USERFAULTFD,
		"perf_event_open": unix.SYS_PERF_EVENT_OPEN, "open_by_handle_at": unix.SYS_OPEN_BY_HANDLE_AT,
		"name_to_handle_at": unix.SYS_NAME_TO_HANDLE_AT, "fanotify_init": unix.SYS_FANOTIFY_INIT,
		"pidfd_getfd": unix.SYS_PIDFD_GETFD, "kexec_load": unix.SYS_KEXEC_LOAD,
		"kexec_file_load": unix.SYS_KEXEC_FILE_LOAD, "init_module": unix.SYS_INIT_MODULE,
		"finit_module": unix.SYS_FINIT_MODULE, "delete_module": unix.SYS_DELETE_MODULE,
		"create_module": unix.SYS_CREATE_MODULE, "get_kernel_syms": unix.SYS_GET_KERNEL_SYMS,
		"query_module": unix.SYS_QUERY_MODULE, "quotactl": unix.SYS_QUOTACTL, "quotactl_fd": unix.SYS_QUOTACTL_FD,
		"swapon": unix.SYS_SWAPON, "swapoff": unix.SYS_SWAPOFF, "reboot": unix.SYS_REBOOT, "acct": unix.SYS_ACCT,
		"vhangup": unix.SYS_VHANGUP, "syslog": unix.SYS_SYSLOG, "iopl": unix.SYS_IOPL, "ioperm": unix.SYS_IOPERM,
		"settimeofday": unix.SYS_SETTIMEOFDAY, "clock_settime": unix.SYS_CLOCK_SETTIME,
		"clock_adjtime": unix.SYS_CLOCK_ADJTIME, "adjtimex": unix.SYS_ADJTIMEX,
		"lookup_dcookie": unix.SYS_LOOKUP_DCOOKIE, "nfsservctl": unix.SYS_NFSSERVCTL, "uselib": unix.SYS_USELIB,
		"ustat": unix.SYS_USTAT, "sysfs": unix.SYS_SYSFS, "_sysctl": unix.SYS__SYSCTL, "ioctl": unix.SYS_IOCTL,
		"socket": unix.SYS_SOCKET, "socketpair": unix.SYS_SOCKETPAIR, "personality": unix.SYS_PERSONALITY,
		"mount": unix.SYS_MOUNT, "umount2": unix.SYS_UMOUNT2, "pivot_root": unix.SYS_PIVOT_ROOT,
		"move_mount": unix.SYS_MOVE_MOUNT, "open_tree": unix.SYS_OPEN_TREE,
		"open_tree_attr": unix.SYS_OPEN_TREE_ATTR, "fsopen": unix.SYS_FSOPEN, "fsconfig": unix.SYS_FSCONFIG,
		"fsmount": unix.SYS_FSMOUNT, "fspick": unix.SYS_FSPICK, "mount_setattr": unix.SYS_MOUNT_SETATTR,
		"setns": unix.SYS_SETNS, "unshare": unix.SYS_UNSHARE, "clone": unix.SYS_CLONE, "clone3": unix.SYS_CLONE3,
	}},
	// arch/x86/entry/syscalls/syscall_32.tbl of the kernel.
	{arch: unix.AUDIT_ARCH_I386, numbers: map[string]uint32{
		"keyctl": 288, "add_key": 286, "request_key": 287, "io_uring_setup": 425, "io_uring_enter": 426,
		"io_uring_register": 427, "bpf": 357, "userfaultfd": 374, "perf_event_open": 336, "open_by_handle_at": 342,
		"name_to_handle_at": 341, "fanotify_init": 338, "pidfd_getfd": 438, "kexec_load": 283, "init_module": 128,
		"finit_module": 350, "delete_module": 129, "create_module": 127, "get_kernel_syms": 130,
		"query_module": 167, "quotactl": 131, "quotactl_fd": 443, "swapon": 87, "swapoff": 115, "reboot": 88,
		"acct": 51, "vhangup": 111, "syslog": 103, "iopl": 110, "ioperm": 101, "settimeofday": 79,
		"clock_settime": 264, "clock_settime64": 404, "clock_adjtime": 343, "clock_adjtime64": 405,
		"adjtimex": 124, "stime": 25, "lookup_dcookie": 253, "nfsservctl": 169, "uselib": 86, "ustat": 62,
		"sysfs": 135, "_sysctl": 149, "vm86": 166, "vm86old": 113, "ioctl": 54, "socket": 359, "socketpair": 360,
		"socketcall": 102, "personality": 136, "mount": 21, "umount": 22, "umount2": 52, "pivot_root": 217,
		"move_mount": 429, "open_tree": 428, "open_tree_attr": 467, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
		"fspick": 433, "mount_setattr": 442, "setns": 346, "unshare": 310, "clone": 120, "clone3": 435,
	}},
}
