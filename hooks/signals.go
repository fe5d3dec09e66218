package hooks

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"unsafe"
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

// obey gives the endings their usual effect back, for the process that is
// started next and, since nothing is left to be lost, for this one. os/signal
// can do it too, at 0.2 ms; a push with wait=none does not wait for that.
func obey() {
	var usual [4]uintptr // a struct sigaction of zeros is SIG_DFL (rt_sigaction(2))
	const maskSize = 8   // bytes; on a machine where it is another the call fails and the signals stay ignored
	for _, s := range endings {
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s.(syscall.Signal)), uintptr(unsafe.Pointer(&usual)), 0, maskSize, 0, 0)
	}
}
