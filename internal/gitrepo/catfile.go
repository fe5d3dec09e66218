package gitrepo

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// catMode is how a `git cat-file` is asked.
type catMode string

// Git 2.36 and newer has one that is asked for either, object by object; before,
// there is one for each.
const (
	catBoth     catMode = "--batch-command"
	catInfo     catMode = "--batch-check"
	catContents catMode = "--batch"
)

// asksApart says that this machine's git is older than --batch-command.
var asksApart atomic.Bool

// catFile is a running `git cat-file`.
type catFile struct {
	mode   catMode
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr boundedBuffer
}

// ask starts the child if there is none and asks it about objects; the answers
// are the caller's to read.
func (s *gitPlumbing) ask(what catMode, oids ...string) (*catFile, error) {
	for {
		mode := catBoth
		if asksApart.Load() {
			mode = what
		}
		c, err := s.start(mode)
		if err != nil {
			return nil, err
		}
		var lines strings.Builder
		for _, oid := range oids {
			switch {
			case mode != catBoth:
			case what == catInfo:
				lines.WriteString("info ")
			default:
				lines.WriteString("contents ")
			}
			lines.WriteString(oid + "\n")
		}
		_, err = io.WriteString(c.in, lines.String())
		if err == nil {
			// An option that git does not know ends it before it answers anything.
			_, err = c.out.Peek(1)
		}
		if err == nil {
			return c, nil
		}
		err = s.died(c, oids[0], err)
		if mode != catBoth || !strings.Contains(err.Error(), "unknown option") {
			return nil, err
		}
		asksApart.Store(true)
	}
}

func (s *gitPlumbing) start(mode catMode) (*catFile, error) {
	if c := s.asked[mode]; c != nil {
		return c, nil
	}
	c := &catFile{mode: mode, cmd: s.command("cat-file", string(mode))}
	c.cmd.Stderr = &c.stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.startHeld(c.cmd); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	c.in, c.out = in, bufio.NewReaderSize(&impatient{from: out, limit: s.answering, kill: c.cmd.Process.Kill}, 64<<10)
	s.asked[mode] = c
	return c, nil
}

// startHeld starts a git that may take childMemory and childTime. It is held
// from the moment after its start, before it has been asked anything that takes
// long. Data is what is limited, and not address space: git maps packs of any
// size.
func (s *gitPlumbing) startHeld(c *exec.Cmd) error {
	if err := c.Start(); err != nil {
		return err
	}
	for resource, limit := range map[int]uint64{unix.RLIMIT_DATA: s.memory, unix.RLIMIT_CPU: childTime} {
		err := unix.Prlimit(c.Process.Pid, resource, &unix.Rlimit{Cur: limit, Max: limit}, nil)
		if err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.EPERM) { // it has ended; its limit is lower already
			c.Process.Kill()
			c.Wait()
			return fmt.Errorf("limit its memory: %w", err)
		}
	}
	return nil
}

// end lets a child end by itself.
func (c *catFile) end() error {
	c.in.Close()
	io.Copy(io.Discard, c.out)
	return c.cmd.Wait()
}

// died ends a child that broke off and says why; the next reading starts
// another.
func (s *gitPlumbing) died(c *catFile, oid string, cause error) error {
	delete(s.asked, c.mode)
	c.in.Close()
	c.cmd.Process.Kill()
	c.cmd.Wait() // the reason is on standard error; the kill's status is ours
	said := c.stderr.String()
	switch {
	case errors.Is(cause, ErrTooLarge):
		return cause
	case errors.Is(cause, errSilent):
		return fmt.Errorf("read %.12s: %w", oid, cause)
	case notHere(firstFatal(said)):
		return fmt.Errorf("%.12s: %w", oid, ErrNotFound)
	case said != "":
		return fmt.Errorf("read %.12s: %w", oid, s.meaning(said))
	}
	return fmt.Errorf("git cat-file: %w", cause)
}

func (s *gitPlumbing) missing(c *catFile, oid string) error {
	delete(s.asked, c.mode)
	c.end()
	said := c.stderr.String()
	if said != "" && !notHere(firstFatal(said)) {
		return fmt.Errorf("object %.12s is corrupt: %w", oid, s.meaning(said))
	}
	return fmt.Errorf("%.12s: %w", oid, ErrNotFound)
}

// meaning makes an error of what git wrote to standard error.
func (s *gitPlumbing) meaning(stderr string) error {
	// After which it may go on, and call the object corrupt.
	if strings.Contains(strings.ToLower(stderr), "out of memory") {
		return fmt.Errorf("%w: git needs more than %d MiB of memory for it", ErrTooLarge, s.memory>>20)
	}
	return errors.New(firstFatal(stderr))
}

// notHere reports git's words for an object that only the remote of a partial
// clone has.
func notHere(said string) bool {
	return strings.Contains(said, "promisor remote") || strings.Contains(said, "lazy fetching disabled") ||
		strings.HasPrefix(said, "transport ")
}

// firstFatal is git's own reason: its last fatal line, else its first.
func firstFatal(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if said, ok := strings.CutPrefix(lines[i], "fatal: "); ok {
			return said
		}
	}
	return strings.TrimPrefix(lines[0], "error: ")
}

// boundedBuffer is standard error, written by os/exec's goroutine while the
// child runs. It keeps the beginning.
type boundedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := 8<<10 - b.buf.Len(); room > 0 {
		b.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (b *boundedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// eachLine reads lines of at most 64 KiB.
func eachLine(r io.Reader, each func(line string) error) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if err := each(lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}
