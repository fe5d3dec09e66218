package jobfile

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ErrInTheWay is the error of a name under which there is something else than what
// is to be made: a link is refused wherever it leads.
var ErrInTheWay = errors.New("a file or a symbolic link is in the way")

// MakeDir makes a directory of a single name in a directory, or takes hold of the one
// that is there.
func (n *Node) MakeDir(name string) (*Node, error) {
	if err := unix.Mkdirat(n.fd, name, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, err
	}
	below, err := n.Child(name)
	if err != nil {
		return nil, err
	}
	if !below.IsDir() {
		below.Close()
		return nil, ErrInTheWay
	}
	return below, nil
}

// MakeFile makes an empty plain file of a single name in a directory, unless there
// is one. What is there is not opened.
func (n *Node) MakeFile(name string) error {
	fd, err := retry(func() (int, error) {
		return unix.Openat(n.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
	})
	if err == nil {
		return unix.Close(fd)
	}
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	there, err := n.Child(name)
	if err != nil {
		return err
	}
	defer there.Close()
	if !there.IsRegular() {
		return ErrInTheWay
	}
	return nil
}

// MakeLink makes a symbolic link of a single name in a directory, unless there is
// something under that name.
func (n *Node) MakeLink(target, name string) error {
	if err := unix.Symlinkat(target, n.fd, name); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}
