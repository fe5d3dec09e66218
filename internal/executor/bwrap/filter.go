package bwrap

import (
	"bytes"
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"
)

// abi is one of the ways into the kernel that a machine has.
type abi struct {
	arch    uint32            // AUDIT_ARCH_…
	numbers map[string]uint32 // of system calls, by name
	// alien is the lowest number of another way in under the same arch (x32 on
	// amd64); 0: there is none.
	alien uint32
}

// Where things lie in struct seccomp_data (seccomp(2)), little endian.
const (
	dataNumber = 0
	dataArch   = 4
	dataArgs   = 16
)

func failing(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }

// filter assembles the classic BPF program (seccomp(2)) that refuses what the rules
// say. It is nil where no way into the kernel is known: the architecture has
// none of the tables.
//
// A call by a way in that is not listed ends the process.
func filter(ways []abi, rules ...[]rule) []unix.SockFilter {
	if len(ways) == 0 {
		return nil
	}
	head := []unix.SockFilter{load(dataArch)}
	var bodies []unix.SockFilter
	for _, way := range ways {
		// The jump over all that follows in the head, and the bodies before this one.
		ahead := 2*(len(ways)-1-len(head)/2) + 1 + len(bodies)
		head = append(head,
			jump(unix.BPF_JEQ, way.arch, 0, 1),
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(ahead)})
		bodies = append(bodies, way.body(rules)...)
	}
	return append(append(head, result(unix.SECCOMP_RET_KILL_PROCESS)), bodies...)
}

func (way abi) body(rules [][]rule) []unix.SockFilter {
	code := []unix.SockFilter{load(dataNumber)}
	if way.alien != 0 {
		code = append(code, jump(unix.BPF_JGE, way.alien, 0, 1), result(failing(unix.ENOSYS)))
	}
	code = append(code, jump(unix.BPF_JGT, newest, 0, 1), result(failing(unix.ENOSYS)))
	for _, list := range rules {
		for _, r := range list {
			for name := range strings.FieldsSeq(r.names) {
				if number, there := way.numbers[name]; there {
					code = append(code, r.refuse(number)...)
				}
			}
		}
	}
	return append(code, result(unix.SECCOMP_RET_ALLOW))
}

// refuse is the code for one system call. The number is in the accumulator, and is
// there again for what follows.
func (r rule) refuse(number uint32) []unix.SockFilter {
	if r.when.always() {
		return []unix.SockFilter{jump(unix.BPF_JEQ, number, 0, 1), result(failing(r.fails))}
	}
	c := r.when
	n := len(c.except) + len(c.values) + 1 // tests, before the two results
	tests := []unix.SockFilter{load(dataArgs + 8*uint32(c.arg))}
	for _, v := range c.except {
		tests = append(tests, jump(unix.BPF_JEQ, v, uint8(n-len(tests)), 0))
	}
	for _, v := range c.values {
		tests = append(tests, jump(unix.BPF_JEQ, v, uint8(n-len(tests)+1), 0))
	}
	tests = append(tests, jump(unix.BPF_JSET, c.bits, 1, 0),
		result(unix.SECCOMP_RET_ALLOW), result(failing(r.fails)))
	return append([]unix.SockFilter{jump(unix.BPF_JEQ, number, 0, uint8(len(tests)))}, tests...)
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func jump(test uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: k, Jt: yes, Jf: no}
}

func result(r uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: r}
}

// image is a program as bwrap reads it (--seccomp): an array of struct sock_filter.
func image(program []unix.SockFilter) []byte {
	if program == nil {
		return nil
	}
	var b bytes.Buffer
	binary.Write(&b, binary.NativeEndian, program)
	return b.Bytes()
}
