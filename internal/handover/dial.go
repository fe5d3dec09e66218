package handover

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// dialLimit is how long connecting may take: a listener whose queue is full is
// as good as none.
const dialLimit = 2 * time.Second

// Dial connects to the socket of the runner with the user id, and refuses one
// that another user listens on. The system calls are made directly, since the
// initialisation of package net would be paid on every push.
func Dial(socket string, runner int) (*os.File, error) {
	fail := func(err error) (*os.File, error) { return nil, fmt.Errorf("connect to %s: %w", socket, err) }
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(os.NewSyscallError("socket", err))
	}
	if err := connect(fd, socket); err != nil {
		syscall.Close(fd)
		return fail(err)
	}
	who, err := PeerOf(fd)
	if err == nil && who.UID != runner && who.UID != 0 { // systemd listens as root and passes the socket on
		err = fmt.Errorf("user %d listens there, not the runner, user %d", who.UID, runner)
	}
	if err == nil {
		err = syscall.SetNonblock(fd, true) // so that deadlines can be set
	}
	if err != nil {
		syscall.Close(fd)
		return fail(err)
	}
	return os.NewFile(uintptr(fd), socket), nil
}

// maxSocketPath is the room for a path in struct sockaddr_un (unix(7)).
const maxSocketPath = 107

func connect(fd int, socket string) error {
	path := socket
	if len(socket) > maxSocketPath {
		dir, err := os.Open(filepath.Dir(socket))
		if err != nil {
			return err
		}
		defer dir.Close()
		path = "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(socket)
	}
	limit := syscall.NsecToTimeval(int64(dialLimit))
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &limit); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	for {
		err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
		if err != syscall.EINTR {
			return os.NewSyscallError("connect", err)
		}
	}
}

// Peer is who is at the other end of a connection, as the kernel says.
type Peer struct {
	UID    int
	PID    int
	Groups []int // its group and its supplementary groups when it connected
}

// PeerOf asks the kernel who called connect(2) or, at the other end, who called
// listen(2) (unix(7), SO_PEERCRED).
func PeerOf(fd int) (Peer, error) {
	cred, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return Peer{}, fmt.Errorf("who is at the other end: %w", os.NewSyscallError("getsockopt", err))
	}
	return Peer{UID: int(cred.Uid), PID: int(cred.Pid), Groups: append([]int{int(cred.Gid)}, peerGroups(fd)...)}, nil
}
