package handover

import (
	"syscall"
	"unsafe"
)

// soPeerGroups is SO_PEERGROUPS of the kernel's asm-generic/socket.h (Linux 4.13).
const soPeerGroups = 59

// peerGroups are the supplementary groups that the peer had when it connected;
// none if the kernel does not say.
func peerGroups(fd int) []int {
	groups := make([]uint32, 64)
	for range 2 {
		size := uint32(4 * len(groups))
		_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), syscall.SOL_SOCKET, soPeerGroups,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno == syscall.ERANGE { // size says now how many there are
			groups = make([]uint32, size/4)
			continue
		}
		if errno != 0 {
			return nil
		}
		out := make([]int, size/4)
		for i := range out {
			out[i] = int(groups[i])
		}
		return out
	}
	return nil
}
