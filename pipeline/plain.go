package pipeline

import (
	"fmt"
	"iter"
	"math"

	lua "github.com/yuin/gopher-lua"
)

// A plain is a value that may leave its Lua state: nil, bool, float64, string
// or *plainTable. It is never changed once made, so any number of states may
// be given copies of it at the same time.
type plain any

// plainTable is a table's contents. Keys keep the order in which next() gave
// them, so that a copy iterates as the original did.
type plainTable struct {
	list   []plain // values at 1, 2, 3 … without a hole
	keys   []plain // everything else
	values []plain
}

// maxPlainDepth bounds how deep tables may nest in outputs: copying recurses,
// and Go ends the process, not the call, when a goroutine's stack is too deep.
const maxPlainDepth = 200

// freeze copies a Lua value out of its state. A table that occurs twice stays
// one table. The error is a sentence that says which part cannot leave.
func freeze(v lua.LValue) (plain, error) {
	f := freezer{done: map[*lua.LTable]*plainTable{}}
	p, bad := f.value(v, 0)
	if bad != nil {
		return nil, bad
	}
	return p, nil
}

type freezer struct {
	done map[*lua.LTable]*plainTable // nil while the table is being copied
}

// unplain is the part of a value that cannot leave its state.
type unplain struct {
	path string // from the outputs to the part, as one would write it: .artifacts[2]
	why  string
}

func (u *unplain) Error() string {
	return "outputs" + u.path + " " + u.why
}

// in says that the part was found under key k; it is called on the way back, so
// that the path is only built when there is a fault.
func (u *unplain) in(k lua.LValue) *unplain {
	if s, ok := k.(lua.LString); ok && bareKeyword(string(s)) {
		u.path = "." + string(s) + u.path
	} else {
		u.path = "[" + viewScalar(k) + "]" + u.path
	}
	return u
}

func (f *freezer) value(v lua.LValue, depth int) (plain, *unplain) {
	switch v := v.(type) {
	case *lua.LNilType:
		return nil, nil
	case lua.LBool:
		return bool(v), nil
	case lua.LNumber:
		return float64(v), nil
	case lua.LString:
		return string(v), nil
	case *lua.LTable:
		return f.table(v, depth)
	}
	return nil, &unplain{why: fmt.Sprintf("is a %s; only tables, strings, numbers and booleans can leave a job", v.Type())}
}

func (f *freezer) table(t *lua.LTable, depth int) (plain, *unplain) {
	if made, seen := f.done[t]; seen {
		if made == nil {
			return nil, &unplain{why: "is a table that contains itself; outputs must be a tree"}
		}
		return made, nil
	}
	if depth == maxPlainDepth {
		return nil, &unplain{why: fmt.Sprintf("is nested deeper than %d tables", maxPlainDepth)}
	}
	f.done[t] = nil
	out := &plainTable{}
	for i := 1; ; i++ {
		v := t.RawGetInt(i)
		if v == lua.LNil {
			break
		}
		p, bad := f.value(v, depth+1)
		if bad != nil {
			return nil, bad.in(lua.LNumber(i))
		}
		out.list = append(out.list, p)
	}
	for k, v := range pairs(t) {
		if indexWithin(k, len(out.list)) {
			continue
		}
		switch k.(type) {
		case lua.LString, lua.LNumber, lua.LBool:
		default:
			return nil, &unplain{why: fmt.Sprintf("has a %s as a key; only strings, numbers and booleans can leave a job", k.Type())}
		}
		key, _ := f.value(k, depth)
		value, bad := f.value(v, depth+1)
		if bad != nil {
			return nil, bad.in(k)
		}
		out.keys = append(out.keys, key)
		out.values = append(out.values, value)
	}
	f.done[t] = out
	return out, nil
}

// pairs goes over a table in the order of next(), without its metamethods.
// LTable.ForEach would go in the random order of a Go map.
func pairs(t *lua.LTable) iter.Seq2[lua.LValue, lua.LValue] {
	return func(yield func(lua.LValue, lua.LValue) bool) {
		for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
			if !yield(k, v) {
				return
			}
		}
	}
}

// indexWithin reports whether k is one of the indices 1 … n.
func indexWithin(k lua.LValue, n int) bool {
	i, ok := k.(lua.LNumber)
	return ok && i >= 1 && float64(i) <= float64(n) && float64(i) == math.Trunc(float64(i))
}

// thaw makes the value anew inside a state. A table that occurs twice becomes
// one table.
func thaw(L *lua.LState, p plain) lua.LValue {
	return thawer{L, map[*plainTable]*lua.LTable{}}.value(p)
}

type thawer struct {
	L    *lua.LState
	done map[*plainTable]*lua.LTable
}

func (t thawer) value(p plain) lua.LValue {
	switch p := p.(type) {
	case bool:
		return lua.LBool(p)
	case float64:
		return lua.LNumber(p)
	case string:
		return lua.LString(p)
	case *plainTable:
		if made, ok := t.done[p]; ok {
			return made
		}
		out := t.L.CreateTable(len(p.list), len(p.keys))
		t.done[p] = out
		for i, v := range p.list {
			out.RawSetInt(i+1, t.value(v))
		}
		for i, k := range p.keys {
			out.RawSet(t.value(k), t.value(p.values[i]))
		}
		return out
	}
	return lua.LNil
}

// field is the value at a string key, nil if there is none.
func (t *plainTable) field(name string) plain {
	for i, k := range t.keys {
		if k == name {
			return t.values[i]
		}
	}
	return nil
}
