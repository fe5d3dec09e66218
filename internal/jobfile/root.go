package jobfile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Root is a directory below which jobs write. Names are relative to it, and
// nothing outside of it is reached through one.
type Root struct {
	dir  *os.File
	root *os.Root // makes directories, and does the rest where there is no openat2
}

// OpenRoot opens a directory that quire made, under a name that jobs cannot
// change.
func OpenRoot(ctx context.Context, dir string) (*Root, error) {
	return Within(ctx, func() (*Root, error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		f, err := root.Open(".")
		if err != nil {
			root.Close()
			return nil, err
		}
		return &Root{dir: f, root: root}, nil
	}, func(r *Root) { r.Close() })
}

// Close closes the directory.
func (r *Root) Close() error { return errors.Join(r.root.Close(), r.dir.Close()) }

// ErrOutside is the error of a name that leads out of the directory.
var ErrOutside = errors.New("it leads out of the workspace")

// Open opens a plain file for reading, as long as ctx lasts.
func (r *Root) Open(ctx context.Context, name string) (*File, error) {
	return Within(ctx, func() (*File, error) {
		f, err := r.openRegular(name, unix.O_RDONLY)
		if err != nil {
			return nil, reason(err)
		}
		st, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, reason(err)
		}
		return &File{ctx: ctx, f: f, size: st.Size()}, nil
	}, func(f *File) { f.f.Close() })
}

// IsRegular says whether there is a plain file, and not a link to one.
func (r *Root) IsRegular(ctx context.Context, name string) (bool, error) {
	return Within(ctx, func() (bool, error) {
		st, err := r.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil && st.Mode().IsRegular(), reason(err)
	}, nil)
}

// ReadFile reads a plain file of at most limit bytes.
func (r *Root) ReadFile(ctx context.Context, name string, limit int64) ([]byte, error) {
	f, err := r.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > limit { // a sparse file holds a terabyte in no time
		return nil, TooLarge{limit}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, TooLarge{limit}
	}
	return data, nil
}

// WriteFile writes a plain file, making its directories. What is there is
// overwritten in place, if it is a plain file.
func (r *Root) WriteFile(ctx context.Context, name string, data []byte) error {
	return do(ctx, func() error { return reason(r.writeFile(ctx, name, data)) })
}

func (r *Root) writeFile(ctx context.Context, name string, data []byte) error {
	if err := r.makeParents(name); err != nil {
		return err
	}
	f, err := r.openToWrite(name)
	if err != nil {
		return err
	}
	if err = f.Truncate(0); err == nil {
		err = writeAll(ctx, f, data)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func (r *Root) makeParents(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	err := r.root.MkdirAll(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return unix.ENOTDIR // that is what is meant
	}
	return err
}

// openToWrite opens a plain file, or makes one.
func (r *Root) openToWrite(name string) (*os.File, error) {
	for range 10 { // a job may make and unmake it all the while
		f, err := r.openRegular(name, unix.O_WRONLY)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		// O_EXCL: what has appeared in between is not opened without a look.
		f, err = r.root.OpenFile(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		if st, err := r.root.Lstat(name); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			if _, err := r.root.Stat(name); errors.Is(err, fs.ErrNotExist) {
				return nil, errors.New("it is a symbolic link that leads nowhere")
			}
		}
	}
	return nil, errors.New("something else makes and removes it all the time")
}

// writeAll writes in steps, so that an abandoned call ends soon.
func writeAll(ctx context.Context, f *os.File, data []byte) error {
	const step = 1 << 20
	for len(data) > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := f.Write(data[:min(step, len(data))])
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// Link makes a symbolic link to target, and the directories above it, unless
// there is something under its name.
func (r *Root) Link(ctx context.Context, target, name string) error {
	return do(ctx, func() error {
		if _, err := r.root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return reason(err)
		}
		if err := r.makeParents(name); err != nil {
			return reason(err)
		}
		return reason(r.root.Symlink(target, name))
	})
}

// Append adds to a plain file, making it if there is none.
func (r *Root) Append(ctx context.Context, name string, data []byte) error {
	return do(ctx, func() error {
		f, err := r.openToWrite(name)
		if err != nil {
			return reason(err)
		}
		if _, err = f.Seek(0, io.SeekEnd); err == nil {
			err = writeAll(ctx, f, data)
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return reason(err)
	})
}

// openRegular opens a plain file after a look at what it is.
func (r *Root) openRegular(name string, access int) (*os.File, error) {
	if name == "" {
		return nil, fs.ErrNotExist
	}
	n, err := r.hold(name)
	if errors.Is(err, errNoOpenat2) {
		return r.openInSteps(name, access)
	}
	if err != nil {
		return nil, err
	}
	defer n.Close()
	return n.open(access)
}

var errNoOpenat2 = errors.New("no openat2(2) here")

// noOpenat2 is set once the kernel has no openat2(2) (before Linux 5.6), or a
// filter of system calls forbids it.
var noOpenat2 atomic.Bool

// hold takes hold of what a name is, with links followed that stay inside.
func (r *Root) hold(name string) (n *Node, err error) {
	if noOpenat2.Load() {
		return nil, errNoOpenat2
	}
	raw, err := r.dir.SyscallConn()
	if err != nil {
		return nil, err
	}
	cerr := raw.Control(func(dir uintptr) { n, err = openBeneath(int(dir), name, 0, 0) })
	if cerr != nil {
		return nil, cerr
	}
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM): // O_PATH by itself is refused with EACCES
		noOpenat2.Store(true)
		return nil, errNoOpenat2
	case errors.Is(err, unix.EXDEV):
		return nil, ErrOutside
	}
	return n, err
}

// openBeneath takes hold of what a name below a directory is.
func openBeneath(dir int, name string, flags, resolve uint64) (*Node, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | resolve}
	for try := 0; ; try++ {
		fd, err := retry(func() (int, error) { return unix.Openat2(dir, name, &how) })
		if errors.Is(err, unix.EAGAIN) && try < 100 {
			continue // something was renamed while ".." was followed (openat2(2))
		}
		if err != nil {
			return nil, err
		}
		return nodeOf(fd)
	}
}

// openInSteps is openRegular without openat2: os.Root takes one step after the
// other. The look comes before the opening, and again after it, for a job can
// change what is there in between; then a device may have been opened, without
// waiting.
func (r *Root) openInSteps(name string, access int) (*os.File, error) {
	st, err := r.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, NotRegular{kindOf(st.Mode())}
	}
	f, err := r.root.OpenFile(name, access|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if st, err = f.Stat(); err == nil && !st.Mode().IsRegular() {
		err = NotRegular{kindOf(st.Mode())}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// reason takes the operation and path off an error of package os: the caller's
// sentence names them.
func reason(err error) error {
	var pe *fs.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		err = pe.Err
	case errors.As(err, &le):
		err = le.Err
	default:
		return err
	}
	// os.Root has no error of its own for it that could be compared.
	if strings.Contains(err.Error(), "escapes") {
		return ErrOutside
	}
	return err
}
