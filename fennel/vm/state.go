package vm

import (
	"context"
	"io"
	"os"
	"sync"

	lua "github.com/yuin/gopher-lua"
)

// Kind says how much of Lua's library a state has.
type Kind int

const (
	// Full is the whole library of Lua 5.1, for programs of the person who
	// starts them.
	Full Kind = iota
	// Sandbox computes and nothing else, for programs of strangers.
	Sandbox
)

// Options describe a state. The zero value is a Full state without a deadline.
type Options struct {
	Kind Kind

	// Context stops the state when it ends. nil: nothing does. gopher-lua asks it
	// at every instruction, which makes calls 40 % and loops 15 % slower.
	Context context.Context

	// Limits bound single library calls. A field that is zero has the default
	// of the Kind; see [Limits].
	Limits Limits

	// Later adds what programs for Lua 5.4 look for and lua5.1 has not: table.pack,
	// unpack and move, math.tointeger, utf8. In a Sandbox only.
	Later bool

	// Searchers are appended to package.loaders behind the preload searcher.
	// Each is called with a module's name and returns a loader function, or a
	// string saying where it looked. A Full state puts its own searcher of
	// package.path behind them.
	Searchers []lua.LGFunction

	// Stdin, Stdout and Stderr are the standard files of io and of print. nil:
	// in a Full state the process's own; in a Sandbox, whose only use of them is
	// print, nothing is written.
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer

	// Exit is what os.exit calls, after the standard files are flushed. It must
	// not return. nil: os.Exit. Only a Full state has os.exit.
	Exit func(code int)
}

// Stack sizes. Lua 5.1 allows 20,000 nested calls (LUAI_MAXCALLS); the frames
// are taken in small pieces as they are needed. A registry slot is 16 bytes.
const (
	maxCallDepth       = 20_000
	registryStart      = 1024
	registryThread     = 128
	registryGrowStep   = 4096
	registryMaxSandbox = 1 << 20
	registryMaxFull    = 1 << 22
)

// New makes a state. It never fails. Release it with [Close].
func New(opts Options) *lua.LState {
	registryMax := registryMaxFull
	if opts.Kind == Sandbox {
		registryMax = registryMaxSandbox
	}
	L := lua.NewState(lua.Options{
		CallStackSize:       maxCallDepth,
		MinimizeStackMemory: true,
		RegistrySize:        registryStart,
		RegistryMaxSize:     registryMax,
		RegistryGrowStep:    registryGrowStep,
		SkipOpenLibs:        true,
	})
	// Threads are made from the state's options: they start smaller.
	L.Options.RegistrySize = registryThread
	// The first call of a state makes it the main thread; coroutine.running and
	// the frames of Go functions called before that need it now.
	L.G.MainThread = L
	L.G.CurrentThread = L
	if opts.Context != nil {
		L.SetContext(opts.Context)
	}

	m := newMachine(L, opts)
	keepOuterUpvalues(L)
	if opts.Kind == Sandbox {
		m.openSandbox(L, opts.Later)
	} else {
		m.openFull(L)
	}
	return L
}

// Close releases the state: coroutines that never finished are unwound,
// buffered output is written, temporary files go. Calling it twice is allowed.
// The state must not be running.
func Close(L *lua.LState) {
	if L.IsClosed() {
		return
	}
	if m := machineOf(L); m != nil {
		m.release()
	}
	L.Close()
}

// machine is what this package knows about one state and all its threads.
type machine struct {
	kind   Kind
	limits Limits
	main   *lua.LState
	stdout io.Writer
	stdin  io.Reader
	stderr io.Writer
	exit   func(int)

	searchers []lua.LGFunction
	fibers    *fibers
	random    *random
	files     *files
}

// lockedWriter lets a state and the copier of a command's output write to one
// writer of the embedder's.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// oneAtATime leaves files alone, which commands inherit.
func oneAtATime(w io.Writer) io.Writer {
	switch w.(type) {
	case nil, *os.File:
		return w
	}
	return &lockedWriter{w: w}
}

// registryKey is where a state keeps its machine. Lua code reaches the registry
// only through debug.getregistry, which a Sandbox has not.
const registryKey = "quire.vm"

func newMachine(L *lua.LState, opts Options) *machine {
	m := &machine{
		kind:      opts.Kind,
		limits:    opts.Limits.withDefaults(opts.Kind),
		main:      L,
		stdin:     opts.Stdin,
		stdout:    opts.Stdout,
		stderr:    opts.Stderr,
		exit:      opts.Exit,
		searchers: opts.Searchers,
	}
	if m.kind == Full {
		if m.stdin == nil {
			m.stdin = os.Stdin
		}
		if m.stdout == nil {
			m.stdout = os.Stdout
		}
		if m.stderr == nil {
			m.stderr = os.Stderr
		}
		if m.exit == nil {
			m.exit = os.Exit
		}
	}
	if m.stdout == nil {
		m.stdout = io.Discard
	}
	same := m.stdout == m.stderr
	m.stdout = oneAtATime(m.stdout)
	m.stderr = oneAtATime(m.stderr)
	if same {
		m.stderr = m.stdout
	}
	m.fibers = newFibers(m.limits.Coroutines)
	L.G.Registry.RawSetString(registryKey, &lua.LUserData{Value: m, Metatable: lua.LNil})
	return m
}

// machineOf finds the machine of a state or of one of its threads; nil for a
// state that New did not make.
func machineOf(L *lua.LState) *machine {
	ud, ok := L.G.Registry.RawGetString(registryKey).(*lua.LUserData)
	if !ok {
		return nil
	}
	m, _ := ud.Value.(*machine)
	return m
}

func (m *machine) release() {
	m.fibers.stopAll()
	if m.files != nil {
		m.files.closeAll()
	}
}
