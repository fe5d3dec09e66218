package local

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultPath is where programs are looked for by a command without PATH.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// View finds the file that a command sees under a path. Nil is this machine's
// own view.
type View func(path string) (string, error)

func (v View) at(path string) (string, error) {
	if v == nil {
		return path, nil
	}
	return v(path)
}

// Dir is a command's working directory as the command names it. The error says
// what a person has to change.
func (v View) Dir(workspace, dir string) (string, error) {
	path := workspace
	if filepath.IsAbs(dir) {
		path = filepath.Clean(dir)
	} else if dir != "" {
		path = filepath.Join(workspace, dir)
	}
	var info fs.FileInfo
	file, err := v.at(path)
	if err == nil {
		info, err = os.Stat(file)
	}
	shown := dir
	if shown == "" {
		shown = path
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && filepath.IsAbs(shown):
		return "", fmt.Errorf("working directory %s: no such directory", shown)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("working directory %s: no such directory in the workspace", shown)
	case err != nil:
		return "", fmt.Errorf("working directory %s: not a directory one can enter: %w", shown, reason(err))
	case !info.IsDir():
		return "", fmt.Errorf("working directory %s: not a directory", shown)
	}
	return path, nil
}

// Look finds the file of a program as execvp(3) does, in the command's own
// PATH and from its own directory. An error is a sentence for a person.
func (v View) Look(name, dir string, env []string) (string, error) {
	if name == "" {
		return "", errors.New("the command's first word is empty")
	}
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(dir, name)
		}
		if err := v.executable(path); err != nil {
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
	for _, d := range filepath.SplitList(list) {
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		path := filepath.Join(d, name)
		err := v.executable(path)
		if err == nil {
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

func (v View) executable(path string) error {
	file, err := v.at(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return unix.EISDIR
	}
	return unix.Access(file, unix.X_OK)
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
func refused(argv, env []string, path string, err error) error {
	name := argv[0]
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if in := Interpreter(path); in != "" {
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

// Interpreter is what the first line of a script names; "" if it is none.
func Interpreter(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	line, _ := bufio.NewReaderSize(f, 256).ReadSlice('\n')
	rest, found := bytes.CutPrefix(line, []byte("#!"))
	if !found {
		return ""
	}
	if words := strings.Fields(string(rest)); len(words) > 0 {
		return words[0]
	}
	return ""
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
