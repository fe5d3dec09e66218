package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/docker/inside"
	"quire/internal/executor/local"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// Exec runs a command in the container of its image.
func (d *Executor) Exec(ctx context.Context, c executor.Command, stdout, stderr io.Writer) (executor.Exit, error) {
	if err := executor.CheckCommand(c); err != nil {
		return executor.Exit{}, err
	}
	if ctx.Err() != nil {
		return executor.Exit{}, context.Cause(ctx)
	}
	image := c.Image
	if image == "" {
		image = d.image
	}
	if image == "" {
		return executor.Exit{}, errNoImage
	}
	const containers = 3 // that somebody may remove under the same command before it begins
	for attempt := 1; ; attempt++ {
		b, err := d.box(ctx, image)
		if err != nil {
			return executor.Exit{}, err
		}
		if d.bound {
			if err := d.repo.Refresh(ctx); err != nil {
				return executor.Exit{}, err
			}
		}
		exit, err := d.execIn(ctx, b, c, stdout, stderr)
		var removed *removedError
		if !errors.As(err, &removed) {
			return exit, err
		}
		d.forget(image, b)
		if removed.begun || attempt == containers {
			return exit, err
		}
		d.spec.Progress(fmt.Sprintf("container %s %s; another is started", b.name, removed.what()))
	}
}

func (d *Executor) execIn(ctx context.Context, b *box, c executor.Command, stdout, stderr io.Writer) (executor.Exit, error) {
	call := &call{d: d, box: b, mark: "\x00\x00quire " + rand.Text() + " ", grace: d.spec.Grace}
	if call.grace <= 0 {
		call.grace = local.DefaultGrace
	}
	return call.run(ctx, c, stdout, stderr)
}

// call is one command on its way.
type call struct {
	d     *Executor
	box   *box
	mark  string
	grace time.Duration
	exec  string // the engine's id of it
	conn  net.Conn
}

// unanswered is how long after the grace a container may take to end a command
// before it is ended itself.
const unanswered = 15 * time.Second

func (c *call) run(ctx context.Context, cmd executor.Command, stdout, stderr io.Writer) (executor.Exit, error) {
	how := container.ExecOptions{
		Cmd:         []string{c.box.program, inside.Word, "exec"},
		AttachStdin: true, AttachStdout: true, AttachStderr: true,
		User: c.d.user, WorkingDir: "/",
	}
	made, err := c.d.engine.ContainerExecCreate(ctx, c.box.id, how)
	if err != nil && strings.Contains(err.Error(), "is not running") {
		if err = c.d.again(ctx, c.box); err == nil {
			made, err = c.d.engine.ContainerExecCreate(ctx, c.box.id, how)
		}
	}
	if err != nil {
		return executor.Exit{}, c.gone(ctx, err, false)
	}
	c.exec = made.ID
	link, err := c.d.engine.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil { // the engine's refusal comes before it starts anything
		return executor.Exit{}, c.gone(ctx, err, false)
	}
	defer link.Close()
	c.conn = link.Conn

	out, errs := &sink{w: stdout}, &sink{w: stderr}
	trailer := &trailer{w: errs, mark: []byte(c.mark)}
	read := make(chan error, 1)
	go func() { // ends when the link is closed, at the latest
		_, err := stdcopy.StdCopy(out, trailer, link.Reader)
		read <- err
	}()
	sent := make(chan struct{})
	go func() { // so does this
		defer close(sent)
		c.send(cmd)
	}()

	exit, cause, readErr := c.wait(ctx, cmd.Timeout, read, sent)
	link.Close()
	<-sent
	if errors.Is(readErr, errUnanswered) {
		return exit, readErr
	}
	result, said := trailer.result()
	if !said {
		lost, err := c.lost(context.WithoutCancel(ctx), readErr)
		lost.TimedOut = exit.TimedOut
		if cause != nil {
			err = cause
		}
		return lost, err
	}
	exit.Code, exit.Signal = result.Code, result.Signal
	exit.Limit = result.Limit
	if exit.TimedOut {
		exit.Limit = "wall"
	}
	switch {
	case cause != nil:
		return exit, cause
	case result.Fault != "":
		return exit, errors.New(result.Fault)
	case out.err != nil:
		return exit, out.err
	}
	return exit, errs.err
}

// send passes the request on, and the command's standard input after it. What
// goes wrong shows on the other side, and from there in the result.
func (c *call) send(cmd executor.Command) {
	r := inside.Request{
		Mark: c.mark, Argv: inside.Texts(cmd.Argv), Env: inside.Texts(c.d.environment(cmd.Env)),
		Root: []byte(c.d.spec.Workspace), Dir: []byte(cmd.Dir),
		Stdin: -1, Grace: c.grace, RunID: c.d.spec.RunID,
	}
	if cmd.Stdin != nil {
		r.Stdin = int64(len(cmd.Stdin))
	}
	b, err := json.Marshal(r)
	if err != nil {
		return
	}
	if _, err := c.conn.Write(append(b, '\n')); err == nil && len(cmd.Stdin) > 0 {
		c.conn.Write(cmd.Stdin)
	}
}

var errUnanswered = errors.New("the container does not answer")

// wait sees the command through, telling it to end when it must.
func (c *call) wait(ctx context.Context, timeout time.Duration, read <-chan error, sent <-chan struct{}) (exit executor.Exit, cause, readErr error) {
	var expired <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	select {
	case readErr = <-read:
		return exit, nil, readErr
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-expired:
		exit.TimedOut = true
	}
	go func() { // ends with the link
		<-sent
		c.conn.Write([]byte{'.'})
	}()
	late := time.NewTimer(c.grace + local.Drain + unanswered)
	defer late.Stop()
	select {
	case readErr = <-read:
		return exit, cause, readErr
	case <-late.C:
	}
	// Nothing of the command may be left. There is one way more.
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), unanswered)
	defer cancel()
	if err := c.d.engine.ContainerKill(clean, c.box.id, "SIGKILL"); err != nil {
		return exit, cause, fmt.Errorf("%w, and cannot be ended: %s", errUnanswered, oneLine(err))
	}
	return exit, cause, fmt.Errorf("%w when told to end a command, and was ended", errUnanswered)
}

// lost finds out what became of a command whose result did not come.
func (c *call) lost(ctx context.Context, cause error) (executor.Exit, error) {
	ctx, cancel := context.WithTimeout(ctx, unanswered)
	defer cancel()
	c.settle(ctx)
	info, err := c.d.engine.ContainerInspect(ctx, c.box.id)
	if err != nil {
		return executor.Exit{}, c.gone(ctx, err, true)
	}
	if beingRemoved(info) {
		return executor.Exit{}, &removedError{name: c.box.name, begun: true}
	}
	exit := executor.Exit{Code: 137, Signal: "SIGKILL"}
	if c.d.spec.Limits.Memory > 0 && info.State != nil && info.State.OOMKilled {
		exit.Limit = "memory"
		return exit, nil
	}
	if info.State != nil && !info.State.Running {
		return exit, fmt.Errorf("container %s has stopped while the command ran (status %d): something ended it", c.box.name, info.State.ExitCode)
	}
	if e, err := c.d.engine.ContainerExecInspect(ctx, c.exec); err == nil && !e.Running && e.ExitCode != 0 {
		if e.ExitCode == 137 { // the command killed whatever it could, or the kernel did for memory
			return exit, nil
		}
		return executor.Exit{}, fmt.Errorf("container %s does not run commands (status %d)", c.box.name, e.ExitCode)
	}
	if cause == nil {
		cause = io.ErrUnexpectedEOF
	}
	return executor.Exit{}, fmt.Errorf("container %s: the connection to the engine broke: %w", c.box.name, cause)
}

// settle waits until the engine has recorded the end of the container, if that is
// what ended the command: its processes die first, and the next command would be
// begun in what is ending.
func (c *call) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	over, failed := c.d.engine.ContainerWait(ctx, c.box.id, container.WaitConditionNotRunning)
	select {
	case <-over:
	case <-failed:
	}
}

// gone says that the container can run no command, as a *removedError if that
// is because somebody has removed it, or is about to.
func (c *call) gone(ctx context.Context, err error, begun bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if removed := (*removedError)(nil); errors.As(err, &removed) {
		return removed
	}
	info, look := c.d.engine.ContainerInspect(ctx, c.box.id)
	if errdefs.IsNotFound(look) || look == nil && beingRemoved(info) {
		return &removedError{name: c.box.name, begun: begun}
	}
	return fmt.Errorf("container %s: %s", c.box.name, oneLine(err))
}

// environment is what a command gets over the image's own. A variable that
// only says how this machine is laid out, and that was passed on unchanged,
// would be wrong there.
func (d *Executor) environment(env []string) []string {
	var out []string
	home := false
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR":
			if v, found := os.LookupEnv(name); found && v == value {
				continue
			}
			home = home || name == "HOME"
		}
		out = append(out, e)
	}
	if !home && !strings.HasPrefix(d.user, "0:") {
		// The engine gives "/" to a user whom the image does not know.
		out = append(out, "HOME="+inside.Home)
	}
	return out
}

// sink takes output, and goes on taking it when its writer fails: the command
// is not to be blocked by that.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(b []byte) (int, error) {
	if s.w != nil && s.err == nil {
		if _, err := s.w.Write(b); err != nil {
			s.err = fmt.Errorf("keeping the command's output: %w", err)
		}
	}
	return len(b), nil
}

// trailer passes a stream on up to a mark, and keeps what follows. What could
// be the start of the mark is held back until it is known.
type trailer struct {
	w    io.Writer
	mark []byte
	held []byte // a proper prefix of mark
	tail []byte
	seen bool
}

func (t *trailer) Write(b []byte) (int, error) {
	n := len(b)
	if t.seen {
		t.tail = append(t.tail, b[:min(n, max(0, 1<<16-len(t.tail)))]...)
		return n, nil
	}
	if len(t.held) > 0 {
		b = append(t.held, b...)
		t.held = nil
	}
	if i := bytes.Index(b, t.mark); i >= 0 {
		t.seen = true
		t.tail = append(t.tail, b[i+len(t.mark):]...)
		b = b[:i]
	} else if k := prefixAtEnd(b, t.mark); k > 0 {
		t.held = bytes.Clone(b[len(b)-k:])
		b = b[:len(b)-k]
	}
	if len(b) > 0 {
		if _, err := t.w.Write(b); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// prefixAtEnd is the length of the longest end of b with which mark begins.
func prefixAtEnd(b, mark []byte) int {
	for k := min(len(b), len(mark)-1); k > 0; k-- {
		if bytes.Equal(b[len(b)-k:], mark[:k]) {
			return k
		}
	}
	return 0
}

func (t *trailer) result() (inside.Result, bool) {
	if len(t.held) > 0 {
		t.w.Write(t.held)
		t.held = nil
	}
	var r inside.Result
	if !t.seen || json.Unmarshal(t.tail, &r) != nil {
		return inside.Result{}, false
	}
	return r, true
}
