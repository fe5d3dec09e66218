package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"quire/internal/runner"
)

// Opened is the directory that a repository was found in, held open: what root
// writes goes into it wherever its path leads by then. Whoever can rename it
// can put a link to any other directory in its place.
type Opened struct {
	repo Repo
	dir  *os.File
	root *os.Root
}

// oPath is O_PATH (open(2)), which the syscall package does not have.
const oPath = 0x200000

// Open opens the repository's directory, by a path without links, and refuses
// another one than was found.
func (r Repo) Open() (*Opened, error) {
	o, err := r.open()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", r.GitDir, err)
	}
	return o, nil
}

func (r Repo) open() (*Opened, error) {
	fd, err := openWithoutLinks(r.GitDir)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return nil, errExchanged // the path had no links when it was found
	}
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), r.GitDir)
	if st, err := dir.Stat(); err != nil {
		return nil, errors.Join(err, dir.Close())
	} else if identify(st) != r.id {
		return nil, errors.Join(errExchanged, dir.Close())
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", fd)) // the directory, by no other name
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &Opened{r, dir, root}, nil
}

var errExchanged = errors.New("something else was put in its place meanwhile, so nothing more is done there")

// openWithoutLinks opens a directory for nothing but to go by it.
func openWithoutLinks(path string) (int, error) {
	const flags = oPath | syscall.O_DIRECTORY | syscall.O_NOFOLLOW | syscall.O_CLOEXEC
	fd, err := syscall.Open("/", flags, 0)
	for name := range strings.SplitSeq(strings.Trim(filepath.Clean(path), "/"), "/") {
		if err != nil || name == "" {
			break
		}
		above := fd
		fd, err = syscall.Openat(above, name, flags, 0)
		_ = syscall.Close(above)
	}
	return fd, err
}

// identity is which directory it is, and whose.
type identity struct {
	dev, ino uint64
	uid      uint32
}

func identify(st os.FileInfo) identity {
	sys := st.Sys().(*syscall.Stat_t)
	return identity{uint64(sys.Dev), sys.Ino, sys.Uid}
}

// Close ends it.
func (o *Opened) Close() error { return errors.Join(o.root.Close(), o.dir.Close()) }

// Path names the open directory to a process that this one starts there
// (exec.Cmd.Dir).
func (o *Opened) Path() string { return fmt.Sprintf("/proc/self/fd/%d", o.dir.Fd()) }

// Still is an error if the repository's path leads to another directory now, or
// it is another user's.
func (o *Opened) Still() error {
	now, err := o.repo.Open()
	if err != nil {
		return err
	}
	return now.Close()
}

// Runner is who runs the repository.
func (o *Opened) Runner() (runner.Runner, error) { return runner.OfOpened(o.dir) }

// GitDir is the path by which the directory was opened.
func (o *Opened) GitDir() string { return o.repo.GitDir }

// GID is the directory's group.
func (o *Opened) GID() int {
	st, err := o.dir.Stat()
	if err != nil {
		return o.repo.Owner
	}
	return int(st.Sys().(*syscall.Stat_t).Gid)
}

// Record writes down who runs the repository, and makes the directory for other
// users' pushes. If the repository was exchanged meanwhile, it takes both away.
func (o *Opened) Record(who runner.Runner, written bool) error {
	if err := o.Still(); err != nil {
		return err
	}
	if !written {
		who.Repository = o.repo.GitDir
		text, err := who.Text()
		if err == nil {
			err = writeIn(o.root, runner.File, text)
		}
		if err != nil {
			return fmt.Errorf("write down the repository's runner in %s: %w", o.repo.GitDir, err)
		}
	}
	if err := makeDrop(o.root, who.UID); err != nil {
		return fmt.Errorf("make the directory for other users' pushes in %s: %w", o.repo.GitDir, err)
	}
	if err := o.Still(); err != nil {
		return errors.Join(err, forget(o.root))
	}
	return nil
}
