package bwrap

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"quire/internal/executor"
	"quire/internal/executor/local"
)

// mount is one thing that a command finds under a path.
type mount struct {
	target string
	kind   kind
	source string // of a bind and of a symlink
	look   string // where to look for the files, if not in source
	// fresh: what commands write there is gone with each of them, so that no command
	// finds what another one has left.
	fresh bool
	// ours: it is read-only, and a directory that was made for this run alone.
	ours bool
	// shared: commands of other runs write there, too.
	shared bool
	// hides is the path of this machine that an empty or nothing covers, if it
	// covers one.
	hides string
}

type kind int

const (
	readOnly kind = iota
	writable
	empty   // a directory with nothing in it, forgotten with the command
	nothing // an empty file
	link
	devices
	processes
)

func (m mount) option(memory inMemory) []string {
	switch m.kind {
	case readOnly:
		return []string{"--ro-bind", m.source, m.target}
	case writable:
		return []string{"--bind", m.source, m.target}
	case empty:
		return memory.small.tmpfs("0755", m.target)
	case nothing:
		return []string{"--ro-bind", "/dev/null", m.target}
	case link:
		return []string{"--symlink", m.source, m.target}
	case devices:
		return append([]string{"--dev", m.target}, memory.shared.tmpfs("1777", filepath.Join(m.target, "shm"))...)
	case processes:
		o := []string{"--proc", m.target}
		if os.Geteuid() == 0 {
			// The kernel lets uid 0 write its settings without any capability
			// (proc_sys_permission), core_pattern among them, which is a way out.
			o = append(o, "--remount-ro", m.target)
		}
		return o
	}
	panic(fmt.Sprintf("bwrap: a mount of no kind: %+v", m))
}

// layout is a sandbox's file system, in the order of mounting: what is deeper
// comes later, so that nothing covers it.
type layout []mount

// shown are the places of a system's programs and their data, in all
// distributions that we know of. Each is left out where it does not exist.
var shown = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt",
	"/nix", "/gnu", "/run/current-system", // NixOS, Guix
}

// plan lays out a run's sandbox, but for the home directory.
func plan(ctx context.Context, spec executor.Spec, repo *local.Repository, networked bool, private string) (layout, error) {
	var l layout
	if spec.Rootfs != "" {
		l = append(l, mount{target: "/", kind: writable, source: overlayRoot(private), look: spec.Rootfs, fresh: true})
		l = append(l, mount{target: "/var/tmp", kind: writable, source: filepath.Join(private, "tmp")})
	} else {
		l = append(hostRoot(networked, private), mount{target: "/var/tmp", kind: link, source: "/tmp"})
	}
	l = append(l,
		mount{target: "/proc", kind: processes},
		// The keys that a user may look at, by number and description.
		mount{target: "/proc/keys", kind: nothing},
		mount{target: "/proc/key-users", kind: nothing},
	)
	l = append(l, kernelsOwn()...)
	l = append(l,
		mount{target: "/dev", kind: devices},
		mount{target: "/tmp", kind: writable, source: filepath.Join(private, "tmp")},
	)
	borrowed, err := local.Alternates(ctx, spec.GitDir)
	if err != nil {
		return nil, err
	}
	for _, b := range append(borrowed, repo.Binds()...) {
		l = append(l, mount{target: b.Target, kind: readOnly, source: b.Source})
	}
	l = append(l, mount{target: spec.Workspace, kind: writable, source: spec.Workspace}).sorted()
	for _, m := range spec.Mounts {
		k := readOnly
		if m.Writable {
			k = writable
		}
		target, err := l.place(m.Target)
		if err != nil {
			return nil, err
		}
		l = append(l, mount{target: target, kind: k, source: m.Source, shared: m.Writable}).sorted()
	}
	return l, nil
}

// hostRoot shows this machine's programs and nothing of its people.
func hostRoot(networked bool, private string) layout {
	var l layout
	for _, dir := range shown {
		info, err := os.Lstat(dir)
		switch {
		case err != nil:
		case info.Mode()&fs.ModeSymlink != 0:
			if to, err := os.Readlink(dir); err == nil {
				l = append(l, mount{target: dir, kind: link, source: to})
			}
		case dir == "/etc":
			l = append(l, mount{target: dir, kind: readOnly, source: settingsDir(private)}) // or a kept copy: see prepare
		default:
			l = append(l, mount{target: dir, kind: readOnly, source: dir})
		}
	}
	if networked { // the resolver's file is often a link to where nothing else is shown
		if to, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && l.source(to) == "" {
			l = append(l, mount{target: to, kind: readOnly, source: to})
		}
	}
	return l
}

// home is the home directory that a command's environment names, if it needs a
// mount: "" if it is the job's own place already.
func (l layout) home(env []string) (string, error) {
	home := ""
	for _, e := range env {
		if v, found := strings.CutPrefix(e, "HOME="); found {
			home = v
		}
	}
	if !filepath.IsAbs(home) || filepath.Clean(home) == "/" {
		return "", nil
	}
	home, err := l.place(home)
	if err != nil {
		return "", fmt.Errorf("HOME: %w", err)
	}
	m, _ := l.under(home)
	if m.target == home || m.kind == writable && !m.fresh {
		return "", nil // the job's own directory is its home, or /tmp
	}
	return home, nil
}

// sorted puts what is deeper last; of two at one place the later one stays on
// top.
func (l layout) sorted() layout {
	slices.SortStableFunc(l, func(a, b mount) int {
		return cmp.Compare(depth(a.target), depth(b.target))
	})
	return l
}

func depth(path string) int { return strings.Count(strings.TrimRight(path, "/"), "/") }

func inside(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// under is the mount that a path lies in, and the rest of the path.
func (l layout) under(path string) (mount, string) {
	var found mount
	for _, m := range l {
		if inside(path, m.target) && len(m.target) >= len(found.target) {
			found = m
		}
	}
	return found, strings.TrimPrefix(path, found.target)
}

// source is the file of this machine that is seen under a path, links not
// followed; "" if there is none.
func (l layout) source(path string) string {
	m, rest := l.under(path)
	switch m.kind {
	case readOnly, writable:
		if m.look != "" {
			return filepath.Join(m.look, rest)
		}
		if m.source != "" {
			return filepath.Join(m.source, rest)
		}
	}
	return ""
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
