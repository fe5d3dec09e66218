package bwrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"quire/internal/jobfile"
)

// Where bwrap makes the directories that lead to a mount it follows links, and it
// sees the whole machine while it does, below /oldroot. So a mount must never lie
// behind a name that a job, or a commit, could make a link of.
//
// What lies in one of the run's writable directories is therefore anchored: each
// directory on the way to it is made beforehand, beneath the writable one and through
// no link, and is mounted over itself. The kernel neither renames nor removes what is
// a mount point in the namespace of whoever asks (rename(2), EBUSY), and it is one
// for every command that sees the writable directory. So what was checked stays, also
// while other commands of the run are at work.

// place is where something that is to be seen at a path has to be mounted: with the
// links of the layout, of this machine and of another root directory followed. Links
// in the run's own directories are not: anchored refuses them.
func (l layout) place(path string) (string, error) {
	for range 40 { // as the kernel's own bound (path_resolution(7))
		next, again := l.placeStep(filepath.Clean(path))
		if again {
			path = next
			continue
		}
		m, rest := l.under(next)
		if m.target == "" || m.kind != readOnly && m.kind != processes || rest == "" || m.ours {
			return next, nil
		}
		if _, err := os.Stat(l.source(next)); err != nil {
			return "", fmt.Errorf("nothing can be mounted at %s: it is in %s, which cannot be written to, and is not there", next, m.target)
		}
		return next, nil
	}
	return "", fmt.Errorf("%s: %w", path, errors.New("too many levels of symbolic links"))
}

// placeStep follows the first link on the way to a path.
func (l layout) placeStep(path string) (string, bool) {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		prefix, rest := path[:i], path[i:]
		m, inner := l.under(prefix)
		switch {
		case m.kind == link && m.target != "" && inner == "":
			return onto(prefix, m.source) + rest, true
		case m.kind == writable && !m.fresh && inner != "":
			return path, false
		}
		if src := l.source(prefix); src != "" {
			if to, err := os.Readlink(src); err == nil {
				return onto(prefix, to) + rest, true
			}
		}
	}
	return path, false
}

// anchored makes the mount points that lie in the run's writable directories, and
// returns the layout with the mounts that keep them where they are.
func (l layout) anchored(ctx context.Context) (layout, error) {
	var out layout
	for _, m := range l {
		around := out.around(m.target)
		if !around.ours && (around.kind != writable || around.fresh) {
			out = append(out, m)
			continue
		}
		if around.shared {
			return nil, fmt.Errorf("%s cannot be shown: it lies in %s, which other runs write to", m.target, around.target)
		}
		at, err := jobfile.Within(ctx, func() (layout, error) { return around.point(m) }, nil)
		if err != nil {
			return nil, fmt.Errorf("the sandbox's mount at %s: %w", m.target, err)
		}
		if !around.ours { // nobody else writes there
			out = append(out, at...)
		}
		if m.kind != link { // it has been made
			out = append(out, m)
		}
	}
	return out.sorted(), nil
}

// around is the deepest mount that a path lies in, strictly.
func (l layout) around(path string) mount {
	var found mount
	for _, m := range l {
		if m.target != path && inside(path, m.target) && len(m.target) >= len(found.target) {
			found = m
		}
	}
	return found
}

// point makes the mount point of m in the directory that w shows, and returns the
// mounts of the directories on the way over themselves.
func (w mount) point(m mount) (layout, error) {
	dir, err := jobfile.Hold(w.source)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: w.source, Err: err}
	}
	defer func() { dir.Close() }()
	var anchors layout
	names := strings.Split(strings.TrimPrefix(strings.TrimPrefix(m.target, w.target), "/"), "/")
	way := ""
	for _, name := range names[:len(names)-1] {
		way = filepath.Join(way, name)
		below, err := dir.MakeDir(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way, advised(err))
		}
		dir.Close()
		dir = below
		anchors = append(anchors, mount{target: filepath.Join(w.target, way), kind: writable, source: filepath.Join(w.source, way)})
	}
	last := names[len(names)-1]
	if err := m.makePoint(dir, last); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(way, last), advised(err))
	}
	return anchors, nil
}

// makePoint makes what the mount covers, or finds it there.
func (m mount) makePoint(dir *jobfile.Node, name string) error {
	switch {
	case m.kind == link:
		return dir.MakeLink(m.source, name)
	case m.isFile():
		return dir.MakeFile(name)
	}
	below, err := dir.MakeDir(name)
	if err == nil {
		below.Close()
	}
	return err
}

func (m mount) isFile() bool {
	switch m.kind {
	case nothing:
		return true
	case readOnly, writable:
		info, err := os.Stat(m.source)
		return err == nil && !info.IsDir()
	}
	return false
}

// advised says what to do about something that is there and is not what was asked for.
func advised(err error) error {
	if errors.Is(err, jobfile.ErrInTheWay) {
		return fmt.Errorf("%w, and nothing is mounted behind one: remove it, or choose another path", err)
	}
	return err
}
