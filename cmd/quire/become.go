package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"quire/internal/account"
	"quire/internal/checked"
)

// become runs this command as another user, and returns how it ended. Root's
// terminal is not handed over: whoever holds it as the terminal of its session can
// type into it (tty_ioctl(4), TIOCSTI), and the other user can trace any process
// that runs as that user. The command gets a session of its own with a
// pseudo-terminal, or pipes, and what it prints is made inert before root's
// terminal sees it.
func become(uid int, config string) error {
	who, err := account.ByUID(uid)
	if err != nil {
		who = account.Account{UID: uid, GID: uid}
	}
	fail := func(err error) error { return fmt.Errorf("go on as %s: %w", who, err) }
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	env := who.Env()
	for _, name := range keptVariables {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	if config != "" {
		env = append(env, "QUIRE_CONFIG="+config)
	}
	groups := make([]uint32, len(who.Groups))
	for i, g := range who.Groups {
		groups[i] = uint32(g)
	}
	command := func(dir string) *exec.Cmd {
		return &exec.Cmd{Path: self, Args: os.Args, Env: env, Dir: dir, WaitDelay: time.Second, SysProcAttr: &syscall.SysProcAttr{
			Setsid: true, Pdeathsig: syscall.SIGTERM,
			Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(who.GID), Groups: groups},
		}}
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	// Pdeathsig is sent when the thread ends that started the command.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = runApart(command(dir))
	if errors.Is(err, fs.ErrPermission) && dir != "/" { // root's own directory, say
		err = runApart(command("/"))
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return statusError(exitDone)
	case !errors.As(err, &exit):
		return fail(err)
	case exit.ExitCode() < 0:
		return statusError(128 + int(exit.Sys().(syscall.WaitStatus).Signal()))
	}
	return statusError(exit.ExitCode())
}

// runApart runs a command that gets no terminal of this process's: files and pipes
// are passed on as they are.
func runApart(cmd *exec.Cmd) error {
	if term.IsTerminal(0) && term.IsTerminal(1) {
		return runOnTerminal(cmd)
	}
	cmd.Stdout, cmd.Stderr = passed(os.Stdout), passed(os.Stderr)
	if !term.IsTerminal(0) {
		cmd.Stdin = os.Stdin
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer passSignals(cmd.Process.Pid)()
	err := cmd.Wait()
	for _, w := range []io.Writer{cmd.Stdout, cmd.Stderr} {
		if inert, ok := w.(*inertWriter); ok {
			inert.end()
		}
	}
	return err
}

// passed is what a command may write to for f: f itself, unless it is a terminal.
func passed(f *os.File) io.Writer {
	if term.IsTerminal(int(f.Fd())) {
		return &inertWriter{to: f}
	}
	return f
}

// inertWriter shows what is written on a terminal, with nothing in it that the
// terminal would obey but colours.
type inertWriter struct {
	to     *os.File
	filter checked.Output
	buf    []byte
}

func (w *inertWriter) Write(p []byte) (int, error) {
	w.buf = w.filter.Append(w.buf[:0], p)
	if _, err := w.to.Write(w.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *inertWriter) end() { w.to.Write(w.filter.End(nil)) }

// runOnTerminal runs a command on a pseudo-terminal, and passes on what is typed
// and what is printed.
func runOnTerminal(cmd *exec.Cmd) error {
	screen, keyboard, err := pseudoTerminal()
	if err != nil {
		return err
	}
	defer screen.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = keyboard, keyboard, keyboard
	if !term.IsTerminal(2) {
		cmd.Stderr = os.Stderr
	}
	cmd.SysProcAttr.Setctty = true // of its standard input
	resize := func() {
		if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil {
			unix.IoctlSetWinsize(int(keyboard.Fd()), unix.TIOCSWINSZ, size)
		}
	}
	resize()
	if err := cmd.Start(); err != nil {
		keyboard.Close()
		return err
	}
	defer passSignals(cmd.Process.Pid)()
	sized := make(chan os.Signal, 1)
	signal.Notify(sized, syscall.SIGWINCH)
	defer signal.Stop(sized)
	if before, err := term.MakeRaw(0); err == nil { // what is typed is for the command, Ctrl-C too
		defer term.Restore(0, before)
	}
	go io.Copy(screen, os.Stdin) // ends with this process
	out := &inertWriter{to: os.Stdout}
	var printing sync.WaitGroup
	printing.Go(func() { io.Copy(out, screen) })
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case <-sized:
			resize()
		case err := <-ended:
			keyboard.Close()
			// Something that the command left may hold its end open.
			screen.SetReadDeadline(time.Now().Add(time.Second))
			printing.Wait()
			out.end()
			return err
		}
	}
}

// pseudoTerminal makes one (pty(7)).
func pseudoTerminal() (screen, keyboard *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pseudo-terminal: %w", err)
	}
	screen = os.NewFile(uintptr(fd), "/dev/ptmx") // not blocking: deadlines can be set
	err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	var n int
	if err == nil {
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
	}
	if err == nil {
		keyboard, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		screen.Close()
		return nil, nil, fmt.Errorf("make a pseudo-terminal: %w", err)
	}
	return screen, keyboard, nil
}

// passSignals passes on what asks this process to end, until the function that it
// returns is called.
func passSignals(pid int) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				syscall.Kill(pid, s.(syscall.Signal))
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}
