package vm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// file is what io.open, io.popen and the standard files are. A read and a write
// buffer are there when they are needed; a write after a read goes to where the
// program has read, not to where the buffer has.
type file struct {
	name     string
	r        io.Reader // nil: not for reading
	w        io.Writer // nil: not for writing
	os       *os.File  // for seeking and closing; nil for a pipe or a foreign stream
	cmd      *exec.Cmd // of popen
	in       *bufio.Reader
	out      *bufio.Writer
	unbuf    bool // setvbuf "no"
	byLine   bool // setvbuf "line"
	standard bool
	closed   bool
	remove   bool // tmpfile: unlink when closed
}

const fileBuffer = 4096

func (f *file) reader() (*bufio.Reader, error) {
	if f.r == nil {
		return nil, syscall.EBADF
	}
	if err := f.flush(); err != nil {
		return nil, err
	}
	if f.in == nil {
		f.in = bufio.NewReaderSize(f.r, fileBuffer)
	}
	return f.in, nil
}

func (f *file) write(s string) error {
	if f.w == nil {
		return syscall.EBADF
	}
	if err := f.dropInput(); err != nil {
		return err
	}
	if f.unbuf {
		_, err := io.WriteString(f.w, s)
		return err
	}
	if f.out == nil {
		f.out = bufio.NewWriterSize(f.w, fileBuffer)
	}
	if _, err := f.out.WriteString(s); err != nil {
		return err
	}
	if f.byLine && strings.IndexByte(s, '\n') >= 0 {
		return f.out.Flush()
	}
	return nil
}

func (f *file) flush() error {
	if f.out == nil {
		return nil
	}
	return f.out.Flush()
}

// dropInput forgets what was read ahead.
func (f *file) dropInput() error {
	if f.in == nil || f.in.Buffered() == 0 {
		return nil
	}
	ahead := int64(f.in.Buffered())
	f.in = nil
	if f.os == nil {
		return nil
	}
	_, err := f.os.Seek(-ahead, io.SeekCurrent)
	if errors.Is(err, syscall.ESPIPE) {
		return nil // a terminal or a pipe has no place to go back to
	}
	return err
}

func (f *file) seek(whence int, offset int64) (int64, error) {
	if f.os == nil {
		return 0, syscall.ESPIPE
	}
	if err := f.flush(); err != nil {
		return 0, err
	}
	if err := f.dropInput(); err != nil {
		return 0, err
	}
	return f.os.Seek(offset, whence)
}

// close ends the file; status is the wait status of a popen's command, or -1.
func (f *file) close() (status int, err error) {
	f.closed = true
	status = -1
	err = f.flush()
	switch {
	case f.cmd != nil:
		for _, end := range []any{f.w, f.r} {
			if c, ok := end.(io.Closer); ok {
				c.Close() // the command may be gone already
			}
		}
		_ = f.cmd.Wait() // the status tells
		if ws, ok := f.cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
			status = int(ws)
		}
	case f.os != nil:
		if cerr := f.os.Close(); err == nil {
			err = cerr
		}
		if f.remove {
			os.Remove(f.os.Name())
		}
	}
	return status, err
}

// openFile opens path with a mode of C's fopen.
func openFile(path, mode string) (*file, error) {
	flag, read, write := os.O_RDONLY, true, false
	switch strings.Replace(mode, "b", "", 1) {
	case "r":
	case "w":
		flag, read, write = os.O_WRONLY|os.O_CREATE|os.O_TRUNC, false, true
	case "a":
		flag, read, write = os.O_WRONLY|os.O_CREATE|os.O_APPEND, false, true
	case "r+":
		flag, write = os.O_RDWR, true
	case "w+":
		flag, write = os.O_RDWR|os.O_CREATE|os.O_TRUNC, true
	case "a+":
		flag, write = os.O_RDWR|os.O_CREATE|os.O_APPEND, true
	default:
		return nil, syscall.EINVAL
	}
	h, err := os.OpenFile(path, flag, 0o666)
	if err != nil {
		return nil, err
	}
	f := &file{name: path, os: h}
	if read {
		f.r = h
	}
	if write {
		f.w = h
	}
	return f, nil
}

// openCommand starts a command whose output (mode r) or input (w) is the file.
func openCommand(m *machine, command, mode string) (*file, error) {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = m.stdin, m.stdout, m.stderr
	f := &file{name: command, cmd: cmd}
	var err error
	if mode == "w" {
		cmd.Stdin = nil
		f.w, err = cmd.StdinPipe()
	} else {
		cmd.Stdout = nil
		f.r, err = cmd.StdoutPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// fileError is C's strerror of an error, behind the name of the file.
func fileError(err error, name string) string {
	msg := err.Error()
	if no := errnoOf(err); no != 0 {
		msg = syscall.Errno(no).Error()
		msg = strings.ToUpper(msg[:1]) + msg[1:]
		if no == int(syscall.EINVAL) {
			msg = "Invalid argument"
		}
	}
	if name == "" {
		return msg
	}
	return fmt.Sprintf("%s: %s", name, msg)
}

func errnoOf(err error) int {
	var no syscall.Errno
	switch {
	case errors.As(err, &no):
		return int(no)
	case errors.Is(err, fs.ErrNotExist):
		return int(syscall.ENOENT)
	case errors.Is(err, fs.ErrClosed):
		return int(syscall.EBADF)
	}
	return 0
}
