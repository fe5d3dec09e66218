package vm

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Interrupt is the context of a state in which one evaluation after the other
// can be broken off, as a person does it with Ctrl-C, and the state goes on: a
// context that ends would end the state with all its coroutines.
//
// Unlike other contexts it gives a new channel for each evaluation. The machine
// asks for it at every instruction.
type Interrupt struct {
	current atomic.Pointer[chan struct{}]

	mu      sync.Mutex
	running int // evaluations, one in another
	tripped bool
}

var errInterrupted = errors.New("interrupted")

// NewInterrupt makes one that has not happened.
func NewInterrupt() *Interrupt {
	i := new(Interrupt)
	i.renew()
	return i
}

func (i *Interrupt) renew() {
	c := make(chan struct{})
	i.current.Store(&c)
	i.tripped = false
}

// Begin starts an evaluation. end ends it, and has to be called before anything
// else runs in the state: also by the handler of the error that breaks it off.
// The second call of end does nothing.
func (i *Interrupt) Begin() (end func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.running++
	return sync.OnceFunc(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.running--
		if i.tripped {
			i.renew()
		}
	})
}

// Trip breaks the innermost evaluation off. It reports false when there is none,
// and when one has been told already and goes on, as a library call may.
func (i *Interrupt) Trip() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.running == 0 || i.tripped {
		return false
	}
	i.tripped = true
	close(*i.current.Load())
	return true
}

// Done is closed when the current evaluation is to end.
func (i *Interrupt) Done() <-chan struct{} { return *i.current.Load() }

// Err is not nil while Done is closed.
func (i *Interrupt) Err() error {
	select {
	case <-i.Done():
		return errInterrupted
	default:
		return nil
	}
}

// Deadline is part of a context: there is none.
func (i *Interrupt) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value is part of a context: there are none.
func (i *Interrupt) Value(any) any { return nil }
