package jobfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// Bounds are how much a walk may meet.
type Bounds struct {
	Entries int
	Depth   int // levels of directories, each of which holds a descriptor
}

// Entry is one thing that a walk met. It is valid until the function that it was
// given to returns.
type Entry struct {
	Name   string // below the directory of the walk, with slashes
	Target string // of a symbolic link
	*Node
}

// Open opens an entry that is a plain file, as long as ctx lasts: the very thing
// that the walk met, whatever has its name by now.
func (e Entry) Open(ctx context.Context) (*File, error) {
	return Within(ctx, func() (*File, error) {
		f, err := e.open(0)
		if err != nil {
			return nil, reason(err)
		}
		return &File{ctx: ctx, f: f, size: e.Size()}, nil
	}, func(f *File) { f.f.Close() })
}

// level is a directory that a walk is in.
type level struct {
	dir   *Node
	name  string
	names []string // still to come
}

// Walk calls visit for everything below a directory of the root ("." is the root
// itself), a directory before what is in it and in the order of names. No link
// is followed. More than the bounds allow is an error.
func (r *Root) Walk(ctx context.Context, dir string, bounds Bounds, visit func(Entry) error) error {
	var levels []level
	defer func() {
		for _, l := range levels {
			l.dir.Close()
		}
	}()
	left := bounds.Entries
	enter := func(dir *Node, name string) error {
		limit := left
		names, err := Within(ctx, func() ([]string, error) { return dir.names(limit) }, nil)
		left -= len(names)
		if errors.Is(err, errMore) {
			err = fmt.Errorf("there are more than %d files", bounds.Entries)
		}
		if err == nil && len(levels) == bounds.Depth {
			err = fmt.Errorf("directories are nested deeper than %d", bounds.Depth)
		}
		if err != nil {
			dir.Close()
			return err
		}
		levels = append(levels, level{dir, name, names})
		return nil
	}
	top, err := Within(ctx, func() (*Node, error) { return r.directory(dir) }, (*Node).Close)
	if err == nil {
		err = enter(top, "")
	}
	if err != nil {
		return reason(err)
	}
	for len(levels) > 0 {
		l := &levels[len(levels)-1]
		if len(l.names) == 0 {
			l.dir.Close()
			levels = levels[:len(levels)-1]
			continue
		}
		name := l.names[0]
		l.names = l.names[1:]
		parent := l.dir
		e, err := Within(ctx, func() (Entry, error) { return entryOf(parent, name) }, func(e Entry) { e.Close() })
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path.Join(l.name, name), err)
		}
		e.Name = path.Join(l.name, name)
		if err := visit(e); err != nil {
			e.Close()
			return err
		}
		if !e.IsDir() {
			e.Close()
			continue
		}
		if err := enter(e.Node, e.Name); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return nil
}

// directory takes hold of a directory below the root.
func (r *Root) directory(name string) (*Node, error) {
	n, err := r.hold(name)
	if errors.Is(err, errNoOpenat2) {
		n, err = r.holdInSteps(name)
	}
	if err == nil && !n.IsDir() {
		n.Close()
		return nil, unix.ENOTDIR
	}
	return n, err
}

// holdInSteps is hold for directories, without openat2.
func (r *Root) holdInSteps(name string) (*Node, error) {
	sub, err := r.root.OpenFile(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	raw, err := sub.SyscallConn()
	if err != nil {
		return nil, err
	}
	var n *Node
	cerr := raw.Control(func(dir uintptr) { n, err = openNode(int(dir), ".", 0) })
	if cerr != nil {
		return nil, cerr
	}
	return n, err
}

func entryOf(dir *Node, name string) (Entry, error) {
	n, err := dir.Child(name)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Node: n}
	if n.IsLink() {
		if e.Target, err = n.Target(); err != nil {
			n.Close()
			return Entry{}, err
		}
	}
	return e, nil
}

var errMore = errors.New("too many entries")

// names are the entries of a directory, sorted.
func (n *Node) names(limit int) ([]string, error) {
	l, err := n.list()
	if err != nil {
		return nil, err
	}
	defer l.close()
	var names []string
	for {
		name, _, err := l.next()
		if err != nil {
			return nil, err
		}
		if name == "" {
			slices.Sort(names)
			return names, nil
		}
		if len(names) == limit {
			return nil, errMore
		}
		names = append(names, name)
	}
}
