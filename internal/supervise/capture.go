package supervise

import (
	"io"
	"sync"

	"quire/internal/runlog"
	"quire/internal/secret"
)

// capture takes one output of a command: the real bytes for the pipeline, up to
// maxCapture, and the redacted ones for the log and for the report.
type capture struct {
	mu        sync.Mutex
	kept      []byte
	truncated bool

	redacted *secret.Writer
	log      io.Writer // nil: there is none
	tail     tail
}

func newCapture(red *secret.Redactor, log *runlog.Log, s runlog.Stream) *capture {
	c := &capture{}
	if log != nil {
		c.log = log.Stream(s)
	}
	c.redacted = red.Writer(writerFunc(func(p []byte) (int, error) {
		if c.log != nil {
			c.log.Write(p) // takes everything; its Close tells
		}
		c.tail.add(p)
		return len(p), nil
	}))
	return c
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Write never fails: what a log could not keep must not end the command.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := maxCapture - len(c.kept)
	if room < len(p) {
		c.truncated = true
	}
	c.kept = append(c.kept, p[:min(room, len(p))]...)
	c.redacted.Write(p)
	return len(p), nil
}

// end passes on what redaction held back.
func (c *capture) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.redacted.Close()
}

func (c *capture) bytes() []byte { return c.kept }

// tail is the last bytes of a stream.
type tail struct {
	buf []byte
}

// tailSize is more than the lines that a report shows take.
const tailSize = 8 << 10

func (t *tail) add(p []byte) {
	if len(p) >= tailSize {
		t.buf = append(t.buf[:0], p[len(p)-tailSize:]...)
		return
	}
	if over := len(t.buf) + len(p) - tailSize; over > 0 {
		t.buf = t.buf[:copy(t.buf, t.buf[over:])]
	}
	t.buf = append(t.buf, p...)
}

// tailOf is the end of what a failed command said: its complaints, or, if it
// made none, its output.
func tailOf(out, errw *capture) string {
	if len(errw.tail.buf) > 0 {
		return string(errw.tail.buf)
	}
	return string(out.tail.buf)
}
