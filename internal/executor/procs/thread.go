package procs

import "runtime"

// thread is a thread of this process that starts commands. What Linux keeps for each
// thread (cgroups of version 1, keyrings, system call filters), a child gets from
// the thread that made it; so nothing of a command is ever without.
type thread struct {
	work chan func()
	done chan struct{}
}

// newThread makes a thread, which enters first. It leaves before it ends; both may
// be nil.
func newThread(enter func() error, leave func()) (*thread, error) {
	t := &thread{work: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		defer close(t.done)
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		if enter != nil {
			if err := enter(); err != nil {
				ready <- err
				return
			}
		}
		close(ready)
		for f := range t.work {
			f()
		}
		if leave != nil {
			leave()
		}
	}()
	return t, <-ready
}

// do runs a function on the thread, and returns when it has.
func (t *thread) do(f func()) {
	done := make(chan struct{})
	t.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

func (t *thread) close() {
	close(t.work)
	<-t.done
}
