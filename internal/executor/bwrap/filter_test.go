package bwrap

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// judge runs a filter as the kernel does (Documentation/networking/filter.rst).
func judge(t *testing.T, program []unix.SockFilter, number, arch uint32, args ...uint64) uint32 {
	t.Helper()
	var data [64]byte
	binary.LittleEndian.PutUint32(data[dataNumber:], number)
	binary.LittleEndian.PutUint32(data[dataArch:], arch)
	for i, a := range args {
		binary.LittleEndian.PutUint64(data[dataArgs+8*i:], a)
	}
	a := uint32(0)
	for pc := 0; pc < len(program); pc++ {
		in := program[pc]
		yes := false
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.LittleEndian.Uint32(data[in.K:])
			continue
		case unix.BPF_RET | unix.BPF_K:
			return in.K
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
			continue
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			yes = a == in.K
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			yes = a > in.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			yes = a >= in.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			yes = a&in.K != 0
		default:
			t.Fatalf("instruction %d is none that the kernel takes: %+v", pc, in)
		}
		if yes {
			pc += int(in.Jt)
		} else {
			pc += int(in.Jf)
		}
	}
	t.Fatal("the program runs over its end")
	return 0
}

// Of each way into the kernel, also of one that this machine has not: every rule
// meets its calls, and no other call.
func TestFilterRefusesByEveryWay(t *testing.T) {
	if ways == nil {
		t.Log("no filter on this architecture")
		return
	}
	program := filter(ways, refused, refusedInside)
	if n := len(program); n > 4096 { // BPF_MAXINSNS
		t.Fatalf("%d instructions are more than the kernel takes", n)
	}
	for _, way := range ways {
		meant := map[uint32]bool{}
		for _, list := range [][]rule{refused, refusedInside} {
			for _, r := range list {
				for name := range strings.FieldsSeq(r.names) {
					number, there := way.numbers[name]
					if !there {
						continue
					}
					meant[number] = true
					if r.when.always() {
						if got := judge(t, program, number, way.arch); got != failing(r.fails) {
							t.Errorf("arch %x: %s: %x", way.arch, name, got)
						}
					}
				}
			}
		}
		for number := range uint32(newest + 1) {
			if got := judge(t, program, number, way.arch, 1<<40, 1<<40); !meant[number] && got != unix.SECCOMP_RET_ALLOW {
				t.Errorf("arch %x: call %d, which no rule names: %x", way.arch, number, got)
			}
		}
		n := way.numbers
		for _, c := range []struct {
			name string
			args []uint64
			want uint32
		}{
			{"clone", []uint64{uint64(unix.SIGCHLD)}, unix.SECCOMP_RET_ALLOW},
			{"clone", []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND | unix.CLONE_SETTLS}, unix.SECCOMP_RET_ALLOW},
			{"clone", []uint64{uint64(unix.SIGCHLD) | unix.CLONE_NEWUSER}, failing(unix.EPERM)},
			{"clone", []uint64{uint64(unix.SIGCHLD) | unix.CLONE_NEWCGROUP}, failing(unix.EPERM)},
			{"unshare", []uint64{unix.CLONE_FILES}, unix.SECCOMP_RET_ALLOW},
			{"unshare", []uint64{unix.CLONE_NEWTIME}, failing(unix.EPERM)},
			{"ioctl", []uint64{0, tiocsti}, failing(unix.EPERM)},
			{"ioctl", []uint64{0, 1<<32 | tioclinux}, failing(unix.EPERM)},
			{"ioctl", []uint64{tiocsti, 0x5401}, unix.SECCOMP_RET_ALLOW},
			{"personality", []uint64{0xffffffff}, unix.SECCOMP_RET_ALLOW},
			{"personality", []uint64{0x0040008}, unix.SECCOMP_RET_ALLOW},
			{"personality", []uint64{0x0400000}, failing(unix.EPERM)},
			{"socket", []uint64{unix.AF_UNIX}, unix.SECCOMP_RET_ALLOW},
			{"socket", []uint64{unix.AF_VSOCK}, failing(unix.EAFNOSUPPORT)},
			{"socket", []uint64{unix.AF_BLUETOOTH}, failing(unix.EAFNOSUPPORT)},
			{"socketcall", []uint64{1}, failing(unix.EPERM)},
			{"socketcall", []uint64{3}, unix.SECCOMP_RET_ALLOW},
		} {
			number, there := n[c.name]
			if !there && c.name == "socketcall" {
				continue
			}
			if got := judge(t, program, number, way.arch, c.args...); !there || got != c.want {
				t.Errorf("arch %x: %s %x: %x, want %x", way.arch, c.name, c.args, got, c.want)
			}
		}
		if got := judge(t, program, newest+1, way.arch); got != failing(unix.ENOSYS) {
			t.Errorf("arch %x: a later call: %x", way.arch, got)
		}
		if way.alien != 0 {
			if got := judge(t, program, way.alien|250, way.arch); got != failing(unix.ENOSYS) {
				t.Errorf("arch %x: an alien call: %x", way.arch, got)
			}
		}
	}
	if got := judge(t, program, 0, unix.AUDIT_ARCH_S390X); got != unix.SECCOMP_RET_KILL_PROCESS {
		t.Errorf("another arch: %x", got)
	}
}

// A name that is spelled wrong would refuse nothing.
func TestFilterKnowsTheNamesOfItsRules(t *testing.T) {
	only386 := "clock_settime64 clock_adjtime64 stime vm86 vm86old socketcall umount"
	onlyX86 := "create_module get_kernel_syms query_module iopl ioperm uselib ustat sysfs _sysctl"
	for i, way := range ways {
		absent := only386
		switch {
		case way.arch == unix.AUDIT_ARCH_I386:
			absent = "kexec_file_load"
		case way.arch != unix.AUDIT_ARCH_X86_64:
			absent += " " + onlyX86
		}
		known := map[string]bool{}
		for _, list := range [][]rule{refused, refusedInside} {
			for _, r := range list {
				for name := range strings.FieldsSeq(r.names) {
					known[name] = true
					if _, there := way.numbers[name]; there == strings.Contains(" "+absent+" ", " "+name+" ") {
						t.Errorf("way %d: %s: in the table: %v", i, name, there)
					}
				}
			}
		}
		for name := range way.numbers {
			if !known[name] {
				t.Errorf("way %d: %s is in the table and in no rule", i, name)
			}
		}
	}
}
