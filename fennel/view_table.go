package fennel

import (
	"cmp"
	"math"
	"slices"

	lua "github.com/yuin/gopher-lua"
)

// eachPair walks a table as pairs does, __pairs included, until f says false.
func (p *viewer) eachPair(x lua.LValue, f func(k, v lua.LValue) bool) {
	if m := metafield(p.L, x, "__pairs"); m != lua.LNil {
		p.eachOf(m, x, f)
		return
	}
	t, ok := x.(*lua.LTable)
	if !ok {
		p.L.RaiseError("bad argument #1 to 'pairs' (table expected, got %s)", x.Type().String())
	}
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if !f(k, v) {
			return
		}
	}
}

// eachOf runs the iterator that a __pairs metamethod returns.
func (p *viewer) eachOf(m, x lua.LValue, f func(k, v lua.LValue) bool) {
	L := p.L
	L.Push(m)
	L.Push(x)
	L.Call(1, 3)
	step, state, k := L.Get(-3), L.Get(-2), L.Get(-1)
	L.Pop(3)
	for {
		L.Push(step)
		L.Push(state)
		L.Push(k)
		L.Call(2, 2)
		var v lua.LValue
		k, v = L.Get(-2), L.Get(-1)
		L.Pop(2)
		if k == lua.LNil || !f(k, v) {
			return
		}
	}
}

// maxGaps is how many nils may be made up for a sparse sequence. A greater
// max-sparse-gap is the program's wish, not its memory.
const maxGaps = 1 << 22

// pairs are the entries of a table in the order they are printed, and whether
// they are a sequence, whose gaps are then filled with nils.
func (p *viewer) pairs(x lua.LValue, opts *lua.LTable) (pairs []viewPair, sequence bool) {
	gap := opts.RawGetString("max-sparse-gap")
	most, ok := gap.(lua.LNumber)
	if !ok || float64(most) != math.Floor(float64(most)) {
		p.L.RaiseError("max-sparse-gap must be an integer: got '%s'", gap.String())
	}
	sequence = true
	p.eachPair(x, func(k, v lua.LValue) bool {
		if n, ok := k.(lua.LNumber); !ok || n < 1 || float64(n) != math.Floor(float64(n)) {
			sequence = false
		}
		pairs = append(pairs, viewPair{k, v})
		return true
	})
	slices.SortStableFunc(pairs, func(a, b viewPair) int { return compareKeys(a.key, b.key) })
	if !sequence {
		return pairs, false
	}
	previous, missing := 0.0, 0.0
	for _, kv := range pairs {
		i := float64(kv.key.(lua.LNumber))
		if i-previous > float64(most) && i-previous > 0 {
			return pairs, false
		}
		missing += max(i-previous-1, 0)
		previous = i
	}
	if missing > maxGaps {
		p.L.RaiseError("sequence too sparse to print: %.0f gaps (limit %d)", missing, maxGaps)
	}
	if missing > 0 {
		pairs = fillGaps(pairs, len(pairs)+int(missing))
	}
	return pairs, true
}

func fillGaps(pairs []viewPair, n int) []viewPair {
	filled := make([]viewPair, 0, n)
	for _, kv := range pairs {
		for i := lua.LNumber(len(filled) + 1); i < kv.key.(lua.LNumber); i++ {
			filled = append(filled, viewPair{i, lua.LNil})
		}
		filled = append(filled, kv)
	}
	return filled
}

// keyOrder is where the keys of a type stand; others come last, by their name.
var keyOrder = map[lua.LValueType]int{
	lua.LTNumber:   1,
	lua.LTBool:     2,
	lua.LTString:   3,
	lua.LTTable:    4,
	lua.LTFunction: 5,
	lua.LTUserData: 6,
	lua.LTThread:   7,
}

// compareKeys orders numbers, strings and booleans by value and other keys by
// type only: they have no order that a second run would repeat.
func compareKeys(a, b lua.LValue) int {
	switch a := a.(type) {
	case lua.LNumber:
		if b, ok := b.(lua.LNumber); ok {
			return cmp.Compare(a, b)
		}
	case lua.LString:
		if b, ok := b.(lua.LString); ok {
			return cmp.Compare(a, b)
		}
	case lua.LBool:
		if b, ok := b.(lua.LBool); ok && a != b {
			if !a {
				return -1
			}
			return 1
		}
	}
	oa, ob := keyOrder[a.Type()], keyOrder[b.Type()]
	switch {
	case oa != 0 && ob != 0:
		return cmp.Compare(oa, ob)
	case oa != 0:
		return -1
	case ob != 0:
		return 1
	}
	return cmp.Compare(a.Type().String(), b.Type().String())
}

// countAppearances counts how often each table is met on a walk over all that x
// holds, entering each once. It keeps its own stack: a list linked a million
// tables deep is a value like any other.
func (p *viewer) countAppearances(x lua.LValue) *lua.LTable {
	counts := p.L.CreateTable(0, 0)
	p.counted = make(map[*lua.LTable]bool)
	todo := []lua.LValue{x}
	for len(todo) > 0 {
		t, ok := todo[len(todo)-1].(*lua.LTable)
		todo = todo[:len(todo)-1]
		if !ok {
			continue
		}
		if p.counted[t] {
			p.shared = true
			n, _ := counts.RawGetH(t).(lua.LNumber)
			counts.RawSetH(t, n+1)
			continue
		}
		p.counted[t] = true
		counts.RawSetH(t, lua.LNumber(1))
		p.eachPair(t, func(k, v lua.LValue) bool {
			if v.Type() == lua.LTTable {
				todo = append(todo, v)
			}
			if k.Type() == lua.LTTable {
				todo = append(todo, k)
			}
			return true
		})
	}
	return counts
}

// meetsTwice tells whether a walk over x meets any table, x itself included, for
// the second time.
func (p *viewer) meetsTwice(x lua.LValue) bool {
	root, ok := x.(*lua.LTable)
	if !ok {
		return false
	}
	if !p.shared && p.counted[root] {
		return false
	}
	met := map[*lua.LTable]bool{root: true}
	todo := []*lua.LTable{root}
	twice := false
	for len(todo) > 0 && !twice {
		t := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		p.eachPair(t, func(k, v lua.LValue) bool {
			for _, e := range [2]lua.LValue{k, v} {
				if e, ok := e.(*lua.LTable); ok {
					if met[e] {
						twice = true
						return false
					}
					met[e] = true
					todo = append(todo, e)
				}
			}
			return true
		})
	}
	return twice
}

// visibleCycle gives a table that leads to a repetition its number, and tells
// whether the number has to be shown because the table itself is repeated.
func (p *viewer) visibleCycle(x lua.LValue, opts *lua.LTable) bool {
	if !optionTrue(opts, "detect-cycles?") || !p.meetsTwice(x) {
		return false
	}
	if seen, ok := opts.RawGetString("seen").(*lua.LTable); ok && seen.RawGet(x) == lua.LNil {
		n, _ := seen.RawGetString("len").(lua.LNumber)
		seen.RawSet(x, n+1)
		seen.RawSetString("len", n+1)
	}
	counts, ok := opts.RawGetString("appearances").(*lua.LTable)
	if !ok {
		return false
	}
	n, _ := counts.RawGet(x).(lua.LNumber)
	return n > 1
}

// seen is the number of a table that has been printed, "" if it has none.
func (p *viewer) seen(opts *lua.LTable, x lua.LValue) string {
	seen, ok := opts.RawGetString("seen").(*lua.LTable)
	if !ok {
		return ""
	}
	if n, ok := seen.RawGet(x).(lua.LNumber); ok {
		return n.String()
	}
	return ""
}
