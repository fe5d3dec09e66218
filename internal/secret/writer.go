package secret

import (
	"errors"
	"io"
	"sync"
)

// Writer redacts one stream. Each of a command's two outputs needs its own:
// what one says does not go on in the other.
//
// It passes on at once all that cannot become part of a secret any more, and
// holds back the rest: at most the longest form of a secret (and line breaks in
// it), whatever is written. At the end of the stream call Flush or Close.
//
// Colours and the like are passed on, and take no part in what is a secret
// (sequences). All places are those of the text without them.
//
// Writes may come from several goroutines; each is then one piece of the stream.
type Writer struct {
	redactor *Redactor
	to       io.Writer

	mu     sync.Mutex
	scan   scanner
	drawn  sequences
	held   []byte // the stream's last bytes read, from heldAt on
	heldAt int64
	next   int64 // what is written next: heldAt, or the start of a mark before it
	out    []byte
	err    error // the first of to's, which every later call returns
}

// block bounds what is scanned, and put together for one write, at a time.
const block = 64 << 10

var errClosed = errors.New("write to a redacting writer that is closed")

// Write takes all of p, unless the writer behind fails.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.adopt()
	if w.scan.m == nil {
		n, err := w.to.Write(p)
		w.err = err
		return n, err
	}
	for rest := p; len(rest) > 0; {
		data := rest[:min(len(rest), block)]
		rest = rest[len(data):]
		text, cuts := w.drawn.strip(data, w.heldAt+int64(len(w.held)))
		at := 0
		for _, cut := range cuts {
			w.scan.scan(text[at:cut])
			w.scan.forget()
			at = cut
		}
		w.scan.scan(text[at:])
		if err := w.pass(text, w.scan.undecided()); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Flush writes what is held back: the stream has ended, or whoever writes knows
// that what comes next does not belong to what came before.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

// Close flushes; the writer behind is not closed. Closing twice does nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == errClosed {
		return nil
	}
	err := w.flush()
	if w.err == nil {
		w.err = errClosed
	}
	return err
}

func (w *Writer) flush() error {
	if w.err != nil {
		return w.err
	}
	w.adopt()
	if w.scan.m == nil {
		return nil
	}
	rest := w.drawn.rest()
	w.scan.scan(rest)
	w.scan.forget()
	return w.pass(rest, w.scan.plain.pos)
}

// adopt looks at what is held with the secrets that are known now.
func (w *Writer) adopt() {
	m := w.redactor.matcher()
	if m == w.scan.m {
		return
	}
	w.scan.use(m, w.heldAt)
	w.scan.scan(w.held)
}

// pass writes the stream up to end, and holds the rest; data is its last part,
// after what is held.
func (w *Writer) pass(data []byte, end int64) error {
	base := w.heldAt + int64(len(w.held))
	end = max(end, w.heldAt)
	taken := 0
	for _, m := range w.scan.marks {
		if m.end > end {
			break
		}
		w.copy(data, base, m.start)
		w.out = append(w.out, marker(m.name)...)
		w.next, w.drawn.until = m.end, m.end
		taken++
	}
	w.scan.marks = append(w.scan.marks[:0], w.scan.marks[taken:]...)
	stop := end
	if len(w.scan.marks) > 0 {
		stop = min(stop, w.scan.marks[0].start)
	}
	err := w.send(data, base, stop)
	w.scan.floor = max(w.scan.floor, stop)

	if end >= base {
		w.held = append(w.held[:0], data[end-base:]...)
	} else {
		w.held = append(w.held[:copy(w.held, w.held[end-w.heldAt:])], data...)
	}
	w.heldAt = end
	return err
}

// copy puts the stream's bytes from next to end after what is put together, and what
// they are drawn with.
func (w *Writer) copy(data []byte, base, end int64) {
	w.drawn.upTo(end, func(at int64, text string) {
		w.copyText(data, base, at)
		w.out = append(w.out, text...)
	})
	w.copyText(data, base, end)
}

func (w *Writer) copyText(data []byte, base, end int64) {
	if w.next < base && w.next < end {
		w.out = append(w.out, w.held[w.next-w.heldAt:min(end, base)-w.heldAt]...)
		w.next = min(end, base)
	}
	if w.next < end {
		w.out = append(w.out, data[w.next-base:end-base]...)
		w.next = end
	}
}

// send writes the bytes up to end and all that was put together before, in one
// write, and without copying where they are one piece.
func (w *Writer) send(data []byte, base, end int64) error {
	if len(w.out) == 0 && len(w.drawn.left) == 0 && w.next >= base && w.next < end {
		_, w.err = w.to.Write(data[w.next-base : end-base])
		w.next = end
		return w.err
	}
	w.copy(data, base, end)
	if len(w.out) == 0 {
		return nil
	}
	_, w.err = w.to.Write(w.out)
	w.out = w.out[:0]
	return w.err
}
