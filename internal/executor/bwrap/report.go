package bwrap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"quire/internal/executor/local"
)

// report is what bwrap tells of itself (--json-status-fd): one object when the
// sandbox is made, with its first process's number, and one with the exit
// status, which is missing if the command was not executed.
type report struct {
	r, end *os.File
	read   []byte
}

func openReport() (*report, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("a pipe for the sandbox's status: %w", err)
	}
	return &report{r: r, end: w}, nil
}

func (r *report) close() {
	r.r.Close()
	r.end.Close()
}

// take reads what is there. bwrap has ended; processes of the sandbox that are
// being killed may still hold the pipe.
func (r *report) take() []byte {
	if n := local.Buffered(r.r); n > 0 {
		b := make([]byte, n)
		if _, err := io.ReadFull(r.r, b); err == nil {
			r.read = append(r.read, b...)
		}
	}
	return r.read
}

// keeper is the number of the sandbox's first process, 0 if there was none.
func (r *report) keeper() int {
	var made struct {
		PID int `json:"child-pid"`
	}
	if json.NewDecoder(bytes.NewReader(r.take())).Decode(&made) != nil {
		return 0
	}
	return made.PID
}

// ran says whether the command was executed.
func (r *report) ran() bool { return bytes.Contains(r.take(), []byte(`"exit-code"`)) }
