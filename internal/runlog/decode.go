package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// Entry is one line of a command's log.
type Entry struct {
	At     time.Time
	Stream Stream
	Whole  bool // the content ends a line of output
	Note   bool // quire's own words, no output
	Text   []byte
}

// AppendOutput appends the bytes of output that the entry stands for.
func (e Entry) AppendOutput(b []byte) []byte {
	if e.Note {
		return b
	}
	b = append(b, e.Text...)
	if e.Whole {
		b = append(b, '\n')
	}
	return b
}

// ParseEntry reads one line of a log, without its newline. Text shares line's
// memory.
func ParseEntry(line []byte) (Entry, error) {
	var e Entry
	stamp, rest, ok1 := bytes.Cut(line, []byte(" "))
	stream, rest, ok2 := bytes.Cut(rest, []byte(" "))
	tags, text, ok3 := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 || !ok3 {
		return e, errors.New("log line without time, stream, tag and content")
	}
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return e, fmt.Errorf("log line with the time %q", stamp)
	}
	e.At, e.Stream, e.Text = at, Stream(stream), text
	if e.Stream != Stdout && e.Stream != Stderr {
		return e, fmt.Errorf("log line of the stream %q", stream)
	}
	tag, more, _ := bytes.Cut(tags, []byte(":"))
	switch string(tag) {
	case "F":
		e.Whole = true
	case "P":
	default:
		return e, fmt.Errorf("log line with the tag %q", tag)
	}
	for len(more) > 0 {
		tag, more, _ = bytes.Cut(more, []byte(":"))
		e.Note = e.Note || string(tag) == "quire"
	}
	return e, nil
}

// Decoder takes a log's bytes in any portions and hands out its entries: it
// serves a whole file and a followed one alike. Lines that are none (a crash
// tore them) are skipped and counted.
type Decoder struct {
	// Entry is called for each line; its Text is valid only during the call.
	Entry func(Entry) error

	Skipped int
	rest    []byte
}

// maxLine bounds what a decoder holds of a line without end; our own lines are
// shorter.
const maxLine = maxPiece + 4<<10

// Write takes the next bytes of the log.
func (d *Decoder) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		line := p[:i]
		if len(d.rest) > 0 {
			d.rest = append(d.rest, line...)
			line = d.rest
		}
		p = p[i+1:]
		e, err := ParseEntry(line)
		d.rest = d.rest[:0]
		if err != nil {
			d.Skipped++
			continue
		}
		if err := d.Entry(e); err != nil {
			return n - len(p), err
		}
	}
	if len(d.rest) <= maxLine { // beyond it the line is none of ours: let it end unread
		d.rest = append(d.rest, p...)
	}
	return n, nil
}

// WriteOutput copies the bytes that a command wrote, both streams in the order
// of their arrival, from a log to w.
func WriteOutput(w io.Writer, log io.Reader) error {
	var buf []byte
	d := Decoder{Entry: func(e Entry) error {
		buf = e.AppendOutput(buf[:0])
		_, err := w.Write(buf)
		return err
	}}
	_, err := io.Copy(&d, log)
	return err
}
