package supervise

import (
	"sync"

	"quire/internal/runlog"
	"quire/internal/secret"
	"quire/internal/secret/masked"
)

// capture takes one output of a command: the real bytes for the pipeline, up to
// maxCapture, and the redacted ones for the log and for the report.
type capture struct {
	mu        sync.Mutex
	kept      []byte
	truncated bool

	redacted *secret.Writer
	tail     tail
}

func newCapture(red *secret.Redactor, log *runlog.Log, s runlog.Stream) *capture {
	c := &capture{}
	to := masked.NewSink(&c.tail)
	if log != nil {
		to = log.Stream(s).And(to) // takes everything; its Close tells
	}
	c.redacted = red.Into(to)
	return c
}

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

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) >= tailSize {
		t.buf = append(t.buf[:0], p[len(p)-tailSize:]...)
		return n, nil
	}
	if over := len(t.buf) + len(p) - tailSize; over > 0 {
		t.buf = t.buf[:copy(t.buf, t.buf[over:])]
	}
	t.buf = append(t.buf, p...)
	return n, nil
}

// tailOf is the end of what a failed command said: its complaints, or, if it
// made none, its output.
func tailOf(out, errw *capture) string {
	if len(errw.tail.buf) > 0 {
		return string(errw.tail.buf)
	}
	return string(out.tail.buf)
}
