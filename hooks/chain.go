package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ChainSuffix is what `quire install` adds to the name of the hooks directory
// for the directory, beside it, of the hooks that were there before; ours, in
// their place, runs them first. Many hooks find their parts by their own name
// ($0.*, dirname $0, basename $0), so they keep it, at the same depth, with
// links to everything else in the hooks directory; see LinkSiblings.
//
// Earlier versions added it to the name of the hook.
const ChainSuffix = ".before-quire"

// EarlierDir is where the hooks are kept that were in a hooks directory before.
func EarlierDir(hooksDir string) string { return hooksDir + ChainSuffix }

// earlier is the path of the hook that was there before ours, or "". self is
// the path by which git called us: the file that is there, not what a symbolic
// link leads to. The path is relative if self is, as git has it.
func earlier(self, hook string) string {
	if !strings.Contains(self, "/") {
		return ""
	}
	dir := filepath.Dir(self)
	if base := filepath.Base(dir); base == "." || base == ".." {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return ""
		}
		dir = abs
	}
	if st, err := os.Lstat(dir); err == nil && st.Mode()&fs.ModeSymlink != 0 {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real // a directory that several repositories share: so are its earlier hooks
		}
	}
	for _, path := range []string{filepath.Join(EarlierDir(dir), hook), filepath.Join(dir, hook+ChainSuffix)} {
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// notLinked reports whether a file of a hooks directory is none that an earlier
// hook could look for: our own hooks, git's samples, what quire keeps there.
func notLinked(name string) bool {
	return name == "post-receive" || name == "pre-receive" || name == SharersFile ||
		strings.HasSuffix(name, ".sample") || strings.HasSuffix(name, ChainSuffix) ||
		strings.HasPrefix(name, ".") && strings.Contains(name, ".quire-")
}

// SharersFile lists, in a hooks directory that several repositories share, those
// that quire was installed in.
const SharersFile = "quire-repositories"

// LinkSiblings makes what is in a hooks directory visible beside its earlier
// hooks, too, and takes links away whose file is gone. It changes nothing if
// nothing came or went, and fails for users who may not change anything there.
func LinkSiblings(hooksDir string) error {
	earlierDir := EarlierDir(hooksDir)
	there, err := names(hooksDir)
	if err != nil {
		return err
	}
	linked, err := names(earlierDir)
	if err != nil {
		return err
	}
	var faults []error
	up := filepath.Join("..", filepath.Base(hooksDir))
	for _, name := range there {
		if notLinked(name) || slices.Contains(linked, name) {
			continue
		}
		if err := os.Symlink(filepath.Join(up, name), filepath.Join(earlierDir, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			faults = append(faults, err)
		}
	}
	for _, name := range linked {
		if notLinked(name) || slices.Contains(there, name) {
			continue
		}
		if err := RemoveSibling(hooksDir, name); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// RemoveSibling removes a link that LinkSiblings made, and nothing else.
func RemoveSibling(hooksDir, name string) error {
	path := filepath.Join(EarlierDir(hooksDir), name)
	target, err := os.Readlink(path)
	if err != nil || target != filepath.Join("..", filepath.Base(hooksDir), name) {
		return nil
	}
	return os.Remove(path)
}

func names(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// chainGrace is how long a chained hook's input is still offered to processes
// that it left behind.
const chainGrace = time.Second

// runEarlier runs the earlier hook as git would have: the same input,
// arguments, environment and directory, its output going straight to the
// pusher; not at all if it is not executable, which git says too. It returns the
// status that git would have seen.
func runEarlier(path string, c Call, input []byte) (status int, hint string, err error) {
	if syscall.Access(path, 1 /* X_OK */) != nil {
		return 0, fmt.Sprintf("the hook %s was ignored, because it is not set as executable", path), nil
	}
	run := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Stdin = bytes.NewReader(input)
		cmd.Stdout = c.Stdout
		cmd.Stderr = c.Stderr
		cmd.WaitDelay = chainGrace
		return cmd
	}
	cmd := run(path, c.Args[1:]...)
	err = cmd.Run()
	if errors.Is(err, syscall.ENOEXEC) { // no "#!": git gives it to the shell (run-command.c)
		cmd = run("/bin/sh", append([]string{path}, c.Args[1:]...)...)
		err = cmd.Run()
	}
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return 0, "", nil
	case errors.As(err, &exit):
		ws := exit.Sys().(syscall.WaitStatus)
		if ws.Signaled() {
			return 128 + int(ws.Signal()), "", nil
		}
		return ws.ExitStatus(), "", nil
	case cmd.ProcessState != nil:
		return cmd.ProcessState.ExitCode(), "", nil // it ran; only its input could not be written
	}
	return 126, "", fmt.Errorf("run the hook that was here before quire: %w", err)
}
