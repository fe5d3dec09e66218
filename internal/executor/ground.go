package executor

import (
	"context"
	"io"
)

// Ground is where a run's processes on this machine are held: its cgroup and its
// limits. It is made before the executor, for what quire itself starts on a
// run's behalf works on what was pushed, too; the executor takes it over.
type Ground interface {
	// Own runs a program of quire's own choice, found in its PATH, as Exec does a
	// command. Its data is held to memory bytes, unless the run has a limit of
	// its own.
	Own(ctx context.Context, c Command, memory int64, out io.Writer) (Exit, error)

	// Close gives everything back. More calls do nothing.
	Close() error
}
