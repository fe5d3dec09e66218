package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ChainSuffix is what `quire install` adds to the name of a hook that was there
// before; our hook, in its old place, runs it first.
const ChainSuffix = ".before-quire"

// chained is the path of the hook that was there before ours, or "". As with
// git, a hook that is not executable is no hook. self is the path by which git
// called us: the file that is there, not what a symbolic link leads to.
func chained(self, hook string) string {
	if !strings.Contains(self, "/") {
		return ""
	}
	path, err := filepath.Abs(filepath.Join(filepath.Dir(self), hook+ChainSuffix))
	if err != nil {
		return ""
	}
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() || st.Mode().Perm()&0o111 == 0 {
		return ""
	}
	return path
}

// chainGrace is how long a chained hook's input is still offered to processes
// that it left behind.
const chainGrace = time.Second

// runChained runs the earlier hook as git would have: the same input,
// arguments, environment and directory, its output going straight to the
// pusher. It returns the status that git would have seen.
func runChained(path string, c Call, input []byte) (status int, err error) {
	cmd := exec.Command(path, c.Args[1:]...)
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stdout = c.Stdout
	cmd.Stderr = c.Stderr
	cmd.WaitDelay = chainGrace
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case errors.As(err, &exit):
		ws := exit.Sys().(syscall.WaitStatus)
		if ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return ws.ExitStatus(), nil
	case cmd.ProcessState != nil:
		return cmd.ProcessState.ExitCode(), nil // it ran; only its input could not be written
	}
	return 126, fmt.Errorf("run the hook that was here before quire: %w", err)
}
