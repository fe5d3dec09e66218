package gitrepo

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// errSilent is the error of a git that was killed because it said nothing.
var errSilent = errors.New("git waits for something, such as a named pipe among the repository's files")

// impatient reads the output of a git and kills it when a single reading takes
// longer than the limit.
type impatient struct {
	from  io.Reader
	limit time.Duration
	kill  func() error
}

func (i *impatient) Read(b []byte) (int, error) {
	timer := time.AfterFunc(i.limit, func() { i.kill() })
	n, err := i.from.Read(b)
	if !timer.Stop() && err != nil {
		err = fmt.Errorf("%w; it was ended after %v", errSilent, i.limit)
	}
	return n, err
}
