package pipeline

import (
	"errors"
	"sync"

	lua "github.com/yuin/gopher-lua"
)

// Keys in a state's registry, which no sandboxed program can reach.
const (
	tableKey   = "quire.pipeline.table"   // the runtime table, from the making of the state to its end
	runtimeKey = "quire.pipeline.runtime" // the installed Runtime, wrapped
)

// outside is what using the runtime table outside a run-fn raises.
const outside = "runtime accessed outside a job — primitives are only available while a run-fn is executing"

// Runtime is what one attempt of one job may do. The functions in the runtime
// table do not refer to it; they find it on their state each time they are
// called, so that one which outlives the job holds nothing and does nothing.
type Runtime struct {
	job   *Job
	call  Call
	host  Host
	clock *clock
	read  func(index int) plain       // the outputs of another job, nil if it was skipped
	push  func(*clock) (plain, error) // what PushSource gives
	graph *graph
	seen  map[string]lua.LValue // what jobs has returned, so that two calls give one table
}

// Guard is an installed Runtime. Whoever has it must call Release.
type Guard struct {
	mu    sync.Mutex
	state *lua.LState
	table *lua.LTable
}

// Install fills the state's runtime table in place and stows the Runtime on the
// state. The state must be one that holds the quire.ci module, and must not have
// a Runtime already.
func (r *Runtime) Install(state *lua.LState) (*Guard, error) {
	table, ok := state.G.Registry.RawGetString(tableKey).(*lua.LTable)
	if !ok {
		return nil, errors.New("install the runtime: this Lua state has no quire.ci module")
	}
	if installed(state) != nil {
		return nil, errors.New("install the runtime: this Lua state has one already")
	}
	for _, p := range primitives {
		table.RawSetString(p.name, state.NewFunction(p.function))
	}
	meta := state.CreateTable(0, 2)
	meta.RawSetString("__index", state.NewFunction(unknownPrimitive))
	meta.RawSetString("__metatable", lua.LString("runtime")) // a program can neither see nor replace it
	table.Metatable = meta
	r.seen = map[string]lua.LValue{}
	state.G.Registry.RawSetString(runtimeKey, &lua.LUserData{Value: r, Metatable: lua.LNil})
	return &Guard{state: state, table: table}, nil
}

// Release undoes Install: every field of the table is cleared, whoever set it,
// its metatable removed, and the state's reference to the Runtime dropped. It
// may be called more than once and on a guard whose state was closed. It must
// not be called while the state runs in another goroutine.
func (g *Guard) Release() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == nil {
		return
	}
	state, table := g.state, g.table
	g.state, g.table = nil, nil
	if rt := installed(state); rt != nil {
		rt.seen = nil
	}
	state.G.Registry.RawSetString(runtimeKey, lua.LNil)
	table.Metatable = lua.LNil
	for {
		k, _ := table.Next(lua.LNil)
		if k == lua.LNil {
			return
		}
		table.RawSet(k, lua.LNil)
	}
}

// installed is the state's Runtime, nil if none is installed.
func installed(state *lua.LState) *Runtime {
	wrapped, ok := state.G.Registry.RawGetString(runtimeKey).(*lua.LUserData)
	if !ok {
		return nil
	}
	rt, _ := wrapped.Value.(*Runtime)
	return rt
}

// makeRuntimeTable puts the empty table on a new state. Until a Runtime is
// installed, reading it raises, because the other possibility is a nil that
// fails later and says nothing.
func makeRuntimeTable(state *lua.LState) *lua.LTable {
	table := state.CreateTable(0, len(primitives))
	meta := state.CreateTable(0, 2)
	meta.RawSetString("__index", state.NewFunction(func(L *lua.LState) int {
		L.RaiseError("%s", outside)
		return 0
	}))
	meta.RawSetString("__metatable", lua.LString("runtime"))
	table.Metatable = meta
	state.G.Registry.RawSetString(tableKey, table)
	return table
}

func unknownPrimitive(L *lua.LState) int {
	name := L.Get(2).String()
	hint := " — there are " + primitiveList
	if n := nearest(name, primitiveNames); n != "" {
		hint = " — did you mean '" + n + "'?"
	}
	L.RaiseError("unknown runtime primitive '%s'%s", name, hint)
	return 0
}
