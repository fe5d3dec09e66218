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
	mu  sync.Mutex
	f   *os.File
	err error
}

// Append opens a file for adding lines to its end, making it if it is missing.
// A last line that a crash left without its end is ended first.
func Append(path string) (*Appender, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open for appending: %w", err)
	}
	if st, err := f.Stat(); err == nil && st.Size() > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, st.Size()-1); err == nil && last[0] != '\n' {
			f.Write([]byte("\n")) // a full disk shows at the next line
		}
	}
	return &Appender{f: f}, nil
}

// Line adds text and a newline, if it has none at its end. Text may itself hold
// newlines.
func (a *Appender) Line(text masked.Text) error {
	return a.write(append([]byte(strings.TrimSuffix(text.String(), "\n")), '\n'))
}

// Record adds an event.
func (a *Appender) Record(r event.Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return a.write(append(line, '\n'))
}

func (a *Appender) write(line []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.f.Write(line); err != nil {
		if a.err == nil {
			a.err = err
		}
		return err
	}
	return nil
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

// Records reads a run's events. A run without any has none; a line that a
// crash tore is left out.
func (d Dir) Records() ([]event.Record, error) {
	f, err := os.Open(d.Events())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer f.Close()
	return ParseRecords(f)
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
