package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// input is a command's standard input: /dev/null, or the bytes as a file in
// memory, so that a command that reads none of them holds up nobody.
func input(b []byte) (*os.File, error) {
	if b == nil {
		return os.Open(os.DevNull)
	}
	fd, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	f := os.NewFile(uintptr(fd), "stdin")
	if _, err = f.Write(b); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return f, nil
}

// outlet is where a command's output goes.
type outlet interface {
	// silent is closed when nothing that still runs can write any more. It is
	// asked for when the started process has ended.
	silent() <-chan struct{}
	// finish is called when nothing is left to write.
	finish() error
}

// output carries what a command writes from two pipes to two writers.
type output struct {
	streams []*stream
	ends    []*os.File // the command's ends, until it has them
	done    chan struct{}
}

type stream struct {
	r   *os.File
	w   io.Writer
	err error
}

// chunk is how much is read at once, and depth how much the pipe of the
// standard output holds, if the user may have so much in pipes (pipe(7)): with
// the usual 64 KiB a command that writes much and its reader wait for each other
// a third of the time.
const (
	chunk = 256 << 10
	depth = 1 << 20
)

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// openOutput makes the pipes. When both writers are one, both streams share a
// pipe, which keeps their order and calls the writer from one goroutine.
func openOutput(stdout, stderr io.Writer) (*output, error) {
	o := &output{done: make(chan struct{})}
	writers := []io.Writer{stdout, stderr}
	if Same(stdout, stderr) {
		writers = writers[:1]
	}
	for i, w := range writers {
		r, end, err := os.Pipe()
		if err != nil {
			o.abandon()
			return nil, fmt.Errorf("a pipe for the command's output: %w", err)
		}
		if i == 0 {
			unix.FcntlInt(end.Fd(), unix.F_SETPIPE_SZ, depth)
		}
		if w == nil {
			w = io.Discard
		}
		o.streams = append(o.streams, &stream{r: r, w: w})
		o.ends = append(o.ends, end)
	}
	return o, nil
}

// Same says whether two writers are one.
func Same(a, b io.Writer) bool {
	defer func() { recover() }() // a writer of an incomparable type is nobody's double
	return a == b
}

func (o *output) stdout() *os.File { return o.ends[0] }
func (o *output) stderr() *os.File { return o.ends[len(o.ends)-1] }

// started begins to carry: the command has its ends, or there will be none.
func (o *output) started() {
	for _, f := range o.ends {
		f.Close()
	}
	o.ends = nil
	var all sync.WaitGroup
	for _, s := range o.streams {
		all.Go(s.carry)
	}
	go func() {
		all.Wait()
		close(o.done)
	}()
}

func (o *output) silent() <-chan struct{} { return o.done }

// abandon closes everything of a command that did not start.
func (o *output) abandon() {
	for _, f := range o.ends {
		f.Close()
	}
	for _, s := range o.streams {
		s.r.Close()
	}
}

// finish carries what is still in the pipes and closes them. Nothing of the
// command may be left to write. A process outside of it that has got hold of a
// pipe is not waited for.
func (o *output) finish() error {
	for _, s := range o.streams {
		s.r.SetReadDeadline(time.Now())
	}
	<-o.done
	var first error
	for _, s := range o.streams {
		s.r.Close()
		if first == nil {
			first = s.err
		}
	}
	return first
}

// carry copies until the end of the stream, or, once there is a deadline, what
// the pipe holds at that moment. A writer that fails does not stop the command:
// the rest is read and dropped.
func (s *stream) carry() {
	buf := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buf)
	left, last := 0, false
	for {
		b := buf[:]
		if last {
			if left <= 0 {
				return
			}
			b = b[:min(left, len(b))]
		}
		n, err := s.r.Read(b)
		left -= n
		if n > 0 && s.err == nil {
			if _, err := s.w.Write(b[:n]); err != nil {
				s.err = fmt.Errorf("keeping the command's output: %w", err)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && !last:
			last, left = true, s.buffered()
			s.r.SetReadDeadline(time.Time{})
		default:
			return
		}
	}
}

func (s *stream) buffered() int { return Buffered(s.r) }

// Buffered is how many bytes a pipe holds.
func Buffered(pipe *os.File) int {
	n := 0
	raw, err := pipe.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n
}
