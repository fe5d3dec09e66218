package vm

import (
	"errors"
	"iter"
	"runtime"
	"sync"
	"time"
	"weak"

	lua "github.com/yuin/gopher-lua"
)

// A fiber is a coroutine. gopher-lua's own coroutines cannot yield out of
// anything that Go called: pcall, a metamethod, an iterator, a comparison in a
// sort; the machine crashes. A fiber has a Go stack of its own (iter.Pull, whose
// switch is direct and costs less than a channel), so that it can be suspended
// anywhere.
//
// A Go stack that waits is never collected, so that Lua programs do not see the
// state that runs: they hold a handle, an empty state whose Parent is the real
// one. When the last reference to the handle is gone, or the state is closed,
// the stack is unwound (by Goexit, which no pcall catches).
type fiber struct {
	set   *fibers
	exec  *lua.LState // runs the function; never seen by Lua
	self  weak.Pointer[lua.LState]
	state fiberState

	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	once  sync.Once

	values []lua.LValue // handed over at each switch, in either direction
	err    error        // what ended it
}

type fiberState string

const (
	suspended fiberState = "suspended"
	running   fiberState = "running"
	normal    fiberState = "normal" // waits for one that it resumed
	dead      fiberState = "dead"
)

// fibers are those of a state that are not dead. The lock is for the runtime's
// cleanups, which run on a goroutine of their own.
type fibers struct {
	mu     sync.Mutex
	byExec map[*lua.LState]*fiber
	limit  int
	ended  chan struct{} // holds one token if any ended since it was last taken
}

func newFibers(limit int) *fibers {
	return &fibers{limit: limit, ended: make(chan struct{}, 1)}
}

func (fs *fibers) alive() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(fs.byExec)
}

// collectTime is how long a program that is at its limit waits for the runtime
// to find out which coroutines nobody holds any more.
const collectTime = 500 * time.Millisecond

// room tells whether there may be another one.
func (fs *fibers) room() bool {
	if fs.alive() < fs.limit {
		return true
	}
	runtime.GC()
	patience := time.NewTimer(collectTime)
	defer patience.Stop()
	for fs.alive() >= fs.limit {
		select {
		case <-fs.ended:
		case <-patience.C:
			return false
		}
	}
	return true
}

// of is the fiber that a state runs; nil for the main thread.
func (fs *fibers) of(exec *lua.LState) *fiber {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.byExec[exec]
}

// start makes a suspended coroutine and returns its handle.
func (fs *fibers) start(L *lua.LState, fn *lua.LFunction) *lua.LState {
	if !fs.room() {
		raisef(L, "too many coroutines (limit %d)", fs.limit)
	}
	exec, cancel := L.NewThread()
	if cancel != nil {
		// The state's own context, not a child of it: the end of an Interrupt's
		// evaluation is not that of the coroutines.
		cancel()
		exec.SetContext(L.Context())
	}
	exec.Panic = L.Panic
	handle := &lua.LState{G: L.G, Env: L.Env, Parent: exec, Options: L.Options}
	f := &fiber{set: fs, exec: exec, self: weak.Make(handle), state: suspended}
	f.next, f.stop = iter.Pull(func(yield func(struct{}) bool) {
		f.yield = yield
		exec.Push(fn)
		for _, v := range f.values {
			exec.Push(v)
		}
		f.err = protect(exec, len(f.values), lua.MultRet, nil)
		f.values = stackValues(exec, 1)
	})
	fs.mu.Lock()
	if fs.byExec == nil {
		fs.byExec = make(map[*lua.LState]*fiber)
	}
	fs.byExec[exec] = f
	fs.mu.Unlock()
	runtime.AddCleanup(handle, (*fiber).unwind, f)
	return handle
}

// handle is what Lua knows the fiber by. It is alive while the fiber runs,
// because resume holds it.
func (f *fiber) handle() lua.LValue {
	if h := f.self.Value(); h != nil {
		return h
	}
	return lua.LNil
}

// fiberOf is the fiber of a handle; nil if it is dead, or no handle.
func (fs *fibers) fiberOf(handle *lua.LState) *fiber {
	if handle.Parent == nil {
		return nil
	}
	return fs.of(handle.Parent)
}

func (fs *fibers) status(L, th *lua.LState) fiberState {
	if f := fs.fiberOf(th); f != nil {
		return f.state
	}
	if th == L.G.MainThread {
		if L == th {
			return running
		}
		return normal
	}
	return dead
}

// resume runs the coroutine th of L's machine with L's arguments from first on,
// until it yields or ends. What it yields is pushed; n is how many. L's stack
// below first is left alone.
func resume(L, th *lua.LState, first int) (n int, err error) {
	fs := machineOf(L).fibers
	if s := fs.status(L, th); s != suspended {
		return 0, errors.New("cannot resume " + string(s) + " coroutine")
	}
	f := fs.fiberOf(th)
	f.values = stackValues(L, first)
	L.SetTop(first - 1)

	from, current := fs.of(L), L.G.CurrentThread
	if from != nil {
		from.state = normal
	}
	f.state = running
	L.G.CurrentThread = th
	_, alive := f.next()
	L.G.CurrentThread = current
	if from != nil {
		from.state = running
	}
	if alive {
		f.state = suspended
	} else {
		f.end(th)
	}
	runtime.KeepAlive(th)
	checkContext(L)
	if f.err != nil {
		return 0, f.err
	}
	for _, v := range f.values {
		L.Push(v)
	}
	n = len(f.values)
	f.values = nil
	return n, nil
}

// suspend hands values to the resumer and returns those of the next resume.
func (f *fiber) suspend(values []lua.LValue) []lua.LValue {
	f.values = values
	if !f.yield(struct{}{}) {
		runtime.Goexit() // nobody will ever resume it
	}
	values, f.values = f.values, nil
	return values
}

func (f *fiber) end(handle *lua.LState) {
	f.state = dead
	if handle != nil {
		handle.Dead = true
	}
	f.set.mu.Lock()
	delete(f.set.byExec, f.exec)
	f.set.mu.Unlock()
	select {
	case f.set.ended <- struct{}{}:
	default:
	}
}

// unwind ends a suspended fiber and waits until its stack is gone. No Lua code
// runs any more.
func (f *fiber) unwind() {
	f.once.Do(func() {
		// stop passes the fiber's Goexit on to its caller.
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.stop()
		}()
		<-done
		f.end(nil)
	})
}

func (fs *fibers) stopAll() {
	fs.mu.Lock()
	all := make([]*fiber, 0, len(fs.byExec))
	for _, f := range fs.byExec {
		all = append(all, f)
	}
	fs.mu.Unlock()
	for _, f := range all {
		f.unwind()
	}
}
