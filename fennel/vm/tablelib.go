package vm

import (
	lua "github.com/yuin/gopher-lua"
)

// rawInt reads t[i] for any integer; gopher-lua's RawGetInt sees only its array.
func rawInt(t *lua.LTable, i int) lua.LValue { return t.RawGet(lua.LNumber(i)) }

func tableConcat(L *lua.LState) int {
	t := argTable(L, 1, "concat")
	sep := optString(L, 2, "", "concat")
	i := optInt(L, 3, 1, "concat")
	last := t.Len()
	if L.Get(4) != lua.LNil {
		last = argInt(L, 4, "concat")
	}
	limit := limitsOf(L).String
	var out []byte
	for i <= last {
		switch v := rawInt(t, i).(type) {
		case lua.LString:
			checkLength(L, int64(len(out))+int64(len(v)), limit)
			out = append(out, v...)
		case lua.LNumber:
			out = append(out, FormatNumber(float64(v))...)
		default:
			raisef(L, "invalid value (%s) at index %d in table for 'concat'", v.Type().String(), i)
		}
		if i == last { // not i++ first: last may be the largest integer
			break
		}
		checkLength(L, int64(len(out))+int64(len(sep)), limit)
		out = append(out, sep...)
		i++
	}
	L.Push(lua.LString(out))
	return 1
}

func tableInsert(L *lua.LState) int {
	t := argTable(L, 1, "insert")
	e := t.Len() + 1
	switch L.GetTop() {
	case 2:
		t.RawSetInt(e, L.Get(2))
	case 3:
		pos := argInt(L, 2, "insert")
		if pos < 1 || pos >= e {
			t.RawSet(lua.LNumber(pos), L.Get(3))
			break
		}
		t.Insert(pos, L.Get(3))
	default:
		raisef(L, "wrong number of arguments to 'insert'")
	}
	return 0
}

func tableRemove(L *lua.LState) int {
	t := argTable(L, 1, "remove")
	e := t.Len()
	pos := optInt(L, 2, e, "remove")
	if pos < 1 || pos > e {
		return 0
	}
	L.Push(t.Remove(pos))
	return 1
}

func tableMaxn(L *lua.LState) int {
	t := argTable(L, 1, "maxn")
	most := 0.0
	t.ForEach(func(k, v lua.LValue) {
		if n, ok := k.(lua.LNumber); ok && float64(n) > most {
			most = float64(n)
		}
	})
	L.Push(lua.LNumber(most))
	return 1
}

func tableGetn(L *lua.LState) int {
	L.Push(lua.LNumber(argTable(L, 1, "getn").Len()))
	return 1
}

func tableSetn(L *lua.LState) int {
	argTable(L, 1, "setn")
	raisef(L, "'setn' is obsolete")
	return 0
}

// each calls the function of foreach and foreachi; a value ends the loop.
func each(L *lua.LState, fn *lua.LFunction, k, v lua.LValue) bool {
	L.Push(fn)
	L.Push(k)
	L.Push(v)
	L.Call(2, 1)
	if L.Get(-1) != lua.LNil {
		return true
	}
	L.Pop(1)
	return false
}

func tableForeach(L *lua.LState) int {
	t := argTable(L, 1, "foreach")
	fn := argFunction(L, 2, "foreach")
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if each(L, fn, k, v) {
			return 1
		}
	}
	return 0
}

func tableForeachi(L *lua.LState) int {
	t := argTable(L, 1, "foreachi")
	fn := argFunction(L, 2, "foreachi")
	n := t.Len()
	for i := 1; i <= n; i++ {
		if each(L, fn, lua.LNumber(i), t.RawGetInt(i)) {
			return 1
		}
	}
	return 0
}

func baseUnpack(L *lua.LState) int {
	t := argTable(L, 1, "unpack")
	i := optInt(L, 2, 1, "unpack")
	last := t.Len()
	if L.Get(3) != lua.LNil {
		last = argInt(L, 3, "unpack")
	}
	if i > last {
		return 0
	}
	// Unsigned: last - i may be more than an int holds.
	n := uint64(last) - uint64(i) + 1
	if limit := limitsOf(L).Unpack; n == 0 || n > uint64(limit) {
		raisef(L, "too many results to unpack (limit %d)", limit)
	}
	for k := 0; k < int(n); k++ {
		L.Push(rawInt(t, i+k))
	}
	return int(n)
}
