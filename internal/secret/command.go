package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"quire/internal/config"
)

// commandLimit is how long a secret's command may take. A password store that
// waits longer waits for a person, and none is there.
const commandLimit = 30 * time.Second

// maxStderr is how much of a command's standard error is shown, in bytes: the end
// of it, where the reason stands. heldStderr is how much is held to be redacted
// before it is cut: the longest form of a value more, of which the cut must not
// leave a half.
const (
	maxStderr  = 4 << 10
	heldStderr = maxStderr + 8*MaxLength
)

// command runs a secret's command. Its standard output is the value and is
// shown to nobody; its standard error is shown, redacted, whether it failed or
// not. It runs in a session of its own: its process group is killed when the
// command is over in any way, so that nothing it started keeps the value, and it has
// no terminal that it could type into.
func (s source) command(ctx context.Context, d config.Secret) (fetched, error) {
	name := commandName(d.Command)
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, errCommandLimit)
	defer cancel()

	stdout, stderr := &head{limit: MaxLength + 2}, &tail{limit: heldStderr}
	cmd := exec.Command(s.program(d.Command[0]), d.Command[1:]...)
	cmd.Env = withoutGit(os.Environ())
	cmd.Dir = "/"
	if s.cfg.Path != "" {
		cmd.Dir = filepath.Dir(s.cfg.Path)
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = time.Second // for who left the group and kept the pipe
	err := runGroup(ctx, cmd)
	value := TrimNewline(string(stdout.kept))
	if len(value) > MaxLength {
		return fetched{value: value}, nil // which Vault.fetch refuses
	}

	said := strings.TrimSpace(s.redactOutput(d.Name, value, string(stderr.kept)))
	switch {
	case err == nil:
		f := fetched{value: value}
		if said != "" {
			f.warnings = append(f.warnings, fmt.Sprintf("the command %s said: %s", name, said))
		}
		return f, nil
	case errors.Is(err, errCommandLimit):
		err = fmt.Errorf("the command %s was killed after %v; it must not ask a person (is an agent locked?)", name, s.limit)
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		return fetched{}, fmt.Errorf("the command %s cannot be run: %w; install it, or name its full path", name, err)
	default:
		err = fmt.Errorf("the command %s ended with %w; run it as the worker's user to see why", name, err)
	}
	if said != "" {
		err = fmt.Errorf("%w; it said: %s", err, said)
	}
	return fetched{}, err
}

var errCommandLimit = errors.New("time limit")

// runGroup runs cmd, which leads a process group, until it exits or ctx is
// done, and then kills what is left of the group. exec.CommandContext would
// kill the leader alone, and then wait for whoever else holds its pipes.
func runGroup(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	group := -cmd.Process.Pid
	// The leader is reaped only after the group was killed: until then its
	// process id, and so the group's, cannot be given to a stranger.
	exited := make(chan struct{})
	go func() {
		waitExited(cmd.Process.Pid)
		close(exited)
	}()
	var cause error
	select {
	case <-exited:
	case <-ctx.Done():
		cause = context.Cause(ctx)
	}
	syscall.Kill(group, syscall.SIGKILL)
	<-exited
	err := cmd.Wait()
	if cause != nil {
		return cause
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // the command itself is done, and has said its value
	}
	return err
}

// program resolves a command's first word: a path counts from the
// configuration file, a bare name is looked up in PATH.
func (s source) program(word string) string {
	if strings.Contains(word, "/") {
		return s.cfg.Resolve(word)
	}
	return word
}

// commandName is how a command is called in messages: its first word only, as
// the others may say more than they should.
func commandName(argv []string) string {
	if len(argv) == 0 {
		return "(none)"
	}
	return argv[0]
}

// redactOutput is the redacted end of what the command said. What it printed as
// its value is redacted even where the command failed and the value will not be
// used.
func (s source) redactOutput(name, value, said string) string {
	own := NewRedactor()
	own.Add(name, value)
	var shown bytes.Buffer
	to := &late{w: &shown}
	known := s.redactor.Writer(to)
	mine := own.Writer(known)
	// What a mark across the place of the cut covers is passed on after it, whole.
	cut := max(0, len(said)-maxStderr)
	io.WriteString(mine, said[:cut])
	to.open = true
	io.WriteString(mine, said[cut:])
	mine.Close()
	known.Close()
	return strings.ToValidUTF8(shown.String(), "")
}

// late drops what is written to it until it is opened.
type late struct {
	w    io.Writer
	open bool
}

func (l *late) Write(p []byte) (int, error) {
	if !l.open {
		return len(p), nil
	}
	return l.w.Write(p)
}

// withoutGit drops GIT_*: the worker may have been started from a hook, and a
// command that uses git (pass does) would work on the pushed repository.
func withoutGit(environ []string) []string {
	var kept []string
	for _, e := range environ {
		if !strings.HasPrefix(e, "GIT_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// head keeps the first bytes written to it, and wants no more: its error closes
// the pipe, which ends a command that does not end by itself. (It does not embed
// its buffer, whose ReadFrom io.Copy would use instead of Write.)
type head struct {
	kept  []byte
	limit int
}

var errEnough = errors.New("more than a secret holds")

func (h *head) Write(p []byte) (int, error) {
	n := min(len(p), h.limit-len(h.kept))
	h.kept = append(h.kept, p[:n]...)
	if n < len(p) {
		return n, errEnough
	}
	return n, nil
}

// tail keeps the last bytes written to it.
type tail struct {
	kept  []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p[max(0, len(p)-t.limit):]...)
	t.kept = append(t.kept[:0], t.kept[max(0, len(t.kept)-t.limit):]...)
	return len(p), nil
}
