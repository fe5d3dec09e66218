package jobfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// list opens a directory to read its entries.
func (n *Node) list() (*listing, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(n.path(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	return &listing{fd: fd, buf: make([]byte, 32<<10)}, nil
}

// listing reads a directory as it comes, in constant memory. os.File would ask
// the file system again, by path, for what an entry is.
type listing struct {
	fd   int
	buf  []byte
	left []byte // of buf, not yet given out
}

func (l *listing) close() { unix.Close(l.fd) }

// rewind begins again.
func (l *listing) rewind() error {
	l.left = nil
	_, err := unix.Seek(l.fd, 0, 0)
	return err
}

// next is the next entry's name and kind (unix.DT_…; DT_UNKNOWN of file systems
// that do not say). The name is "" at the end.
func (l *listing) next() (name string, kind byte, err error) {
	for {
		if len(l.left) == 0 {
			size, err := retry(func() (int, error) { return unix.ReadDirent(l.fd, l.buf) })
			if err != nil || size == 0 {
				return "", 0, err
			}
			l.left = l.buf[:size]
		}
		// struct linux_dirent64 of getdents64(2): inode, offset, length, kind, name.
		const header = 19
		if len(l.left) < header {
			return "", 0, errors.New("a malformed directory entry")
		}
		size := int(binary.NativeEndian.Uint16(l.left[16:]))
		if size < header || size > len(l.left) {
			return "", 0, errors.New("a malformed directory entry")
		}
		raw, kind := l.left[header:size], l.left[18]
		l.left = l.left[size:]
		if end := bytes.IndexByte(raw, 0); end >= 0 {
			raw = raw[:end]
		}
		// A file system of a job's own making can say anything.
		if name := string(raw); name != "" && name != "." && name != ".." && !strings.Contains(name, "/") {
			return name, kind, nil
		}
	}
}
