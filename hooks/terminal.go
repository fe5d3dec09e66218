package hooks

import (
	"errors"
	"io"
	"time"

	"quire/internal/runlog"
)

// errStalled ends the watching of a client that takes no bytes any more.
var errStalled = errors.New("the client takes no more bytes")

// terminal is the pusher's side: git reads what the hook writes and carries it
// to the client. A client that was stopped, or whose network is gone, leaves
// the pipe full, and a write to it would last for ever.
//
// The descriptor is shared with git and other hooks, so it is not made
// non-blocking: their writes would begin to fail. Instead each write has a
// goroutine, which at a stall is left behind in its system call; nothing is
// written after that, and the hook's exit ends it. It is the one goroutine here
// that nobody waits for, because it cannot be.
type terminal struct {
	w     io.Writer
	stall time.Duration // 0: wait for ever
	err   error         // the first; nothing is written after it
}

// step is small enough that a slow client which still reads is seen to move.
const step = 4096

func (t *terminal) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && t.err == nil {
		n := min(len(p), step)
		t.err = t.writeOne(p[:n])
		if t.err == nil {
			written += n
			p = p[n:]
		}
	}
	return written, t.err
}

func (t *terminal) writeOne(p []byte) error {
	if t.stall <= 0 {
		_, err := t.w.Write(p)
		return err
	}
	// The caller may use its buffer again while a write is stalled.
	p = append([]byte(nil), p...)
	done := make(chan error, 1)
	go func() {
		_, err := t.w.Write(p)
		done <- err
	}()
	timer := time.NewTimer(t.stall)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errStalled
	}
}

// line writes one line that begins with a word git's client knows (error,
// warning, hint, success) and colours by itself. The text may quote anybody: a
// push option, a ref, a worker's last words.
func (t *terminal) line(text string) {
	text = runlog.Plain(text)
	if r := []rune(text); len(r) > maxLine {
		text = string(r[:maxLine]) + "…"
	}
	io.WriteString(t, text+"\n") // t.err keeps the error
}

// maxLine is more than any sentence of ours has, in characters.
const maxLine = 1000
