package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"quire/internal/executor"
	"quire/internal/jobfile"

	"golang.org/x/sys/unix"
)

// DefaultPath is where programs are looked for by a command without PATH.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// A View takes hold of the file that a command sees under an absolute path, with
// links followed as the command would. The error ErrUnknown says that only the
// command itself can tell.
type View func(path string) (*jobfile.Node, error)

// ErrUnknown is a View's error for a path that only exists for the command: what
// is there shows when the command is started.
var ErrUnknown = errors.New("not to be seen from here")

// Machine is this process's own view.
func Machine(path string) (*jobfile.Node, error) { return jobfile.Hold(path) }

// Place is where a command starts: in which directory, from which file.
type Place struct {
	Dir  string // as the command names it
	Path string // of the program
}

// Find looks for a command's working directory and program. A job may have made
// both, and what is on the way there: see package jobfile. It returns when ctx
// ends, or with ErrLate when the command's own time is over. Any other error is a
// sentence for a person.
func (v View) Find(ctx context.Context, c executor.Command, workspace string, env []string) (Place, error) {
	if c.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, c.Timeout, ErrLate)
		defer stop()
	}
	return v.find(ctx, workspace, c.Dir, c.Argv[0], env)
}

// ErrLate is Find's error when the command's own time was over before its program
// was found.
var ErrLate = errors.New("the command's time was over before it began")

// NotBegun is the exit of a command that was ended before it began: what it would
// have been a moment later.
func NotBegun(late bool) executor.Exit {
	exit := executor.Exit{Code: 128 + int(unix.SIGTERM), Signal: "SIGTERM", TimedOut: late}
	if late {
		exit.Limit = "wall"
	}
	return exit
}

// Ready returns when the first bytes of a program, and of its interpreter, have been
// read, which this process is about to execute. execve(2) waits for a file system that
// does not answer, and up to 45 seconds for whoever holds a lease on the file; Go's
// runtime forks as vfork(2) does, so this whole process would stand still meanwhile, its
// clocks too. What cannot be read is execve's to judge. Errors are as Find's.
func Ready(ctx context.Context, c executor.Command, path string) error {
	if c.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, c.Timeout, ErrLate)
		defer stop()
	}
	_, err := jobfile.Within(ctx, func() (struct{}, error) {
		for of, left := path, 2; of != "" && left > 0; left-- { // the program, its interpreter
			n, err := Machine(of)
			if err != nil {
				break
			}
			_, err = n.Head(1)
			next := Interpreter(n)
			n.Close()
			if errors.Is(err, jobfile.ErrLeased) {
				return struct{}{}, fmt.Errorf("%s: %s cannot be started: %w (fcntl(2), F_SETLEASE)", c.Argv[0], of, err)
			}
			of = next
		}
		return struct{}{}, nil
	}, nil)
	return err
}

func (v View) find(ctx context.Context, workspace, dir, program string, env []string) (Place, error) {
	return jobfile.Within(ctx, func() (p Place, err error) {
		if p.Dir, err = v.dir(workspace, dir); err != nil {
			return p, err
		}
		p.Path, err = v.look(program, p.Dir, env)
		return p, err
	}, nil)
}

// dir is a command's working directory as the command names it. The error says
// what a person has to change.
func (v View) dir(workspace, dir string) (string, error) {
	path := workspace
	if filepath.IsAbs(dir) {
		path = filepath.Clean(dir)
	} else if dir != "" {
		path = filepath.Join(workspace, dir)
	}
	isDir := false
	there, err := v(path)
	if err == nil {
		isDir = there.IsDir()
		there.Close()
	}
	shown := dir
	if shown == "" {
		shown = path
	}
	switch {
	case errors.Is(err, ErrUnknown):
		return path, nil
	case errors.Is(err, fs.ErrNotExist) && filepath.IsAbs(shown):
		return "", fmt.Errorf("working directory %s: no such directory", shown)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("working directory %s: no such directory in the workspace", shown)
	case err != nil:
		return "", fmt.Errorf("working directory %s: not a directory one can enter: %w", shown, reason(err))
	case !isDir:
		return "", fmt.Errorf("working directory %s: not a directory", shown)
	}
	return path, nil
}

// look finds the file of a program as execvp(3) does, in the command's own
// PATH and from its own directory.
func (v View) look(name, dir string, env []string) (string, error) {
	if name == "" {
		return "", errors.New("the command's first word is empty")
	}
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(dir, name)
		}
		if err := v.executable(path); err != nil && !errors.Is(err, ErrUnknown) {
			return "", describe(name, path, err)
		}
		return path, nil
	}
	list := DefaultPath
	for _, e := range env { // the last one counts, as in a shell
		if v, found := strings.CutPrefix(e, "PATH="); found {
			list = v
		}
	}
	var denied error
	for i, d := range filepath.SplitList(list) {
		if i == maxPath {
			return "", fmt.Errorf("%s: PATH names more than %d directories", name, maxPath)
		}
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		path := filepath.Join(d, name)
		err := v.executable(path)
		if err == nil || errors.Is(err, ErrUnknown) {
			return path, nil
		}
		if errors.Is(err, fs.ErrPermission) && denied == nil {
			denied = describe(name, path, err)
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", fmt.Errorf("%s: no such program in PATH (%s): install it where the job runs, or set PATH for it", name, list)
}

// maxPath bounds how many directories a program is looked for in.
const maxPath = 1000

func (v View) executable(path string) error {
	n, err := v(path)
	if err != nil {
		return err
	}
	defer n.Close()
	return n.Executable()
}

// describe says why a program that was named could not be started.
func describe(name, path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such program (no file %s)", name, path)
	case errors.Is(err, unix.EISDIR):
		return fmt.Errorf("%s: %s is a directory, not a program", name, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %s may not be executed: chmod +x it, and commit the mode (git update-index --chmod=+x)", name, path)
	}
	return fmt.Errorf("%s: %w", name, reason(err))
}

// refused says why the kernel would not start a program that is there.
func refused(ctx context.Context, argv, env []string, path string, err error) error {
	name := argv[0]
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if in := interpreterAt(ctx, path); in != "" {
			return fmt.Errorf("%s: its first line asks for %s, which does not exist: install it, or correct the line", name, in)
		}
		return fmt.Errorf("%s: %s asks for a loader that does not exist: it was built for another system", name, path)
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("%s: %s is no program of this machine: a script needs a first line such as #!/bin/sh", name, path)
	case errors.Is(err, unix.E2BIG):
		n := 0
		for _, s := range argv {
			n += len(s) + 1
		}
		for _, s := range env {
			n += len(s) + 1
		}
		return fmt.Errorf("%s: the arguments and environment (%d bytes) are more than the kernel takes: pass them by :stdin or a file", name, n)
	case errors.Is(err, fs.ErrPermission):
		return describe(name, path, err)
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("%s: no process can be started (%w): the machine or a limit is full", name, reason(err))
	}
	return fmt.Errorf("%s: %w", name, reason(err))
}

// maxFirstLine is what Linux reads of a script's first line (BINPRM_BUF_SIZE).
const maxFirstLine = 256

// Interpreter is what the first line of a script names; "" if it is none, or
// cannot be read. Of a name that is cut off there is none: the rest could be that
// of a secret, which is not known by its half.
func Interpreter(n *jobfile.Node) string {
	head, err := n.Head(maxFirstLine)
	if err != nil {
		return ""
	}
	line, _, ended := bytes.Cut(head, []byte("\n"))
	if !ended && len(head) == maxFirstLine {
		line = line[:max(0, bytes.LastIndexAny(line, " \t"))]
	}
	rest, found := bytes.CutPrefix(line, []byte("#!"))
	if !found {
		return ""
	}
	if words := strings.Fields(string(rest)); len(words) > 0 {
		return words[0]
	}
	return ""
}

func interpreterAt(ctx context.Context, path string) string {
	in, _ := jobfile.Within(ctx, func() (string, error) {
		n, err := Machine(path)
		if err != nil {
			return "", err
		}
		defer n.Close()
		return Interpreter(n), nil
	}, nil)
	return in
}

// reason strips the operation and path that the caller says better.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var se *os.SyscallError
	if errors.As(err, &se) {
		return se.Err
	}
	return err
}

func isTextBusy(err error) bool { return errors.Is(err, unix.ETXTBSY) }
