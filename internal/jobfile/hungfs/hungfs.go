// Package hungfs is, for tests, a file system that does not answer: a FUSE server
// of the test's own that takes every request and replies to none, as a network
// file system does whose server is gone.
package hungfs

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// From linux/fuse.h.
const (
	opLookup  = 1
	opGetattr = 3
	opOpen    = 14
	opRead    = 15
	opInit    = 26
	headerIn  = 40
	headerOut = 16
)

// FS is a mounted file system.
type FS struct {
	dir    string
	device *os.File
	asked  chan struct{} // closed at the first request that gets no answer
	once   sync.Once
	served sync.WaitGroup
	answer bool
}

// Mount mounts a file system that answers nothing at dir, until the test's end.
func Mount(t testing.TB, dir string) *FS { return mount(t, dir, false) }

// MountSlow is Mount, but the file system has one file under every name, which
// can be opened, and whose bytes never come.
func MountSlow(t testing.TB, dir string) *FS { return mount(t, dir, true) }

func mount(t testing.TB, dir string, answer bool) *FS {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a file system")
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("needs FUSE: ", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd)
	if err := unix.Mount("quire-hung", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(fd)
		t.Fatalf("mount a FUSE file system: %v", err)
	}
	f := &FS{dir: dir, device: os.NewFile(uintptr(fd), "/dev/fuse"), asked: make(chan struct{}), answer: answer}
	f.served.Go(f.serve)
	t.Cleanup(f.Close)
	return f
}

// Asked is closed when somebody waits for an answer.
func (f *FS) Asked() <-chan struct{} { return f.asked }

// Close unmounts the file system. Whoever waits for it gets an error then.
func (f *FS) Close() {
	f.once.Do(func() {
		unix.Unmount(f.dir, unix.MNT_FORCE) // ends what waits, and the server's reading
		unix.Unmount(f.dir, unix.MNT_DETACH)
		f.served.Wait()
		f.device.Close()
	})
}

func (f *FS) serve() {
	buf := make([]byte, 1<<20)
	waiting := false
	for {
		n, err := f.device.Read(buf)
		if err != nil || n < headerIn {
			return // unmounted
		}
		op, unique := binary.NativeEndian.Uint32(buf[4:]), binary.NativeEndian.Uint64(buf[8:])
		node := binary.NativeEndian.Uint64(buf[16:])
		reply := f.reply(op, node)
		if reply == nil {
			if !waiting {
				waiting = true
				close(f.asked)
			}
			continue
		}
		out := make([]byte, headerOut, headerOut+len(reply))
		binary.NativeEndian.PutUint32(out, uint32(headerOut+len(reply)))
		binary.NativeEndian.PutUint64(out[8:], unique)
		f.device.Write(append(out, reply...))
	}
}

func (f *FS) reply(op uint32, node uint64) []byte {
	put := binary.NativeEndian
	switch {
	case op == opInit: // struct fuse_init_out
		b := make([]byte, 64)
		put.PutUint32(b, 7)
		put.PutUint32(b[4:], 31)
		put.PutUint16(b[16:], 16)
		put.PutUint32(b[20:], 128<<10)
		return b
	case !f.answer:
	case op == opLookup: // struct fuse_entry_out
		b := make([]byte, 40, 128)
		put.PutUint64(b, 2)
		put.PutUint64(b[16:], 3600)
		put.PutUint64(b[24:], 3600)
		return append(b, attributes(2)...)
	case op == opGetattr: // struct fuse_attr_out
		b := make([]byte, 16, 104)
		put.PutUint64(b, 3600)
		return append(b, attributes(node)...)
	case op == opOpen: // struct fuse_open_out
		return make([]byte, 16)
	}
	return nil
}

// attributes is a struct fuse_attr.
func attributes(node uint64) []byte {
	put := binary.NativeEndian
	b := make([]byte, 88)
	put.PutUint64(b, node)
	mode := uint32(unix.S_IFREG | 0o755)
	if node == 1 {
		mode = unix.S_IFDIR | 0o755
	}
	put.PutUint64(b[8:], 4096)
	put.PutUint32(b[60:], mode)
	put.PutUint32(b[64:], 1)
	put.PutUint32(b[80:], 4096)
	return b
}
