package bwrap

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// planned is a layout with the covers of what is hidden, and the hidden paths in it
// at which there was nothing to cover.
type planned struct {
	layout layout
	absent []string
}

// covers hide paths of this machine where the layout shows them: a directory with
// all that is in it, now and later; a file only as it is now. Nothing covers what is
// not there, and that is given back, too. /etc is not looked at:
// the sandbox has a copy, without what is hidden (settings.go).
func (l layout) covers(hidden []string) (out layout, absent []string) {
	for _, path := range hidden {
		for _, m := range l {
			shows := m.source
			if m.look != "" {
				shows = m.look
			}
			if m.kind != readOnly && !m.fresh || path == shows || !inside(path, shows) {
				continue
			}
			target := filepath.Join(m.target, strings.TrimPrefix(path, shows))
			if top, _ := l.under(target); top.target != m.target || top.source != m.source || needed(target) {
				continue // something else is seen there
			}
			info, err := os.Lstat(path)
			switch {
			case err != nil || info.Mode()&fs.ModeSymlink != 0:
				absent = append(absent, path)
			case info.IsDir():
				out = append(out, mount{target: target, kind: empty, hides: path})
			default:
				out = append(out, mount{target: target, kind: nothing, hides: path})
			}
		}
	}
	slices.SortFunc(out, func(a, b mount) int { return strings.Compare(a.target, b.target) })
	return slices.CompactFunc(out, func(a, b mount) bool { return a.target == b.target }), absent
}

// outdated reports whether something that is hidden is no longer what was covered, or
// is there by now. bwrap cannot mount over what is gone, where it may not make a
// mount point.
func (p planned) outdated() bool {
	is := func(path string) (there, dir bool) {
		info, err := os.Lstat(path)
		if err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return false, false
		}
		return true, info.IsDir()
	}
	return slices.ContainsFunc(p.layout, func(m mount) bool {
		if m.hides == "" {
			return false
		}
		there, dir := is(m.hides)
		return !there || dir != (m.kind == empty)
	}) || slices.ContainsFunc(p.absent, func(path string) bool {
		there, _ := is(path)
		return there
	})
}

// needed says whether a directory holds what every program needs, so that it cannot
// be hidden, whatever else somebody keeps in it.
func needed(dir string) bool {
	for _, s := range shown {
		if inside(s, dir) {
			return true
		}
	}
	for _, top := range []string{"/usr", "/usr/local"} {
		if rest, found := strings.CutPrefix(dir, top+"/"); found && slices.Contains(system, rest) {
			return true
		}
	}
	return false
}

var system = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec", "share", "include", "local", "src"}

// guarded are the files and directories of a tree that not everybody may read.
// A sandbox made by root shows them to a command that is root, too. It gives up
// after most entries, and says so.
func guarded(root string, most int) (found []string, all bool) {
	all = true
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if most--; most < 0 {
			all = false
			return fs.SkipAll
		}
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if !public(info.Mode()) {
			found = append(found, path)
			if d.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	})
	return found, all
}

// public says whether everybody may read a file, or list and enter a directory.
func public(mode fs.FileMode) bool {
	if mode.IsDir() {
		return mode&0o5 == 0o5
	}
	return mode&0o4 != 0
}
