package bwrap

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/executor/local"

	"golang.org/x/sys/unix"
)

// A sandbox with a workspace, a cache in it, and a file of this machine that is
// not shown.
func hostileLayout(t *testing.T) (l layout, ws string) {
	t.Helper()
	dir := t.TempDir()
	ws = filepath.Join(dir, "runs", "workspace")
	cache := filepath.Join(dir, "cache")
	for _, d := range []string{ws, cache, filepath.Join(dir, "hidden")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{
		filepath.Join(dir, "hidden", "tool"): "#!/bin/sh\n", filepath.Join(ws, "tool"): "#!/bin/sh\n", filepath.Join(cache, "tool"): "#!/bin/sh\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"in": "tool", "absolute": filepath.Join(ws, "tool"), "tocache": "deps/tool", "out": filepath.Join(dir, "hidden", "tool"),
		"up": "../../hidden/tool", "outdir": filepath.Join(dir, "hidden"), "process": "/proc/self/root/" + dir + "/hidden/tool",
		"loop": "loop", "usr": "/usr/bin/env",
	} {
		if err := os.Symlink(to, filepath.Join(ws, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(ws, "pipe"), 0o755); err != nil {
		t.Fatal(err)
	}
	return layout{
		{target: "/usr", kind: readOnly, source: "/usr"},
		{target: "/bin", kind: link, source: "usr/bin"},
		{target: "/proc", kind: processes},
		{target: "/dev", kind: devices},
		{target: ws, kind: writable, source: ws},
		{target: filepath.Join(ws, "deps"), kind: writable, source: cache},
	}, ws
}

func TestALookFollowsLinksAsTheCommandWould(t *testing.T) {
	l, ws := hostileLayout(t)
	for _, name := range []string{"tool", "in", "absolute", "deps/tool", "tocache", "usr", "/bin/sh", "/usr/bin/env", "", "deps", "/", filepath.Dir(ws)} {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(ws, name)
		}
		n, err := l.hold(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n.Close()
	}
}

// What is not shown does not exist, whatever leads there.
func TestALookDoesNotLeaveTheSandbox(t *testing.T) {
	l, ws := hostileLayout(t)
	for _, name := range []string{"out", "up", "outdir/tool", "outdir", "../../hidden/tool", "tool/x"} {
		if n, err := l.hold(filepath.Join(ws, name)); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("%s: %v, %v", name, n, err)
		}
	}
	for _, path := range []string{"/etc/passwd", "/root", "/home", filepath.Dir(ws) + "/../hidden/tool"} {
		if n, err := l.hold(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, %v", path, n, err)
		}
	}
	for _, path := range []string{"/proc/1", "/proc/self/root", "/dev/null", filepath.Join(ws, "process")} {
		if n, err := l.hold(path); !errors.Is(err, local.ErrUnknown) {
			t.Errorf("%s: %v, %v; this machine's processes are not the sandbox's", path, n, err)
		}
	}
	if _, err := l.hold(filepath.Join(ws, "loop")); err == nil || !strings.Contains(err.Error(), "too many levels") {
		t.Errorf("a loop: %v", err)
	}
}

// A job exchanges a directory with a link to one that is not shown, all the time.
func TestALinkThatAppearsDuringALookIsNotFollowed(t *testing.T) {
	l, ws := hostileLayout(t)
	dir, out := filepath.Join(ws, "dir"), filepath.Join(ws, "outdir")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "inside"), nil, 0o755)); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, out, unix.RENAME_EXCHANGE)
			}
		}
	}()
	defer func() { close(stop); <-done }()
	met := false
	for range 5000 {
		if n, err := l.hold(filepath.Join(dir, "tool")); err == nil { // only outside is a tool
			n.Close()
			t.Fatal("a file outside was found")
		}
		if n, err := l.hold(filepath.Join(dir, "inside")); err == nil {
			met = true
			n.Close()
		}
	}
	if !met {
		t.Error("the directory was never seen: the test shows nothing")
	}
}
