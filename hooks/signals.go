package hooks

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// endings are the signals by which a push ends early: ctrl-C in the same
// terminal, a closed connection, a client that reads no more.
var endings = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE}

// shrug makes the endings do nothing. It is for the stretch in which the push is
// written down, and costs a tenth of what heed does (300 µs, which every push
// would pay).
func shrug() { signal.Ignore(endings...) }

// heed makes the endings end a context. It must be called before a process is
// started: one that is ignored would be ignored there too, while one that is
// caught is not. Nothing gives them back, since the process ends soon.
func heed() context.Context {
	ctx, _ := signal.NotifyContext(context.Background(), endings...)
	return ctx
}
