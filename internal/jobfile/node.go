package jobfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Node is one thing of a file system, held without being opened (open(2),
// O_PATH): whatever a job puts under its name meanwhile, it stays this thing.
// Its methods make system calls; call them under Within.
type Node struct {
	fd int
	st unix.Stat_t
}

// openNode holds what a name is, the last link of it not followed.
func openNode(dir int, name string, flags int) (*Node, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(dir, name, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
	})
	if err != nil {
		return nil, err
	}
	return nodeOf(fd)
}

// nodeOf makes a Node of a descriptor, which it owns from then on.
func nodeOf(fd int) (*Node, error) {
	n := &Node{fd: fd}
	if err := unix.Fstat(fd, &n.st); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return n, nil
}

// Hold holds what a path of this machine is, with links followed as the kernel
// does: for commands that see the machine as this process does.
func Hold(path string) (*Node, error) { return openNode(unix.AT_FDCWD, path, 0) }

// Close lets go of the thing.
func (n *Node) Close() { unix.Close(n.fd) }

func (n *Node) kind() uint32 { return n.st.Mode & unix.S_IFMT }

// IsDir, IsLink and IsRegular say what it is.
func (n *Node) IsDir() bool     { return n.kind() == unix.S_IFDIR }
func (n *Node) IsLink() bool    { return n.kind() == unix.S_IFLNK }
func (n *Node) IsRegular() bool { return n.kind() == unix.S_IFREG }

// Size is how many bytes a plain file held when it was taken hold of.
func (n *Node) Size() int64 { return n.st.Size }

// Child holds what a directory has under a name, which is a single one. Links
// are not followed.
func (n *Node) Child(name string) (*Node, error) { return openNode(n.fd, name, unix.O_NOFOLLOW) }

// maxLink is more than any file system lets a symbolic link hold (PATH_MAX).
const maxLink = 4096

// Target is what a symbolic link holds.
func (n *Node) Target() (string, error) {
	buf := make([]byte, maxLink)
	size, err := unix.Readlinkat(n.fd, "", buf)
	if err != nil {
		return "", err
	}
	return string(buf[:size]), nil
}

// Executable returns nil if this process may execute the file.
func (n *Node) Executable() error {
	if n.IsDir() {
		return unix.EISDIR
	}
	if err := n.regular(); err != nil {
		return err
	}
	return unix.Access(n.path(), unix.X_OK)
}

// path is a name for the thing that no job can change (proc_pid_fd(5)).
func (n *Node) path() string { return "/proc/self/fd/" + strconv.Itoa(n.fd) }

// NotRegular is the error of what is no plain file. It is never opened: opening
// a named pipe waits for whoever writes to it, and opening a device can do
// anything.
type NotRegular struct{ What string }

func (e NotRegular) Error() string { return "it is no plain file but " + e.What }

func (n *Node) regular() error {
	switch n.kind() {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		return NotRegular{"a directory"}
	case unix.S_IFIFO:
		return NotRegular{"a named pipe"}
	case unix.S_IFSOCK:
		return NotRegular{"a socket"}
	case unix.S_IFLNK:
		return NotRegular{"a symbolic link"}
	}
	return NotRegular{"a device"}
}

// ErrLeased is the error of a file that a process has asked to be told of before others
// open it (fcntl(2), F_SETLEASE).
var ErrLeased = errors.New("a process holds a lease on it")

// open opens a plain file: this one, whatever its name leads to by now.
// O_NONBLOCK: a job can hold a lease on its file, and open(2) would wait for the
// lease to be given back, 45 seconds by default (fcntl(2), F_SETLEASE).
func (n *Node) open(access int) (*os.File, error) {
	if err := n.regular(); err != nil {
		return nil, err
	}
	fd, err := retry(func() (int, error) {
		return unix.Open(n.path(), access|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	})
	if errors.Is(err, unix.EAGAIN) {
		return nil, ErrLeased
	}
	if err != nil {
		return nil, err
	}
	// The poller has no use for plain files, and must not be asked about those of
	// a file system that knows polling.
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "(a job's file)"), nil
}

// Head is the first bytes of a plain file, at most limit.
func (n *Node) Head(limit int) ([]byte, error) {
	f, err := n.open(unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, limit)
	size, err := io.ReadFull(f, b)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:size], err
}

// openUp gives the owner back what a directory was stripped of. It changes this
// very directory and no other that has got its name (fchmodat(2) would follow a
// link before Linux 6.6).
func (n *Node) openUp() error {
	if n.st.Mode&0o700 == 0o700 {
		return nil
	}
	return unix.Chmod(n.path(), n.st.Mode&0o7777|0o700)
}

// Mode is the thing's kind and permissions.
func (n *Node) Mode() fs.FileMode {
	m := fs.FileMode(n.st.Mode & 0o777)
	switch n.kind() {
	case unix.S_IFDIR:
		m |= fs.ModeDir
	case unix.S_IFLNK:
		m |= fs.ModeSymlink
	case unix.S_IFIFO:
		m |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		m |= fs.ModeSocket
	case unix.S_IFBLK:
		m |= fs.ModeDevice
	case unix.S_IFCHR:
		m |= fs.ModeDevice | fs.ModeCharDevice
	}
	if n.st.Mode&unix.S_ISUID != 0 {
		m |= fs.ModeSetuid
	}
	if n.st.Mode&unix.S_ISGID != 0 {
		m |= fs.ModeSetgid
	}
	if n.st.Mode&unix.S_ISVTX != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// Owner is the user and group that the thing belongs to.
func (n *Node) Owner() (uid, gid int) { return int(n.st.Uid), int(n.st.Gid) }

// retry repeats a system call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		fd, err := call()
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// TooLarge is the error of a file that holds more than it may.
type TooLarge struct{ Limit int64 }

func (e TooLarge) Error() string { return fmt.Sprintf("it is larger than %s", bytesText(e.Limit)) }

// bytesText is a number of bytes for a person, exact.
func bytesText(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d %s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
