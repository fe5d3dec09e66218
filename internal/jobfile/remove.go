package jobfile

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Remove deletes a directory that jobs have had their way with, and nothing
// outside: no symbolic link is followed, and a directory in which something is
// mounted is left alone, since deleting would reach through. The name of the
// directory itself is one that no job can change. One that is not there is no
// error.
//
// It takes the same few descriptors and the same stack for a tree of any depth
// and width. Directories without permissions are opened up as far as their owner
// may, and what root made immutable becomes mutable. What cannot be deleted
// (files of root, from a container) is an error that names the first of it; the
// rest is gone. When ctx ends, what is deleted by then is gone, and the next
// Remove goes on.
func Remove(ctx context.Context, dir string) error {
	err := do(ctx, func() error { return remove(ctx, dir) })
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}

func remove(ctx context.Context, dir string) error {
	parent, err := Hold(filepath.Dir(dir))
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	name := filepath.Base(dir)
	top, err := parent.Child(name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer top.Close()
	if !top.IsDir() {
		return unix.Unlinkat(parent.fd, name, 0)
	}
	at, err := mountBelow(dir)
	if err != nil {
		return err
	}
	if at != "" {
		return fmt.Errorf("%s is mounted in it; unmount it first", at)
	}
	r := &remover{ctx: ctx, top: top, prefix: ".quire-" + rand.Text() + "-"}
	if err := r.all(); err != nil {
		return err
	}
	if err := unix.Unlinkat(parent.fd, name, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// remover deletes what is below a directory, top.
//
// A directory that is not empty is moved: to the top, under a number. So nothing
// is ever deeper than a step below the top, whatever a job has made; where a
// directory was does not matter any more. What waits to be emptied are ranges of
// numbers, at most one for each level that there was.
type remover struct {
	ctx    context.Context
	top    *Node
	prefix string // of the numbers' names; nobody could have guessed it

	next    uint64      // the next number
	waiting [][2]uint64 // from, to (exclusive)

	seen   int
	failed int // things that could not be deleted
	first  error
}

func (r *remover) name(n uint64) string { return r.prefix + strconv.FormatUint(n, 10) }

func (r *remover) all() error {
	if err := r.empty(r.top, nil); err != nil {
		return err
	}
	for len(r.waiting) > 0 {
		last := &r.waiting[len(r.waiting)-1]
		n := last[0]
		if last[0]++; last[0] == last[1] {
			r.waiting = r.waiting[:len(r.waiting)-1]
		}
		if err := r.numbered(n); err != nil {
			return err
		}
	}
	if r.failed > 1 {
		return fmt.Errorf("%w (and %d more things cannot be deleted)", r.first, r.failed-1)
	}
	return r.first
}

// numbered empties and deletes a directory that was moved to the top.
func (r *remover) numbered(number uint64) error {
	name := r.name(number)
	dir, err := r.child(r.top, name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		r.fail(name, err)
		return nil
	}
	defer dir.Close()
	// It cannot be deleted if something in it could not.
	return r.empty(dir, func() error {
		return unix.Unlinkat(r.top.fd, name, unix.AT_REMOVEDIR)
	})
}

// fail remembers what could not be deleted.
func (r *remover) fail(name string, err error) {
	r.failed++
	if r.first == nil {
		r.first = fmt.Errorf("%q: %w", name, err)
	}
}

// maxPasses bounds how often a directory is read again: some file systems skip
// entries when others are deleted meanwhile.
const maxPasses = 1000

// empty deletes or moves away what is in a directory, and then calls done, if
// that is not nil, to delete it. An error is the end of everything; what
// cannot be deleted is noted.
func (r *remover) empty(dir *Node, done func() error) error {
	err := dir.openUp()
	if errors.Is(err, unix.EPERM) && dir.unlock() {
		err = dir.openUp()
	}
	if err != nil {
		r.fail("a directory", err)
		return nil
	}
	l, err := dir.list()
	if err != nil {
		r.fail("a directory", err)
		return nil
	}
	defer l.close()
	moved := r.next
	defer func() {
		if r.next > moved {
			r.waiting = append(r.waiting, [2]uint64{moved, r.next})
		}
	}()
	for range maxPasses {
		gone, kept := 0, 0
		for {
			if r.seen++; r.seen%64 == 0 && r.ctx.Err() != nil {
				return context.Cause(r.ctx)
			}
			name, kind, err := l.next()
			if err != nil {
				r.fail("a directory", err)
				return nil
			}
			if name == "" {
				break
			}
			if dir == r.top && strings.HasPrefix(name, r.prefix) {
				continue // moved here
			}
			if err := r.entry(dir, name, kind); err != nil {
				r.fail(name, err)
				kept++
			} else {
				gone++
			}
		}
		if kept > 0 {
			return nil // failed, and noted
		}
		if done != nil {
			err := done()
			if err == nil || errors.Is(err, unix.ENOENT) {
				return nil
			}
			if !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
				r.fail("a directory", err)
				return nil
			}
		}
		if gone == 0 {
			return nil
		}
		if err := l.rewind(); err != nil {
			return err
		}
	}
	r.fail("a directory", errors.New("there is more in it every time"))
	return nil
}

// entry deletes what a directory has under a name, or moves it to the top.
func (r *remover) entry(dir *Node, name string, kind byte) error {
	err := r.tryEntry(dir, name, kind)
	if errors.Is(err, unix.EPERM) && r.unlock(dir, name) {
		err = r.tryEntry(dir, name, kind)
	}
	return err
}

func (r *remover) tryEntry(dir *Node, name string, kind byte) error {
	if kind != unix.DT_DIR {
		err := unix.Unlinkat(dir.fd, name, 0)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EISDIR) {
			return err
		}
	}
	err := unix.Unlinkat(dir.fd, name, unix.AT_REMOVEDIR)
	switch {
	case err == nil || errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.ENOTDIR): // another thing by now
		return unix.Unlinkat(dir.fd, name, 0)
	case !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST):
		return err
	}
	return r.move(dir, name)
}

// move gives a directory that is not empty a number.
func (r *remover) move(dir *Node, name string) error {
	child, err := r.child(dir, name)
	if err != nil {
		return err
	}
	defer child.Close()
	// Its entry ".." changes with the move, for which one must be able to write.
	if err := child.openUp(); err != nil {
		return err
	}
	if err := rename(dir.fd, name, r.top.fd, r.name(r.next)); err != nil {
		return err
	}
	r.next++
	return nil
}

func rename(from int, name string, to int, as string) error {
	err := unix.Renameat2(from, name, to, as, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not of every file system
		err = unix.Renameat(from, name, to, as)
	}
	return err
}

// child holds a directory's entry, if nothing is mounted there.
func (r *remover) child(dir *Node, name string) (*Node, error) {
	if !noOpenat2.Load() {
		n, err := openBeneath(dir.fd, name, unix.O_NOFOLLOW, unix.RESOLVE_NO_XDEV|unix.RESOLVE_NO_SYMLINKS)
		if errors.Is(err, unix.EXDEV) {
			return nil, errors.New("something is mounted there")
		}
		if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
			return n, err
		}
	}
	n, err := dir.Child(name)
	if err == nil && n.st.Dev != r.top.st.Dev {
		n.Close()
		return nil, errors.New("something is mounted there")
	}
	return n, err
}

// unlock takes the attributes "immutable" and "append only" off a directory and
// its entry (ioctl_iflags(2)), and reports whether that has changed something.
// Only root can set or clear them.
func (r *remover) unlock(dir *Node, name string) bool {
	changed := dir.unlock()
	if n, err := r.child(dir, name); err == nil {
		changed = n.unlock() || changed
		n.Close()
	}
	return changed
}

func (n *Node) unlock() bool {
	if !n.IsDir() && !n.IsRegular() {
		return false
	}
	fd, err := unix.Open(n.path(), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	held := uint32(unix.STATX_ATTR_IMMUTABLE | unix.STATX_ATTR_APPEND) // the same bits as FS_IMMUTABLE_FL, FS_APPEND_FL
	if err != nil || flags&held == 0 {
		return false
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags&^held)) == nil
}
