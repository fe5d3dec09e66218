package runlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

// Appender adds lines to a file, each by one write, so that a reader or a
// crash never meets half of two.
type Appender struct {
	mu    sync.Mutex
	f     *os.File
	size  int64
	bound int64 // of size, in bytes; 0: none
	cut   bool  // the bound was met, and the file says so
	err   error
}

// Bounds of a run's files, in bytes on disk. A pipeline says how much is written
// to them, so each has a place where it ends; what is needed to know how the run
// ended is written all the same.
const (
	MaxEvents = 16 << 20 // events.jsonl
	MaxReport = 4 << 20  // push.log
)

// Bound sets how large the file may become. Call it before anything is added.
func (a *Appender) Bound(bytes int64) *Appender {
	a.bound = bytes
	return a
}

// Append opens a file for adding lines to its end, making it if it is missing.
// A last line that a crash left without its end is ended first.
func Append(path string) (*Appender, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open for appending: %w", err)
	}
	a := &Appender{f: f}
	if st, err := f.Stat(); err == nil && st.Size() > 0 {
		a.size = st.Size()
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, st.Size()-1); err == nil && last[0] != '\n' {
			f.Write([]byte("\n")) // a full disk shows at the next line
		}
	}
	return a, nil
}

// Line adds text and a newline, if it has none at its end. Text may itself hold
// newlines. What would make the file larger than its bound is left out; the first
// time, a line says so.
func (a *Appender) Line(text masked.Text) error {
	cut := fmt.Sprintf("warning: this report is longer than %d MiB; what follows is left out\n", a.bound>>20)
	return a.add(lineOf(text), []byte(cut))
}

// LastLine is Line for the line that ends a report: it is added in any case.
func (a *Appender) LastLine(text masked.Text) error { return a.add(lineOf(text), nil) }

func lineOf(text masked.Text) []byte {
	return append([]byte(strings.TrimSuffix(text.String(), "\n")), '\n')
}

// Record adds an event. One that would make the file larger than its bound is
// left out, unless it is needed; the first time, an event says so.
func (a *Appender) Record(r event.Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if r.Type.Needed() {
		return a.add(append(line, '\n'), nil)
	}
	cut, err := json.Marshal(event.Record{AtMS: r.AtMS, Type: event.EventsCut})
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return a.add(append(line, '\n'), append(cut, '\n'))
}

// add writes a line; with marker, only if the file has room for it, and else the
// marker, once.
func (a *Appender) add(line, marker []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if marker != nil && a.bound > 0 && a.size+int64(len(line)) > a.bound {
		if a.cut {
			return nil
		}
		a.cut = true
		line = marker
	}
	n, err := a.f.Write(line)
	a.size += int64(n)
	if err != nil && a.err == nil {
		a.err = err
	}
	return err
}

// Close closes the file. Its error is the first that writing met.
func (a *Appender) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.f.Close()
	if a.err != nil {
		return a.err
	}
	return err
}

// Ends reads a run's first and last event, and nothing between them; both are
// zero if there is none.
func (d Dir) Ends() (first, last event.Record, err error) {
	f, err := os.Open(d.Events())
	if errors.Is(err, fs.ErrNotExist) {
		return first, last, nil
	}
	if err != nil {
		return first, last, fmt.Errorf("read events: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return first, last, fmt.Errorf("read events: %w", err)
	}
	begin, err := ParseRecords(io.NewSectionReader(f, 0, min(st.Size(), endSize)))
	if err != nil {
		return first, last, err
	}
	end, err := ParseRecords(io.NewSectionReader(f, max(0, st.Size()-endSize), endSize))
	if err != nil {
		return first, last, err
	}
	if len(begin) > 0 {
		first = begin[0]
	}
	if len(end) > 0 {
		last = end[len(end)-1]
	}
	return first, last, nil
}

// endSize is more than a few events take: their texts are cut at 16 KiB, which
// JSON can make six times as long.
const endSize = 512 << 10

// Records reads a run's events, as far as they are within twice the bound that
// newer files have. A run without any has none; a line that a crash tore is left
// out.
func (d Dir) Records() ([]event.Record, error) {
	f, err := os.Open(d.Events())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer f.Close()
	return ParseRecords(io.LimitReader(f, 2*MaxEvents))
}

// ParseRecords reads events, one a line.
func ParseRecords(r io.Reader) ([]event.Record, error) {
	var out []event.Record
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadBytes('\n')
		var rec event.Record
		if json.Unmarshal(line, &rec) == nil && rec.Type != "" {
			out = append(out, rec)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("read events: %w", err)
		}
	}
}
