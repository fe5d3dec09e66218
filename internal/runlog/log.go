package runlog

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"quire/internal/secret/masked"
)

// Stream is which of a command's two outputs a line came from.
type Stream string

// The streams of the CRI log format.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// stampLayout is RFC 3339 with all nine digits, so that lines align.
const stampLayout = "2006-01-02T15:04:05.000000000Z"

// maxPiece bounds the content of one log line; a longer line of output is
// written as several pieces. Readers need no larger buffer.
const maxPiece = 16 << 10

// maxNote bounds a line of quire's own, in bytes.
const maxNote = 4 << 10

// Log writes a command's output to a file in the format of Kubernetes' CRI
// logs (kubernetes/design-proposals-archive, node/kubelet-cri-logging.md):
//
//	2026-11-23T16:04:05.123456789Z stdout F a whole line
//	2026-11-23T16:04:05.123456790Z stdout P the beginning of one
//
// F ends a line of output, P does not; joining the contents gives the exact
// bytes back, binary or not. Each write of the command is appended at once, by
// one write of ours.
//
// The file has at most max bytes of output, times and all: a command that writes
// nothing but line ends would otherwise take 42 bytes for each. The rest of the
// output is counted and dropped, and lines with the tag F:quire, which are no output, say so: one where it
// begins, and one at the end with the number. All logs of a run have a bound
// together, too. (Readers of CRI logs must ignore
// tags that they do not know.)
type Log struct {
	mu      sync.Mutex
	w       io.WriteCloser
	max     int64
	budget  *Budget // of the run; nil: none
	kept    int64
	dropped int64
	buf     []byte
	err     error // the first that writing met; kept for Close
	now     func() time.Time
}

// CreateLog opens the log file at path, making its directory. An existing file
// is appended to. max is how many bytes of output the file may have on disk, and
// budget what all logs of the run may; nil is no such bound.
func CreateLog(path string, max int64, budget *Budget) (*Log, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	f, err := os.OpenFile(path, flags, 0o600)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			f, err = os.OpenFile(path, flags, 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := newLog(f, max)
	l.budget = budget
	if st, err := f.Stat(); err == nil {
		l.kept = st.Size()
	}
	return l, nil
}

func newLog(w io.WriteCloser, max int64) *Log {
	return &Log{w: w, max: max, now: time.Now}
}

// Stream is where one stream is recorded, once it is redacted. Writing there
// takes everything and returns no error, whatever happened to the file: a full disk
// must not end the command, or block it. Close tells.
func (l *Log) Stream(s Stream) masked.Sink { return masked.NewSink(l.stream(s)) }

func (l *Log) stream(s Stream) io.Writer { return streamWriter{l, s} }

type streamWriter struct {
	log    *Log
	stream Stream
}

func (w streamWriter) Write(p []byte) (int, error) {
	w.log.append(w.stream, p)
	return len(p), nil
}

func (l *Log) append(s Stream, p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	if l.err != nil {
		l.dropped += int64(n)
		return
	}
	l.buf = l.buf[:0]
	stamp := l.now().UTC()
	own := l.max - l.kept
	left := l.budget.hold()
	for len(p) > 0 && l.dropped == 0 {
		piece, tag, skip := p, byte('P'), 0
		if i := indexNewline(p); i >= 0 {
			piece, tag, skip = p[:i], 'F', 1
		}
		if len(piece) > maxPiece {
			piece, tag, skip = piece[:maxPiece], 'P', 0
		}
		room := min(own, left) - int64(len(l.buf)) - overhead(s)
		if room < 0 || room == 0 && skip == 0 {
			break
		}
		if int64(len(piece)) > room {
			piece, tag, skip = piece[:room], 'P', 0
		}
		l.line(stamp, s, tag, "", piece)
		p = p[len(piece)+skip:]
	}
	l.kept += int64(len(l.buf))
	l.budget.spend(int64(len(l.buf)))
	if len(p) > 0 {
		switch {
		case l.dropped > 0: // said already
		case left < own:
			l.line(stamp, s, 'F', ":quire", fmt.Appendf(nil, "the run's logs are full at %d bytes together ([log] max_run_bytes); what follows is counted and dropped", l.budget.max))
		default:
			l.line(stamp, s, 'F', ":quire", fmt.Appendf(nil, "log is full at %d bytes; what follows is counted and dropped", l.max))
		}
		l.dropped += int64(len(p))
	}
	if len(l.buf) > 0 {
		if _, err := l.w.Write(l.buf); err != nil {
			l.err = err
		}
	}
	if cap(l.buf) > 1<<20 { // one giant write must not be kept for ever
		l.buf = nil
	}
}

// overhead is what a line of the log takes beside its content, in bytes.
func overhead(s Stream) int64 {
	return int64(len(stampLayout) + 1 + len(s) + 1 + len("F ") + len("\n"))
}

// indexNewline looks no further than a piece can reach, or a long line of
// output would be searched again for each of its pieces.
func indexNewline(p []byte) int {
	return bytes.IndexByte(p[:min(len(p), maxPiece+1)], '\n')
}

func (l *Log) line(at time.Time, s Stream, tag byte, tags string, content []byte) {
	l.buf = at.AppendFormat(l.buf, stampLayout)
	l.buf = append(l.buf, ' ')
	l.buf = append(l.buf, s...)
	l.buf = append(l.buf, ' ', tag)
	l.buf = append(l.buf, tags...)
	l.buf = append(l.buf, ' ')
	l.buf = append(l.buf, content...)
	l.buf = append(l.buf, '\n')
}

// Note adds a line of quire's own, which readers show and do not take for
// output.
func (l *Log) Note(text masked.Text) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(text)
}

func (l *Log) note(text masked.Text) {
	if l.err != nil {
		return
	}
	l.buf = l.buf[:0]
	l.line(l.now().UTC(), Stderr, 'F', ":quire", []byte(oneLine(text.Cut(maxNote).String())))
	if _, err := l.w.Write(l.buf); err != nil {
		l.err = err
	}
}

func oneLine(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c == '\n' || c == '\r' {
			b[i] = ' '
		}
	}
	return string(b)
}

// Dropped is how many bytes of output were not kept so far.
func (l *Log) Dropped() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Close writes how many bytes were dropped, if any were, and closes the file.
// Its error is the first that writing met; the log is then only a beginning.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped > 0 {
		l.note(masked.Format("%d bytes were dropped", masked.Int(l.dropped)))
	}
	err := l.w.Close()
	if l.err != nil {
		err = l.err
	}
	if err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}
