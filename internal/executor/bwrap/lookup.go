package bwrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"quire/internal/executor/local"
	"quire/internal/jobfile"

	"golang.org/x/sys/unix"
)

// hold takes hold of what a command sees under an absolute path, with links
// followed as the command would: from mount to mount of the layout, one name
// after the other, each looked at where the one before led. So no link that a
// job makes, or exchanges meanwhile, leads to a file of this machine that is not
// shown.
func (l layout) hold(path string) (*jobfile.Node, error) {
	w := walk{layout: l}
	defer w.leave()
	for range 40 { // the kernel's own bound (path_resolution(7))
		next, err := w.step(filepath.Clean(path))
		if err != nil {
			return nil, err
		}
		if next == "" {
			at := w.at
			w.at = nil
			return at, nil
		}
		if path = next; len(path) > maxPath {
			return nil, unix.ENAMETOOLONG
		}
	}
	return nil, errors.New("too many levels of symbolic links")
}

// maxPath is the kernel's bound of a path (PATH_MAX).
const maxPath = 4096

// walk is on its way through a layout.
type walk struct {
	layout
	at *jobfile.Node // nil: nowhere in the machine's files
}

func (w *walk) leave() {
	if w.at != nil {
		w.at.Close()
		w.at = nil
	}
}

// step goes along a clean path as far as the first link. It returns the path
// that the link makes of it, or "" when it has arrived.
func (w *walk) step(path string) (string, error) {
	w.leave()
	if err := w.enter("/"); err != nil {
		return "", err
	}
	for i := 2; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		prefix, rest := path[:i], path[i:]
		if err := w.enter(prefix); err != nil {
			return "", err
		}
		to := ""
		if m, inner := w.under(prefix); m.kind == link && inner == "" && m.target != "" {
			to = m.source
		} else if w.at != nil && w.at.IsLink() {
			var err error
			if to, err = w.at.Target(); err != nil {
				return "", err
			}
		}
		if to != "" {
			return onto(prefix, to) + rest, nil
		}
	}
	if w.at == nil { // it exists only to lead to a mount
		var err error
		w.at, err = jobfile.Hold("/")
		return "", err
	}
	return "", nil
}

// enter goes on to prefix, from the directory that it lies in.
func (w *walk) enter(prefix string) error {
	m, inner := w.under(prefix)
	switch {
	case m.kind == devices || m.kind == processes:
		return local.ErrUnknown // the sandbox's own; this machine's say nothing
	case inner == "" && m.target != "": // a mount begins here
		w.leave()
		source := m.source
		if m.look != "" {
			source = m.look
		}
		switch m.kind {
		case readOnly, writable:
			at, err := jobfile.Hold(source)
			w.at = at
			return err
		case nothing:
			at, err := jobfile.Hold("/dev/null")
			w.at = at
			return err
		}
		return nil // a link, or a directory with nothing in it
	}
	if w.at != nil {
		parent := w.at
		at, err := parent.Child(filepath.Base(prefix))
		if err == nil {
			parent.Close()
			w.at = at
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, m := range w.layout {
		if inside(m.target, prefix) {
			w.leave()
			return nil // made by bwrap, to lead to the mount
		}
	}
	return fs.ErrNotExist
}

func onto(link, to string) string {
	if filepath.IsAbs(to) {
		return to
	}
	return filepath.Join(filepath.Dir(link), to)
}

// loadable finds a script whose interpreter is not in the sandbox, which bwrap
// would report as a missing program.
func loadable(ctx context.Context, view local.View, name, path string) error {
	missing, err := jobfile.Within(ctx, func() (string, error) {
		n, err := view(path)
		if err != nil {
			return "", nil // ErrUnknown, or gone meanwhile: bwrap says it
		}
		defer n.Close()
		in := local.Interpreter(n)
		if !strings.HasPrefix(in, "/") {
			return "", nil
		}
		there, err := view(in)
		switch {
		case err == nil:
			there.Close()
			return "", nil
		case errors.Is(err, fs.ErrNotExist):
			return in, nil
		}
		return "", nil
	}, nil)
	if err != nil {
		return err
	}
	if missing != "" {
		return fmt.Errorf("%s: its first line asks for %s, which does not exist in the sandbox: install it, or correct the line", name, missing)
	}
	return nil
}
