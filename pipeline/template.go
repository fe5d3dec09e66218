package pipeline

import (
	"context"
	"sync/atomic"

	lua "github.com/yuin/gopher-lua"
)

// template is a state after the pipeline was evaluated in it, from which the
// states of jobs are copied. A run of n jobs would otherwise register n·n of
// them, and spend a millisecond a job on it where n is a thousand.
//
// Nothing runs in the template any more, and nothing in it is ever changed, so
// any number of jobs may be copied from it at the same time. What cannot be
// copied (a coroutine, a function that Go made) makes it useless, and then each
// job's state is evaluated, as the manual says it may be.
type template struct {
	steps   []step
	objects []lua.LValue          // what the state held before the program ran, by step
	shared  map[lua.LValue]bool   // functions that are the same in every state
	runs    map[string]lua.LValue // by job: its run-fn, or the options of ci.mirror
	useless atomic.Bool
}

// step leads from one object that every new state has to another: to a field
// of a table, or to its metatable if key is nil. A new state's objects are found
// by the same steps as the template's.
type step struct {
	parent int // -1 for a root
	key    lua.LValue
}

const registryStep = 1

// roots are the objects from which all of a state's are reached.
func roots(L *lua.LState) []lua.LValue {
	return []lua.LValue{L.G.Global, L.G.Registry, L.GetMetatable(lua.LString(""))}
}

// newTemplate notes what a state holds, before the program runs in it.
func newTemplate(L *lua.LState) *template {
	t := &template{shared: map[lua.LValue]bool{}, runs: map[string]lua.LValue{}}
	seen := map[lua.LValue]bool{}
	add := func(v lua.LValue, s step) {
		if f, ok := v.(*lua.LFunction); ok && f.IsG && f.Env == nil {
			t.shared[f] = true
			return
		}
		switch v.(type) {
		case *lua.LTable, *lua.LFunction, *lua.LUserData:
			if !seen[v] {
				seen[v] = true
				t.objects = append(t.objects, v)
				t.steps = append(t.steps, s)
			}
		}
	}
	for _, r := range roots(L) {
		add(r, step{-1, nil})
	}
	for i := 0; i < len(t.objects); i++ {
		table, ok := t.objects[i].(*lua.LTable)
		if !ok {
			continue
		}
		for k, v := range pairs(table) {
			add(v, step{i, k})
		}
		add(table.Metatable, step{i, nil})
	}
	return t
}

// counterparts finds in a new state what the template's objects were.
func (t *template) counterparts(L *lua.LState) ([]lua.LValue, bool) {
	found := make([]lua.LValue, len(t.steps))
	copy(found, roots(L))
	for i, s := range t.steps {
		if s.parent < 0 {
			continue
		}
		table, ok := found[s.parent].(*lua.LTable)
		switch {
		case !ok:
			return nil, false
		case s.key == nil:
			found[i] = table.Metatable
		default:
			found[i] = table.RawGet(s.key)
		}
		if found[i].Type() != t.objects[i].Type() {
			return nil, false
		}
	}
	return found, true
}

// copyInto makes of a new state one in which the program was evaluated, and
// returns what the job with the given id was registered with. When ok is false
// the state is spoilt.
func (t *template) copyInto(ctx context.Context, L *lua.LState, id string) (run lua.LValue, ok bool) {
	run, ok = t.runs[id]
	if !ok || t.useless.Load() {
		return nil, false
	}
	found, ok := t.counterparts(L)
	c := copier{ctx: ctx, state: L, shared: t.shared, made: make(map[lua.LValue]lua.LValue, 2*len(found)), upvalues: map[*lua.Upvalue]*lua.Upvalue{}}
	if ok {
		for i, o := range t.objects {
			c.made[o] = found[i]
		}
		for i, o := range t.objects {
			if from, isTable := o.(*lua.LTable); isTable && i != registryStep {
				c.update(from, found[i].(*lua.LTable))
			}
		}
		run = c.value(run, 0)
		ok = !c.failed
	}
	if !ok && ctx.Err() == nil {
		t.useless.Store(true)
	}
	return run, ok
}

// copier copies values from a template to a state.
type copier struct {
	ctx      context.Context
	state    *lua.LState
	shared   map[lua.LValue]bool
	made     map[lua.LValue]lua.LValue // tables and functions
	upvalues map[*lua.Upvalue]*lua.Upvalue
	steps    int
	failed   bool
}

// maxCopyDepth bounds the copier's recursion, as maxPlainDepth does freeze's. A
// list linked that deep is for the program to make anew.
const maxCopyDepth = 1000

// update brings a table that every state has to what the program made of it.
func (c *copier) update(from, to *lua.LTable) {
	for k, v := range pairs(from) {
		k, v = c.value(k, 0), c.value(v, 0)
		if c.failed {
			return
		}
		if to.RawGet(k) != v {
			to.RawSet(k, v)
		}
	}
	var gone []lua.LValue
	for k := range pairs(to) {
		// Keys that both have are strings and numbers, the same in either.
		if isScalar(k) && from.RawGet(k) == lua.LNil {
			gone = append(gone, k)
		}
	}
	for _, k := range gone {
		to.RawSet(k, lua.LNil)
	}
	to.Metatable = c.value(from.Metatable, 0)
}

func isScalar(v lua.LValue) bool {
	switch v.(type) {
	case lua.LString, lua.LNumber, lua.LBool:
		return true
	}
	return false
}

func (c *copier) value(v lua.LValue, depth int) lua.LValue {
	if _, isNil := v.(*lua.LNilType); isNil || isScalar(v) || c.failed {
		return v
	}
	if made, ok := c.made[v]; ok {
		return made
	}
	if c.steps++; depth > maxCopyDepth || c.steps%4096 == 0 && c.ctx.Err() != nil {
		c.failed = true
		return lua.LNil
	}
	switch v := v.(type) {
	case *lua.LTable:
		t := c.state.CreateTable(0, 0)
		c.made[v] = t
		for k, e := range pairs(v) {
			t.RawSet(c.value(k, depth+1), c.value(e, depth+1))
		}
		t.Metatable = c.value(v.Metatable, depth+1)
		return t
	case *lua.LFunction:
		if c.shared[v] {
			return v
		}
		if !v.IsG {
			return c.function(v, depth)
		}
	}
	c.failed = true
	return lua.LNil
}

func (c *copier) function(f *lua.LFunction, depth int) lua.LValue {
	out := &lua.LFunction{Proto: f.Proto, Upvalues: make([]*lua.Upvalue, len(f.Upvalues))}
	c.made[f] = out
	out.Env, _ = c.value(f.Env, depth+1).(*lua.LTable)
	for i, u := range f.Upvalues {
		made, ok := c.upvalues[u]
		if !ok {
			if !u.IsClosed() {
				c.failed = true // a variable of a coroutine that stands still
				return lua.LNil
			}
			made = new(lua.Upvalue) // its zero value is a closed one
			c.upvalues[u] = made
			made.SetValue(c.value(u.Value(), depth+1))
		}
		out.Upvalues[i] = made
	}
	if out.Env == nil {
		c.failed = true
	}
	return out
}
